"""Rows of leads without an id that repeat each other, apart from the outcome.

Nothing distinguishes their entities, so a copy of a row would be a lead of its own: in the
training rows of a fold and in its test rows at the same time.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.schema import Project
from configs.source_rows import LeadRows
from features.contracts import SourceCount
from features.intake.formats.texts import to_plain_text, to_text
from features.intake.reading import RawRows
from features.intake.values import read_clean_text
from features.tools.row_hash import hash_rows, hash_texts

# Fewest rows of a column that counts them; a shorter one may rise by one by chance.
MIN_NUMBERED_ROWS = 10
# Columns of the example in a message, and characters of each value.
MAX_VALUES_SHOWN, MAX_CHARACTERS = 3, 40


def note_repeated_rows(
    count: SourceCount,
    project: Project,
    source: LeadRows,
    raw: RawRows,
    entity_id: pa.ChunkedArray,
    outcome_columns: set[str],
) -> SourceCount:
    """Return the counts of the leads with their repeated rows and a warning about them.

    ``entity_id`` holds the id of each raw row, null where the row is not used. Rows repeat each
    other if all columns of the source but ``outcome_columns`` and row numbers are equal. Leads with
    an id of their own are left as they are.
    """
    used = np.flatnonzero(entity_id.is_valid().to_numpy())
    if source.entity_id is not None or len(used) < 2:
        return count
    raw = replace(raw, table=raw.table.take(pa.array(used)))
    places = [name for name in raw.names if not _is_row_number(raw.column(name, ""))]
    described = [name for name in places if name not in outcome_columns]
    if not described:
        return count
    group = _group_equal_rows(raw, described, source)
    # The first row of its group stands for each row.
    repeated = np.flatnonzero(np.bincount(group, minlength=len(group))[group] > 1)
    if not len(repeated):
        return count
    outcomes = _group_equal_rows(raw, sorted(outcome_columns & set(places)), source)
    # More pairs of group and outcome than groups: some group has several outcomes.
    pairs = np.unique(np.stack([group[repeated], outcomes[repeated]]), axis=1)
    first, outcome_counts = np.unique(pairs[0], return_counts=True)
    ids = entity_id.take(pa.array(used)).combine_chunks()
    groups = pa.table(
        {
            "entity_id": ids.take(pa.array(repeated)),
            "group_id": ids.take(pa.array(group[repeated])),
        }
    )
    shown = [name for name in described if name not in project.privacy.hidden_columns]
    text = (
        f"{raw.label}: {len(repeated):,} of {len(raw.table):,} rows repeat each other in "
        f"{len(first):,} groups, apart from the outcome{_show_example(raw, shown, group, first[0])}"
        f"{_count_contradictions(int((outcome_counts > 1).sum()))}; each counts as a lead, and a "
        "group stays in one fold; map sources.leads.entity_id, or remove the copies"
    )
    return replace(count, repeated=groups, warnings=(*count.warnings, text))


def _is_row_number(column: pa.ChunkedArray) -> bool:
    """Return whether a column counts the rows, as an index that was written to the file does."""
    if len(column) < MIN_NUMBERED_ROWS:
        return False
    # The first two values decide nearly always, so that other columns cost nothing.
    for part in (column.slice(0, 2), column):
        try:
            numbers = to_plain_text(to_text(part)).cast(pa.int64())
        except pa.ArrowInvalid:
            return False
        if numbers.null_count or not (np.diff(numbers.to_numpy()) == 1).all():
            return False
    return True


def _group_equal_rows(raw: RawRows, names: list[str], source: LeadRows) -> np.ndarray:
    """Return for each row the position of the first row with the same values, int64 (rows,)."""
    texts = (read_clean_text(raw, name, source) for name in names)
    words = [
        hash_texts(pa.chunked_array(pc.utf8_trim_whitespace(to_plain_text(text)))) for text in texts
    ]
    if not words:
        return np.zeros(len(raw.table), np.int64)
    hashes = np.ascontiguousarray(hash_rows(words)).view([("high", np.uint64), ("low", np.uint64)])
    _, first, code = np.unique(hashes.ravel(), return_index=True, return_inverse=True)
    return first[code].astype(np.int64)


def _show_example(raw: RawRows, names: list[str], group: np.ndarray, first: int) -> str:
    """Return the row numbers of the first two rows of a group, and the values that they share."""
    rows = np.flatnonzero(group == first)[:2]
    numbers = raw.table["row"].take(pa.array(rows)).to_pylist()
    values = {name: to_text(raw.column(name, "").slice(first, 1)).to_pylist()[0] for name in names}
    filled = [f"{name}={value[:MAX_CHARACTERS]}" for name, value in values.items() if value]
    shown = f" with {', '.join(filled[:MAX_VALUES_SHOWN])}" if filled else ""
    return f", such as rows {numbers[0]} and {numbers[1]}{shown}"


def _count_contradictions(groups: int) -> str:
    return f"; {groups:,} of the groups contradict themselves about the outcome" if groups else ""
