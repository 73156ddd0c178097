"""Ids of entities, accounts and events: one text for the same id in every format and type."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.intake.formats.texts import set_null, to_plain_text
from features.intake.reading import RawRows
from features.intake.values import read_clean_text
from features.tools.folding import BLANKS
from features.tools.id_index import get_text_buffers
from features.tools.jit import jit_kernel

# Marks the bytes with which a blank begins (first row) and ends (second row) in UTF-8. A letter may
# share the last one, so a marked text may have no blank around it.
BLANK_EDGES = np.zeros((2, 256), bool)
for _blank in BLANKS:
    BLANK_EDGES[0, _blank.encode()[0]] = BLANK_EDGES[1, _blank.encode()[-1]] = True


def read_ids(raw: RawRows, name: str | None, missing: tuple[str, ...]) -> pa.ChunkedArray:
    """Return a column of ids as text, without blanks around them; null for a missing id.

    A whole number is written in plain digits, of any type and size; a text keeps its letters,
    zeros and case. All null if the config does not map the column (``name`` is None).
    """
    ids = to_plain_text(read_clean_text(raw, name, missing))
    if not any(map(has_outer_blanks, ids.chunks)):
        return ids
    trimmed = pc.utf8_trim(ids, characters=BLANKS)
    return set_null(trimmed, pc.is_in(trimmed, value_set=pa.array(["", *missing], pa.string())))


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
