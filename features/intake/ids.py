"""Ids of entities, accounts and events: one text for the same id in every format and type."""

from __future__ import annotations

import pyarrow as pa

from configs.source_rows import SourceRows
from features.intake.formats.texts import to_plain_text
from features.intake.reading import RawRows
from features.intake.values import read_clean_text


def read_ids(raw: RawRows, name: str | None, source: SourceRows) -> pa.ChunkedArray:
    """Return a column of ids as text, without blanks around them; null for a missing id.

    A whole number is written in plain digits, of any type and size; a text keeps its letters,
    zeros and case. All null if the config does not map the column (``name`` is None).
    """
    return to_plain_text(read_clean_text(raw, name, source))
