"""Rows of web visitors: given to the lead that each turned out to be, when that was known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.contracts import INSTANT, WITHDRAWN
from features.intake.identity.merged_rows import find_lead_rows
from features.merges import LeadMerges
from features.tools.duckdb_sql import run_query
from features.tools.id_index import IdIndex
from features.tools.instants import column_to_microseconds
from features.tools.spill import SpillBuffer
from features.visitors.links import UNIDENTIFIED, VisitorLinks

# Before the id of a visitor where it stands in place of an entity's. No id begins with a blank,
# since those around ids are removed.
VISITOR_MARK = " "
# The lead of a row of a visitor, until all rows are read: this minus the visitor's position.
FIRST_VISITOR = -2


@dataclass(frozen=True)
class OwnerLookup:
    """Finds whose the rows of visitors are.

    Attributes:
        links: The links.
        entity_ids: The lead's id of each of the links' ownerships.
        lead_rows: Its row in the leads, int32.
    """

    links: VisitorLinks
    entity_ids: pa.ChunkedArray
    lead_rows: np.ndarray

    @classmethod
    def open(cls, links: VisitorLinks, leads: IdIndex | None, merges: LeadMerges) -> OwnerLookup:
        """Return the lookup; without leads there are no links."""
        ids = links.ownerships["entity_id"]
        rows = np.empty(0, np.int32) if leads is None else find_lead_rows(ids, leads, merges)
        return cls(links, ids, rows)

    def find_visitors(
        self, visitors: pa.ChunkedArray, columns: dict[str, pa.Array]
    ) -> tuple[np.ndarray, pa.Array]:
        """Return the column ``lead`` of rows of visitors, and a mask of those never identified.

        ``columns`` has the ``entity_id``, ``time`` and ``available`` of the rows. The lead of the
        others is -1.
        """
        is_visitor = pc.and_(pc.is_null(columns["entity_id"]), pc.is_valid(visitors))
        mask = is_visitor.to_numpy()
        place = np.where(mask, self.links.index.find(visitors), -1)
        # A row without a time is rejected for that.
        time, known = (
            pc.fill_null(columns[n], 0).to_numpy(zero_copy_only=False)
            for n in ("time", "available")
        )
        owned = self.links.find_owners(place, time, known) != UNIDENTIFIED
        return (
            np.where(owned, FIRST_VISITOR - place, -1).astype(np.int32),
            pa.array(mask & ~owned),
        )


def mark_visitors(rows: pa.Table) -> pa.Table:
    """Return rows in which the id of a visitor, marked, stands in for that of an entity."""
    visitors = pc.binary_join_element_wise(VISITOR_MARK, rows["visitor_id"], "")
    ids = pc.coalesce(rows["entity_id"], visitors)
    place = rows.column_names.index("entity_id")
    return rows.set_column(place, "entity_id", ids).drop_columns(["visitor_id"])


def count_identified(log: pa.Table) -> int:
    """Return the number of rows of a log that links give to leads."""
    return pc.sum(pc.less_equal(log["lead"], FIRST_VISITOR)).as_py() or 0


def assign_visitors(
    log: pa.Table, lookup: OwnerLookup, scratch: Path | None
) -> tuple[pa.Table, pa.Table]:
    """Return the log with the rows of visitors as those of their leads, and WITHDRAWN.

    A row is the lead's when it and the link were known; it moves to WITHDRAWN once for each time
    that a link ended which had made it a lead's.
    """
    if not lookup.links:
        return log, WITHDRAWN.empty_table()
    withdrawn = list[pa.Table]()
    pieces = (_assign_piece(batch, lookup, withdrawn) for batch in log.to_batches())
    assigned = SpillBuffer.collect(log.schema, pieces, scratch)
    return assigned, pa.concat_tables([WITHDRAWN.empty_table(), *withdrawn])


def _assign_piece(
    batch: pa.RecordBatch, lookup: OwnerLookup, withdrawn: list[pa.Table]
) -> pa.Table:
    piece = pa.Table.from_batches([batch])
    lead = piece["lead"].to_numpy()
    is_visitor = lead <= FIRST_VISITOR
    if not is_visitor.any():
        return piece
    visitor = np.where(is_visitor, FIRST_VISITOR - lead, -1)
    time, known = (column_to_microseconds(piece[n]) for n in ("event_time", "available_at"))
    event, owner = lookup.links.find_withdrawn(visitor, time, known)
    if len(event):
        rows = _give_rows(piece.take(pa.array(event)), owner, known[event], lookup)
        until = pa.array(lookup.links.rows.until[owner]).cast(INSTANT)
        rows = rows.append_column(WITHDRAWN.field("until"), until)
        withdrawn.append(rows.select(WITHDRAWN.names).cast(WITHDRAWN))
    owner = lookup.links.find_owners(visitor, time, known)
    stays = ~is_visitor | (owner >= 0)
    piece, owner, known = piece.filter(pa.array(stays)), owner[stays], known[stays]
    return _give_rows(piece, owner, known, lookup)


def _give_rows(
    piece: pa.Table, owner: np.ndarray, known: np.ndarray, lookup: OwnerLookup
) -> pa.Table:
    """Return rows as those of the leads of ``owner``; rows with a negative one stay as they are."""
    given = owner >= 0
    place = pa.array(owner, mask=~given)
    row = np.where(given, owner, 0)
    since = np.where(given, lookup.links.rows.since[row], known)
    columns = {
        "entity_id": pc.coalesce(lookup.entity_ids.take(place), piece["entity_id"]),
        "available_at": pa.array(np.maximum(known, since)).cast(INSTANT),
        "lead": pa.array(np.where(given, lookup.lead_rows[row], piece["lead"].to_numpy())),
    }
    for name, column in columns.items():
        at = piece.column_names.index(name)
        piece = piece.set_column(at, piece.schema.field(name), column)
    return piece


def move_withdrawn(withdrawn: pa.Table, merges: LeadMerges) -> pa.Table:
    """Return WITHDRAWN with the rows of merged records, as far as they counted after the merge."""
    if not merges or not withdrawn.num_rows:
        return withdrawn
    names = [name for name in WITHDRAWN.names if name not in ("entity_id", "available_at", "until")]
    times = {n: pa.array(column_to_microseconds(withdrawn[n])) for n in ("available_at", "until")}
    columns = {name: withdrawn[name] for name in ("entity_id", *names)} | times
    rows = run_query(
        f"""SELECT coalesce(v.entity_id, t.entity_id) AS entity_id, {", ".join(names)},
              greatest(t.available_at, coalesce(v.since, t.available_at)) AS available_at,
              least(t.until, coalesce(v.until, t.until)) AS until
            FROM rows t LEFT JOIN views v ON v.old_id = t.entity_id
            WHERE v.until IS NULL OR greatest(t.available_at, v.since) < least(t.until, v.until)
            ORDER BY ALL""",  # noqa: S608 - schema names
        rows=pa.table(columns),
        views=merges.views,
    )
    for name in ("available_at", "until"):
        at = rows.column_names.index(name)
        rows = rows.set_column(at, name, rows[name].cast(INSTANT))
    return rows.select(WITHDRAWN.names).cast(WITHDRAWN)
