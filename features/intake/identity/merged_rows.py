"""Rows of merged records: copied to the leads that the records became, each when that was known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.contracts import INSTANT, VALUES
from features.merges import LeadMerges
from features.tools.duckdb_sql import run_query
from features.tools.id_index import IdIndex
from features.tools.instants import column_to_microseconds
from features.tools.spill import SpillBuffer


def find_lead_rows(
    ids: pa.ChunkedArray | pa.Array, leads: IdIndex, merges: LeadMerges
) -> np.ndarray:
    """Return the row of the lead that each id's rows count for, -1 for none; int32.

    Of an old id that is no lead itself it is the lead that the id has become in the end.
    """
    rows = leads.find(ids)
    if not merges or not (rows < 0).any():
        return rows
    return np.where(rows < 0, leads.find(merges.resolve(ids)), rows)


def move_events(
    log: pa.Table, leads: IdIndex, merges: LeadMerges, scratch: Path | None
) -> pa.Table:
    """Return a log, whose column ``lead`` is a row of the leads, with the rows of merged records.

    A row of an old id counts for that id until the merge, and for the new one from then on. Events
    that are equal but for the id are one if they are of two records that became one.
    """
    if not merges:
        return log
    ids = pc.unique(merges.views["entity_id"])
    touched = pa.concat_tables(
        [log.slice(0, 0), *(_filter_rows(piece, ids, keep=True) for piece in _iter_pieces(log))]
    )
    merged = _merge_events(touched, leads, merges).cast(log.schema)
    pieces = (_filter_rows(piece, ids, keep=False) for piece in _iter_pieces(log))
    return SpillBuffer.collect(log.schema, _append_piece(pieces, merged), scratch)


def _merge_events(touched: pa.Table, leads: IdIndex, merges: LeadMerges) -> pa.Table:
    columns = {name: touched[name] for name in touched.column_names}
    columns["available_at"] = pa.array(column_to_microseconds(touched["available_at"]))
    content = ", ".join(n for n in touched.column_names if n not in ("available_at", "lead"))
    # The n-th of equal rows of one record is the n-th of another that became the same: so a
    # cutoff sees as many of them as the record with the most of them that are known by then.
    rows = run_query(
        f"""WITH rows AS (
              SELECT coalesce(v.entity_id, t.entity_id) AS entity_id, t.entity_id AS origin,
                greatest(t.available_at, coalesce(v.since, t.available_at)) AS available_at,
                t.* EXCLUDE (entity_id, available_at)
              FROM touched t LEFT JOIN views v ON v.old_id = t.entity_id
              WHERE v.until IS NULL OR greatest(t.available_at, v.since) < v.until),
            numbered AS (
              SELECT *, row_number() OVER (
                PARTITION BY {content}, origin ORDER BY available_at) AS place FROM rows)
            SELECT {content}, min(available_at) AS available_at
            FROM numbered GROUP BY {content}, place ORDER BY ALL""",  # noqa: S608 - schema names
        touched=pa.table(columns),
        views=merges.views,
    )
    place = leads.find(rows["entity_id"])
    rows = rows.set_column(
        rows.column_names.index("available_at"), "available_at", rows["available_at"].cast(INSTANT)
    )
    rows = rows.append_column("lead", pa.array(place)).filter(pa.array(place >= 0))
    return rows.select(touched.column_names)


def move_values(values: pa.Table, leads: IdIndex, merges: LeadMerges) -> pa.Table:
    """Return VALUES with those of merged records.

    The new record's own values win: one of an old id counts for it only where, by the time at which
    the value counts, the new record has none of that attribute.
    """
    if not merges:
        return values
    known = pa.array(column_to_microseconds(values["available_at"]))
    rows = run_query(
        """WITH moved AS (
             SELECT v.entity_id, r.attribute, r.valid_from,
               greatest(r.available_at, v.since) AS available_at, r.value
             FROM rows r JOIN views v ON v.old_id = r.entity_id
             WHERE v.entity_id <> v.old_id AND greatest(r.available_at, v.since) < v.until)
           SELECT r.* FROM rows r LEFT JOIN views v
             ON v.old_id = r.entity_id AND v.entity_id = v.old_id
           WHERE v.until IS NULL OR r.available_at < v.until
           UNION ALL
           SELECT m.* FROM moved m WHERE NOT EXISTS (
             SELECT 1 FROM rows r WHERE r.entity_id = m.entity_id AND r.attribute = m.attribute
               AND r.available_at <= m.available_at)""",
        rows=values.set_column(values.column_names.index("available_at"), "available_at", known),
        views=merges.views,
    )
    rows = rows.set_column(3, "available_at", rows["available_at"].cast(INSTANT))
    return rows.filter(pa.array(leads.find(rows["entity_id"]) >= 0)).cast(VALUES)


def count_moved(rows: pa.Table, merges: LeadMerges) -> int:
    """Return the number of rows of ids that became another one."""
    if not merges:
        return 0
    return pc.sum(pc.is_in(rows["entity_id"], value_set=merges.old_ids)).as_py() or 0


def _iter_pieces(log: pa.Table) -> Iterator[pa.Table]:
    return (pa.Table.from_batches([batch]) for batch in log.to_batches())


def _filter_rows(piece: pa.Table, ids: pa.Array, *, keep: bool) -> pa.Table:
    is_touched = pc.is_in(piece["entity_id"], value_set=ids)
    return piece.filter(is_touched if keep else pc.invert(is_touched))


def _append_piece(pieces: Iterator[pa.Table], last: pa.Table) -> Iterator[pa.Table]:
    yield from pieces
    yield last
