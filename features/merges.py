"""Merged records: which id became which other one, and from when on that was known.

At a cutoff after a merge became known its two records are one: the rows of the old id count for the
new one, and the old one is no lead any more. Before, they are two. So no row of the past changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.tools.id_index import IdIndex
from features.tools.instants import NEVER_US, column_to_microseconds

# Earlier than every instant: a merge without a time holds at every cutoff.
ALWAYS_US = -(1 << 62)

# One row for each lead that the rows of an old id count for, in the order of the merges; the first
# is the old id itself, which need not be a lead.
VIEWS = pa.schema(
    [
        pa.field("old_id", pa.string(), nullable=False),
        pa.field("entity_id", pa.string(), nullable=False),
        # Cutoffs in ``(since, until]``, in microseconds since 1970.
        pa.field("since", pa.int64(), nullable=False),
        pa.field("until", pa.int64(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Merges:
    """Merges of records, each with the instant from which it holds, in microseconds since 1970.

    Attributes:
        into: New id and instant by old id; without circles.
    """

    into: Mapping[str, tuple[str, int]] = field(default_factory=dict)

    def find_final(self, entity: str) -> str:
        """Return the id that an id has become in the end."""
        while entity in self.into:
            entity = self.into[entity][0]
        return entity

    def list_finals(self) -> dict[str, str]:
        """Return for each id of a merge, old or new, the id that it has become in the end."""
        ids = {*self.into, *(new for new, _ in self.into.values())}
        return {entity: self.find_final(entity) for entity in sorted(ids)}

    def list_records_of(self, entity: str) -> list[str]:
        """Return all ids of the record that an id belongs to, ordered; the id alone without any."""
        final = self.find_final(entity)
        same = (other for other, end in self.list_finals().items() if end == final)
        return sorted({entity, *same})

    def to_leads(self, leads: pa.Table) -> LeadMerges:
        """Return the leads that the rows of each old id count for.

        At a cutoff an id is the last known lead to which the merges lead that are known by then.
        """
        if not self.into:
            return LeadMerges()
        known = column_to_microseconds(leads["available_at"])
        finals = self.list_finals()
        places = IdIndex.from_column(leads["entity_id"]).find(pa.array(finals, pa.string()))
        joined = {
            entity: int(known[place])
            for entity, place in zip(finals, places.tolist(), strict=True)
            if place >= 0
        }
        rows = [row for old in sorted(self.into) for row in self._list_views(old, joined)]
        columns = zip(*rows, strict=True) if rows else ([],) * len(VIEWS)
        arrays = [pa.array(c, f.type) for c, f in zip(columns, VIEWS, strict=True)]
        return LeadMerges(pa.table(arrays, schema=VIEWS))

    def _list_views(self, old: str, joined: dict[str, int]) -> list[tuple[str, str, int, int]]:
        """Return the VIEWS of an old id; none if it has become no lead."""
        starts, entity, since = [(old, ALWAYS_US)], old, ALWAYS_US
        while entity in self.into:
            entity, instant = self.into[entity]
            since = max(since, instant)
            if entity in joined:
                # A merge without a time holds as soon as the new lead is known.
                starts.append((entity, max(since, joined[entity])))
        rows, until = list[tuple[str, str, int, int]](), NEVER_US
        for entity, since in reversed(starts):
            # A later merge may be known earlier.
            if since < until:
                rows.append((old, entity, since, until))
            until = min(until, since)
        return rows[::-1] if len(starts) > 1 else []


@dataclass(frozen=True)
class LeadMerges:
    """Leads that became another one, as seen at each cutoff.

    Attributes:
        views: VIEWS.
    """

    views: pa.Table = field(default_factory=VIEWS.empty_table)

    def __bool__(self) -> bool:
        """Return whether there is any merge."""
        return bool(self.views.num_rows)

    def before(self, instant: int) -> Self:
        """Return the merges that were known before an instant."""
        if not self:
            return self
        views = self.views.filter(pc.less(self.views["since"], instant))
        until = pc.if_else(pc.less(views["until"], instant), views["until"], NEVER_US)
        views = views.set_column(3, VIEWS.field("until"), until)
        alone = pc.and_(pc.equal(views["since"], ALWAYS_US), pc.equal(views["until"], NEVER_US))
        return type(self)(views.filter(pc.invert(alone)))

    def ends(self, ids: pa.ChunkedArray | pa.Array) -> np.ndarray:
        """Return the last cutoff at which each id was a record of its own; int64.

        NEVER_US for an id that became no other one.
        """
        if not self:
            return np.full(len(ids), NEVER_US)
        return np.append(self._own["until"].to_numpy(), NEVER_US)[self._index.find(ids)]

    def resolve(self, ids: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
        """Return the lead that each id has become in the end, the id itself if it became none."""
        if not self:
            return ids
        last = self.views.filter(pc.equal(self.views["until"], NEVER_US))
        return pc.coalesce(last["entity_id"].take(pc.index_in(ids, last["old_id"])), ids)

    @cached_property
    def old_ids(self) -> pa.Array:
        """Return the ids that became another one."""
        return self._own["old_id"].combine_chunks()

    @cached_property
    def _own(self) -> pa.Table:
        return self.views.filter(pc.equal(self.views["since"], ALWAYS_US))

    @cached_property
    def _index(self) -> IdIndex:
        return IdIndex.from_column(self.old_ids)
