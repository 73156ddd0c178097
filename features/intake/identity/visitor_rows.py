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
from features.visitors.links import UNIDENTIFIED, WITHDRAWN_ONLY, VisitorLinks

# The lead of a row of a visitor until all rows are read: this minus the row of its ownership, or of
# any ownership of the visitor if the link was taken back.
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
    entity_ids: pa.Array
    lead_rows: np.ndarray

    @classmethod
    def open(cls, links: VisitorLinks, leads: IdIndex | None, merges: LeadMerges) -> OwnerLookup:
        """Return the lookup; without leads there are no links."""
        ids = links.ownerships["entity_id"]
        rows = np.empty(0, np.int32) if leads is None else find_lead_rows(ids, leads, merges)
        return cls(links, ids.combine_chunks(), rows)

    def find_visitors(
        self, visitors: pa.ChunkedArray, columns: dict[str, pa.Array]
    ) -> tuple[np.ndarray, pa.Array]:
        """Return the column ``lead`` of rows of visitors, and a mask of those never identified.

        ``columns`` has the ``entity_id``, ``time`` and ``available`` of the rows. The lead of the
        others is -1.
        """
        is_visitor = pc.and_(pc.is_null(columns["entity_id"]), pc.is_valid(visitors))
        mask = is_visitor.to_numpy(zero_copy_only=False)
        place = np.where(mask, self.links.index.find(visitors), -1)
        # A row without a time is rejected for that.
        time, known = (
            pc.fill_null(columns[n], 0).to_numpy(zero_copy_only=False)
            for n in ("time", "available")
        )
        owner = self.links.find_owners(place, time, known)
        withdrawn = np.flatnonzero(owner == WITHDRAWN_ONLY)
        owner[withdrawn] = self.links.rows.first[place[withdrawn]]
        owned = owner != UNIDENTIFIED
        return np.where(owned, np.int32(FIRST_VISITOR) - owner, -1), pa.array(mask & ~owned)


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
    changing = lookup.links.find_changing()
    pieces = (_assign_piece(batch, lookup, changing, withdrawn) for batch in log.to_batches())
    assigned = SpillBuffer.collect(log.schema, pieces, scratch)
    return assigned, pa.concat_tables([WITHDRAWN.empty_table(), *withdrawn])


def _assign_piece(
    batch: pa.RecordBatch, lookup: OwnerLookup, changing: np.ndarray, withdrawn: list[pa.Table]
) -> pa.Table:
    piece = pa.Table.from_batches([batch])
    lead = piece["lead"].to_numpy()
    is_visitor = lead <= FIRST_VISITOR
    if not is_visitor.any():
        return piece
    owner = np.where(is_visitor, FIRST_VISITOR - lead, UNIDENTIFIED)
    moved = np.flatnonzero(is_visitor & changing[owner])
    if len(moved):
        owner[moved] = _settle_owners(piece, moved, owner[moved], lookup, withdrawn)
        stays = ~is_visitor | (owner >= 0)
        piece, owner = piece.filter(pa.array(stays)), owner[stays]
    return _give_rows(piece, owner, column_to_microseconds(piece["available_at"]), lookup)


def _settle_owners(
    piece: pa.Table,
    places: np.ndarray,
    owner: np.ndarray,
    lookup: OwnerLookup,
    withdrawn: list[pa.Table],
) -> np.ndarray:
    """Return the last owner of rows of visitors whose links changed; collect what was undone."""
    rows, visitor = piece.take(pa.array(places)), lookup.links.find_visitors(owner)
    time, known = (column_to_microseconds(rows[n]) for n in ("event_time", "available_at"))
    event, ended = lookup.links.find_withdrawn(visitor, time, known)
    if len(event):
        undone = _give_rows(rows.take(pa.array(event)), ended, known[event], lookup)
        until = pa.array(lookup.links.rows.until[ended]).cast(INSTANT)
        undone = undone.append_column(WITHDRAWN.field("until"), until)
        withdrawn.append(undone.select(WITHDRAWN.names).cast(WITHDRAWN))
    return lookup.links.find_owners(visitor, time, known)


def _give_rows(
    piece: pa.Table, owner: np.ndarray, known: np.ndarray, lookup: OwnerLookup
) -> pa.Table:
    """Return rows as those of the leads of ``owner``; rows with a negative one stay as they are."""
    given = owner >= 0
    row = np.where(given, owner, 0)
    entity = lookup.entity_ids.take(pa.array(owner, mask=~given))
    lead, since = lookup.lead_rows[row], lookup.links.rows.since[row]
    if not given.all():
        entity = pc.coalesce(pa.chunked_array([entity]), piece["entity_id"])
        lead = np.where(given, lead, piece["lead"].to_numpy())
        since = np.where(given, since, known)
    columns = {"entity_id": entity, "lead": pa.array(lead)}
    columns["available_at"] = pa.array(np.maximum(known, since)).cast(INSTANT)
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
