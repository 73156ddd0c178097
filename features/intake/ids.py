"""Ids of entities, accounts and events: one text for the same id in every format and type."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from features.intake.formats.texts import set_null, to_plain_text
from features.intake.reading import RawRows
from features.intake.values import read_clean_text
from features.tools.folding import BLANKS, has_outer_blanks


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
