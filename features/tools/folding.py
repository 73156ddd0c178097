"""Texts without case and outer blanks, to compare what people write in more than one way."""

from __future__ import annotations

import unicodedata

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.names import BLANKS
from features.tools.id_index import get_text_buffers
from features.tools.jit import jit_kernel

# Marks the bytes with which a blank begins (first row) and ends (second row) in UTF-8. A letter may
# share the last one, so a marked text may have no blank around it.
BLANK_EDGES = np.zeros((2, 256), bool)
for _blank in BLANKS:
    BLANK_EDGES[0, _blank.encode()[0]] = BLANK_EDGES[1, _blank.encode()[-1]] = True


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


def has_outer_blanks(texts: pa.Array) -> bool:
    """Return whether a text may have a blank around it; if not, none has one."""
    return _find_edge(*get_text_buffers(texts), BLANK_EDGES)


@jit_kernel
def _find_edge(texts: np.ndarray, ends: np.ndarray, edges: np.ndarray) -> bool:
    """Return whether a text begins or ends with one of the bytes that ``edges`` marks."""
    for row in range(len(ends) - 1):
        begin, end = ends[row], ends[row + 1]
        if end > begin and (edges[0, texts[begin]] or edges[1, texts[end - 1]]):
            return True
    return False
