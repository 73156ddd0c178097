"""Rows that cannot be used: why, where they stood, and what they said. None is dropped in silence."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from configs.errors import DataError
from features.contracts import SourceCount
from features.reading import RawRows, query
from features.values import UNREADABLE_TIME

NO_ID, NO_TYPE, NO_NAME, UNREADABLE = "no id", "no event type", "no attribute name", "unreadable row"
DUPLICATE, UNKNOWN_ENTITY, SKIPPED = "duplicate", "unknown entity", "skipped"

FLAWS = f"""WHEN unreadable THEN '{UNREADABLE}'
WHEN entity_id IS NULL THEN '{NO_ID}'
WHEN time_missing AND skips THEN '{SKIPPED}'
WHEN time_problem IS NOT NULL THEN time_problem
WHEN time_missing THEN '{UNREADABLE_TIME}'"""
"""SQL, the branches of a CASE: what makes a row of any source unusable, or no row yet."""

QUARANTINE = pa.schema(
    [
        pa.field(
            "source",
            pa.string(),
            metadata={"meaning": "leads, or events_1 … and attributes_1 … in the config's order"},
        ),
        pa.field("file", pa.string(), metadata={"meaning": "the file, or the kind of database"}),
        pa.field("row", pa.int64(), metadata={"meaning": "line of a text file, else number of the row, from 1"}),
        pa.field("reason", pa.string(), metadata={"meaning": "why the row is not used"}),
        pa.field(
            "original",
            pa.string(),
            metadata={"meaning": "JSON: the row by column, or the text of a broken line"},
        ),
    ]
)
"""One row a quarantined row, in the source's order."""


def settle(source: str, raw: RawRows, reasons: pa.Array, folder: Path | None, limit: float) -> SourceCount:
    """Count what became of a source's rows, write the bad ones to ``folder/<source>.csv``, and judge their
    share.

    ``reasons`` has one entry a row of ``raw``: null for a used row, “skipped” for one that is no event yet,
    else why it is bad. The file is replaced each time, also where nothing is bad. Raises DataError if more
    than ``limit`` of the rows are bad; duplicates are not held against a source.
    """
    tally = {each["values"]: each["counts"] for each in pc.value_counts(reasons).to_pylist()}
    used, skipped = tally.pop(None, 0), tally.pop(SKIPPED, 0)
    count = SourceCount(source, len(reasons), used, skipped, dict(sorted(tally.items())))
    table = _table(source, raw, reasons)
    if folder is not None:
        _write(table, folder / f"{source}.csv")
    bad = sum(count.quarantined.values()) - count.quarantined.get(DUPLICATE, 0)
    if bad > limit * count.rows_in:
        raise _too_many(count, bad, raw, table, limit)
    return count


def _table(source: str, raw: RawRows, reasons: pa.Array) -> pa.Table:
    bad = pc.and_(pc.is_valid(reasons), pc.fill_null(pc.not_equal(reasons, SKIPPED), False))
    rows = raw.table.append_column("reason", reasons).filter(bad)
    if not len(rows):
        return QUARANTINE.empty_table()
    keys = {f"k{i}": name for i, name in enumerate(raw.names)}
    pairs = ", ".join(f"${key}, c{i}" for i, key in enumerate(keys))
    text = f"""SELECT $source AS source, file, "row", reason,
                 CASE WHEN broken IS NULL THEN json_object({pairs}) ELSE to_json(broken) END AS original
               FROM rows ORDER BY nr"""  # noqa: S608 - positions only
    return query(text, {"source": source, **keys}, rows=rows).cast(QUARANTINE)


def _write(table: pa.Table, path: Path) -> None:
    """Write beside the place and move there, so that no one reads half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    arrow_csv.write_csv(table, part)
    os.replace(part, path)  # noqa: PTH105 - the atomic one


def _too_many(count: SourceCount, bad: int, raw: RawRows, table: pa.Table, limit: float) -> DataError:
    example = table.filter(pc.not_equal(table["reason"], DUPLICATE)).slice(0, 1).to_pylist()[0]
    reasons = ", ".join(f"{rows} {reason}" for reason, rows in count.quarantined.items())
    shown = json.dumps(json.loads(example["original"]), ensure_ascii=False)[:160]
    return DataError(
        "too many bad rows",
        where=f"{raw.label}: {count.source}",
        found=f"{bad} of {count.rows_in} ({reasons}); row {example['row']}, {example['reason']}: {shown}",
        mend=f"mend the source, see quarantine/{count.source}.csv; or raise sources.max_quarantine ({limit:g})",
    )
