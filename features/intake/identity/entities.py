"""Leads of a company without a leads source: one per entity in the event log."""

from __future__ import annotations

import pyarrow as pa

from features.contracts import INSTANT, LEADS
from features.tools.duckdb_sql import run_query

# Rows that wait, about, before they are made one a lead, so that memory grows with the leads only.
MAX_BUFFERED_ROWS = 1 << 22

ENTITY_SCHEMA = pa.schema(
    [
        ("entity_id", pa.string()),
        ("time", pa.int64()),
        ("available", pa.int64()),
        ("account_id", pa.string()),
        ("account_known", pa.int64()),
    ]
)


class EntityCollector:
    """Collects the leads of a log piece by piece.

    A lead is created, and becomes known, with its first event. Its account is the one that became
    known first; at a tie the smallest.
    """

    def __init__(self) -> None:
        self._pieces, self._limit = [ENTITY_SCHEMA.empty_table()], MAX_BUFFERED_ROWS

    def add(self, rows: pa.Table) -> None:
        """Add rows with ``entity_id``, ``account_id``, and ``time`` and ``available`` in µs."""
        rows = rows.append_column("account_known", rows["available"])
        self._pieces.append(rows.select(ENTITY_SCHEMA.names).cast(ENTITY_SCHEMA))
        if sum(map(len, self._pieces)) > self._limit:
            self._pieces = [_aggregate_by_entity(pa.concat_tables(self._pieces))]
            # Grows with the number of leads, so that the total work stays linear in the rows.
            self._limit = MAX_BUFFERED_ROWS + 2 * len(self._pieces[0])

    def to_table(self) -> pa.Table:
        """Return the leads as LEADS, ordered by id."""
        entities = _aggregate_by_entity(pa.concat_tables(self._pieces))
        columns = {"entity_id": entities["entity_id"], "account_id": entities["account_id"]}
        columns |= {
            "created_at": entities["time"].cast(INSTANT),
            "available_at": entities["available"].cast(INSTANT),
        }
        return pa.table(columns).cast(LEADS)


def _aggregate_by_entity(rows: pa.Table) -> pa.Table:
    """Return one row per entity, in the order of ids; the rows may be aggregated ones."""
    entities = run_query(
        """SELECT entity_id, min(time) AS time, arg_min(available, (time, available)) AS available,
             arg_min(account_id, (account_known, account_id))
               FILTER (account_id IS NOT NULL) AS account_id,
             min(account_known) FILTER (account_id IS NOT NULL) AS account_known
           FROM rows GROUP BY entity_id ORDER BY entity_id""",
        rows=rows,
    )
    return entities.select(ENTITY_SCHEMA.names).cast(ENTITY_SCHEMA)
