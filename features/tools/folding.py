"""Texts without case and outer blanks, to compare what people write in more than one way."""

from __future__ import annotations

import unicodedata

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.tools.id_index import get_text_buffers

# Every character that Python counts as white space, the no-break spaces among them, and three
# without width: copying an id may leave them around it.
BLANKS = "".join(filter(str.isspace, map(chr, range(0x10000)))) + "\u200b\u2060\ufeff"


def fold_text(text: str) -> str:
    """Return a text in the form in which it is compared without case and outer blanks.

    Canonical caseless matching of the Unicode Standard (section 3.13, D145), in NFC.
    """
    decomposed = unicodedata.normalize("NFD", text.strip(BLANKS))
    return unicodedata.normalize("NFC", decomposed.casefold())


def fold_texts(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Return each text as ``fold_text`` does; null for null."""
    texts = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_dictionary(texts.type):
        return fold_texts(texts.dictionary).take(texts.indices)
    if is_ascii(texts):
        return pc.ascii_lower(pc.utf8_trim(texts, characters=BLANKS))
    # Python folds them one by one, so each distinct text once.
    encoded = texts.dictionary_encode()
    folded = pa.array(map(fold_text, encoded.dictionary.to_pylist()), pa.string())
    return folded.take(encoded.indices)


def is_ascii(texts: pa.Array) -> bool:
    """Return whether no text has a character beyond ASCII."""
    data, ends = get_text_buffers(texts)
    return not len(data) or not bool(np.any(data[ends[0] : ends[-1]] >= 0x80))
