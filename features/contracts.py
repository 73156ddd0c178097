"""Schemas of all tables, columns, types, units and meaning, and the time rules they obey.

The time rules, stated once:

1. Every instant is UTC in microseconds. A naive source time is read in the config's time zone. No
code reads the clock.
2. ``available_at = max(event_time, known_at)``. Features at a cutoff see an event if and only if
``available_at < cutoff``; a window of length w contains event times in ``[cutoff - w, cutoff)``.
The same holds for a value in a history, with ``valid_from`` in place of ``event_time``.
3. A label is 1 if the outcome happens in ``[cutoff, cutoff + horizon)`` and is not revoked; the
row is mature if ``cutoff + horizon <= observation_date``. An immature row has no label.
4. Segments are ordered in time: ``max(earlier cutoff) + horizon + embargo <= min(later cutoff)``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.arrivals import Arrivals
from features.merges import LeadMerges
from features.readings.columns import Readings
from features.readings.source_form import FormEntry
from features.suppressed import Suppression
from features.tools.id_index import IdIndex
from features.tools.instants import to_microseconds
from features.tools.spill import SpillBuffer
from features.visitors.links import VisitorLinks

INSTANT = pa.timestamp("us", tz="UTC")


def make_field(name: str, kind: pa.DataType, meaning: str, nullable: bool = False) -> pa.Field:
    """Return a field of a schema, with its meaning as metadata."""
    return pa.field(name, kind, nullable=nullable, metadata={"meaning": meaning})


def column_meaning(field: pa.Field) -> str:
    """Return the meaning of a column, as its contract defines it."""
    meaning: bytes = field.metadata[b"meaning"]
    return meaning.decode()


# Words for the types of columns, for people.
TYPE_NAMES = {
    pa.string(): "text",
    pa.float64(): "fraction",
    pa.int64(): "integer",
    INSTANT: "instant",
    pa.bool_(): "true or false",
}


# One row per entity, ordered by entity_id. Attributes follow as further columns, float64 or string,
# null if missing.
LEADS = pa.schema(
    [
        make_field("entity_id", pa.string(), "what is scored; unique in the table"),
        make_field(
            "account_id", pa.string(), "company or household the entity belongs to", nullable=True
        ),
        make_field("created_at", INSTANT, "when the entity was created"),
        make_field(
            "available_at", INSTANT, "when the row could first be read: max(created_at, known_at)"
        ),
    ]
)

# One row per event, in no particular order, without equal rows.
EVENTS = pa.schema(
    [
        make_field("entity_id", pa.string(), "the entity it happened to"),
        make_field("event_time", INSTANT, "when it happened"),
        make_field(
            "available_at", INSTANT, "when it could first be read: max(event_time, known_at)"
        ),
        make_field("event_type", pa.string(), "what happened"),
        make_field(
            "channel", pa.string(), "channel of the event, such as email or phone", nullable=True
        ),
        make_field(
            "value",
            pa.float64(),
            "an amount carried by the event, in the source's unit",
            nullable=True,
        ),
    ]
)

# One row per event and time that it was taken back from an entity, since a link of a web visitor
# ended: it is the entity's at as-ofs and cutoffs in ``(available_at, until]``.
WITHDRAWN = pa.schema(
    [*EVENTS, make_field("until", INSTANT, "last as-of at which it was the entity's")]
)

# One row per value that an attribute took on, ordered by all columns from left to right, null
# first, without equal rows.
VALUES = pa.schema(
    [
        make_field("entity_id", pa.string(), "the entity that has the attribute"),
        make_field("attribute", pa.string(), "the attribute's name"),
        make_field("valid_from", INSTANT, "start of the value's validity"),
        make_field(
            "available_at", INSTANT, "when the row could first be read: max(valid_from, known_at)"
        ),
        make_field(
            "value", pa.string(), "the value as written; null where it was cleared", nullable=True
        ),
    ]
)

# One row per amount that was spent on a channel, ordered by all columns from left to right. Equal
# rows may occur: two amounts with ids of their own.
COSTS = pa.schema(
    [
        make_field("date", INSTANT, "start of the day, or of the period, of the cost"),
        make_field("channel", pa.string(), "what the amount was spent on"),
        make_field(
            "cost", pa.float64(), "the amount in the source's currency; a credit is below 0"
        ),
        make_field(
            "available_at", INSTANT, "when the row could first be read: max(date, known_at)"
        ),
    ]
)

# One row per lead and assignment of an arm at random, ordered by all columns from left to right.
EXPERIMENTS = pa.schema(
    [
        make_field("entity_id", pa.string(), "the lead"),
        make_field("assigned_at", INSTANT, "when the arm was drawn"),
        make_field("arm", pa.string(), "name of the arm"),
        make_field("treated", pa.bool_(), "whether the arm has outreach"),
        make_field("propensity", pa.float64(), "probability that an arm with outreach was drawn"),
        make_field("channel", pa.string(), "channel of the outreach", nullable=True),
        make_field(
            "available_at", INSTANT, "when the row could first be read: max(assigned_at, known_at)"
        ),
    ]
)

# One row per (entity, cutoff), ordered by (cutoff, entity_id).
SPINE = pa.schema(
    [
        make_field("entity_id", pa.string(), "the entity"),
        make_field("cutoff", INSTANT, "features look back from here, the label looks forward"),
    ]
)

# One row per spine row, in the spine's order.
LABELS = pa.schema(
    [
        *SPINE,
        make_field("mature", pa.bool_(), "the whole horizon lies before the observation date"),
        make_field(
            "label",
            pa.int8(),
            "1 if the outcome happens within the horizon; null if immature",
            nullable=True,
        ),
        make_field(
            "outcome_at",
            INSTANT,
            "first outcome at or after the cutoff that is not revoked, however late",
            nullable=True,
        ),
    ]
)

# A week holds each weekday once. Forecasts of 14 and 30 days said less of the outcome (simulated
# company: 0.3 and 0.6 points less skill): they depend less on the present state of the lead.
ACTIVITY_SPAN = timedelta(days=7)
# Its column beside LABELS, float64: events in ``[cutoff, cutoff + ACTIVITY_SPAN)``.
ACTIVITY = "activity"


@dataclass(frozen=True)
class SourceCount:
    """Row counts of one source.

    They add up: ``rows_in == used + skipped + suppressed + sum(quarantined.values())``.

    Attributes:
        source: Name of the source, such as ``leads`` or ``events_1``.
        rows_in: Rows read.
        used: Rows used.
        skipped: Rows that are no lead's events yet: the config declares so, they lie after the
            clock, or they are of web visitors who were never identified.
        quarantined: Rows by reason of quarantine.
        suppressed: Rows of entities that must not be scored, unless models may learn from them.
        arrivals: Times at which the used rows, and duplicates of them, became known; None if the
            data has no times.
        repeated: Entities of leads without an id whose rows repeat each other, as a table of
            ``entity_id`` and ``group_id``, the entity of the group's first row; None if there are
            none.
        breaches: One line for each rule of ``sources.contract`` that is broken and stops a run.
        warnings: One line for each doubtful reading of the source: what, where, how many rows with
            an example, and how to fix it.
        form: The form in which the source is written, such as its encoding.
        moved: Used rows of ids that were merged into another one (``sources.same_as``).
        identified: Used rows of web visitors, which are leads' by ``sources.identities``.
        anonymous: Those of the skipped rows that are of visitors who were never identified.
    """

    source: str
    rows_in: int
    used: int
    skipped: int = 0
    quarantined: dict[str, int] = field(default_factory=dict)
    suppressed: int = 0
    arrivals: Arrivals | None = field(default=None, compare=False, repr=False)
    repeated: pa.Table | None = field(default=None, compare=False, repr=False)
    breaches: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    form: tuple[FormEntry, ...] = field(default=(), compare=False)
    moved: int = 0
    identified: int = 0
    anonymous: int = 0

    def to_json(self) -> dict[str, object]:
        """Return counts, warnings and form as plain JSON values."""
        return {
            "source": self.source,
            "rows_in": self.rows_in,
            "used": self.used,
            "skipped": self.skipped,
            "suppressed": self.suppressed,
            "moved": self.moved,
            "identified": self.identified,
            "anonymous": self.anonymous,
            "quarantined": dict(self.quarantined),
            "warnings": list(self.warnings),
            "form": [entry.to_json() for entry in self.form],
        }


@dataclass(frozen=True)
class EventLeadRows:
    """The lead of each event, as found while the events were read.

    Attributes:
        leads: The leads table to which ``lead_row`` refers.
        events: The events table, one element of ``lead_row`` per row.
        lead_row: Row number in ``leads``, int32.
    """

    leads: pa.Table
    events: pa.Table
    lead_row: pa.ChunkedArray


@dataclass(frozen=True)
class Dataset:
    """Normalised tables of a company.

    Attributes:
        leads: LEADS plus attribute columns.
        events: EVENTS.
        counts: Row counts of each source.
        fingerprint: Hash of the content of the tables as read.
        timed: False if the source has no times; ``created_at`` then only carries the order of the
            rows, in seconds from 1970, and has no other meaning.
        ordered: False if even the order of the rows has no meaning.
        values: VALUES, the histories of attributes.
        costs: COSTS, what was spent on each channel.
        experiments: EXPERIMENTS, assignments of outreach at random.
        scratch: Directory for events that exceed memory, if any.
        suppressed: Entities that must not be scored; the tables exclude them, unless models may
            learn from them.
        event_lead_rows: Lead of each event, which saves a lookup as long as both tables are
            unchanged.
        readings: How the attributes were read.
        merges: Leads that became another one; rows of the old ids count for the new ones.
        withdrawn: WITHDRAWN, events of web visitors whose link was taken back; only cutoffs before
            that see them.
        links: Links of web visitors to leads.
        leads_from_events: Whether the leads were derived from the events, without a source of
            their own.
    """

    leads: pa.Table
    events: pa.Table
    counts: tuple[SourceCount, ...]
    fingerprint: str
    timed: bool = True
    ordered: bool = True
    values: pa.Table = field(default_factory=VALUES.empty_table)
    scratch: Path | None = None
    suppressed: Suppression = field(default_factory=Suppression)
    event_lead_rows: EventLeadRows | None = field(default=None, compare=False, repr=False)
    readings: Readings = field(default_factory=Readings, compare=False, repr=False)
    leads_from_events: bool = False
    merges: LeadMerges = field(default_factory=LeadMerges)
    costs: pa.Table = field(default_factory=COSTS.empty_table)
    withdrawn: pa.Table = field(default_factory=WITHDRAWN.empty_table)
    links: VisitorLinks = field(default_factory=VisitorLinks, repr=False)
    experiments: pa.Table = field(default_factory=EXPERIMENTS.empty_table)

    def cut_at(self, as_of: datetime) -> Self:
        """Return the rows that were available before ``as_of``.

        Cutoffs before the as-of are enforced row by row, in the kernels.

        Counts and fingerprint stay those of the whole data set.
        """
        if not self.timed:
            return self
        tables = {"leads": self.leads, "events": self.events, "values": self.values}
        tables |= {"costs": self.costs, "experiments": self.experiments}
        cut = {
            name: filter_available_before(table, as_of, self.scratch)
            for name, table in tables.items()
        }
        if self.withdrawn.num_rows:
            cut |= self._cut_withdrawn(cut["events"], as_of)
        instant = to_microseconds(as_of)
        merges, links = self.merges.before(instant), self.links.before(instant)
        return replace(self, **cut, merges=merges, links=links)

    def _cut_withdrawn(self, events: pa.Table, as_of: datetime) -> dict[str, pa.Table]:
        """Return the events with those not withdrawn before ``as_of``, and the others of these."""
        known = filter_available_before(self.withdrawn, as_of)
        is_past = pc.less(known["until"], pa.scalar(as_of, INSTANT))
        standing = known.filter(pc.invert(is_past)).select(EVENTS.names)
        pieces = (
            pa.Table.from_batches([b]) for b in (*events.to_batches(), *standing.to_batches())
        )
        events = SpillBuffer.collect(EVENTS, pieces, self.scratch) if len(standing) else events
        return {"events": events, "withdrawn": known.filter(is_past)}

    @cached_property
    def lead_ids(self) -> IdIndex:
        """Return the index of the leads' ids, from id to row number."""
        return IdIndex.from_column(self.leads["entity_id"])

    def find_leads(self, entities: pa.ChunkedArray) -> np.ndarray:
        """Return each entity's row number in ``leads``, int64, -1 if it is not there."""
        return self.lead_ids.find(entities).astype(np.int64)

    def find_final_leads(self, entities: pa.ChunkedArray) -> np.ndarray:
        """Return the row in ``leads`` of what each entity has become by merges, as find_leads."""
        own, final = self.find_leads(entities), self.find_leads(self.merges.resolve(entities))
        return np.where(final < 0, own, final)

    def find_groups(self, entities: pa.ChunkedArray) -> pa.Array:
        """Return the group that holds each entity and those dependent on it, null for one alone.

        A group is an account, or without one, the leads without an id whose rows repeat each other.
        Leads of which one became the other have one group.
        """
        entities = self.merges.resolve(entities)
        rows = pa.array(self.find_leads(entities))
        group = pc.binary_join_element_wise("account", self.leads["account_id"].take(rows), " ")
        for count in self.counts:
            if count.repeated is not None:
                place = pc.index_in(entities, count.repeated["entity_id"])
                copies = count.repeated["group_id"].take(place)
                group = pc.coalesce(group, pc.binary_join_element_wise("rows", copies, " "))
        return group.combine_chunks() if isinstance(group, pa.ChunkedArray) else group

    def find_clusters(self, entities: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
        """Return for each entity a text that those dependent on it share, in folds and intervals.

        It is the group of ``find_groups``; the entity itself where no entity has a group.
        """
        group = self.find_groups(entities)
        entities = self.merges.resolve(entities)
        if group.null_count == len(group):
            return entities
        # With a prefix, so that no id can be equal to the key of a group.
        alone = pc.binary_join_element_wise("entity", entities, " ")
        return pc.coalesce(group, alone)

    @property
    def lead_row_of_events(self) -> pa.ChunkedArray | None:
        """Return each event's row number in ``leads``, or None if that requires a lookup."""
        rows = self.event_lead_rows
        current = rows and rows.leads is self.leads and rows.events is self.events
        return rows.lead_row if rows and current else None

    @cached_property
    def event_leads(self) -> np.ndarray:
        """Return each event's row number in ``leads``, int32, -1 if it is not there."""
        known = self.lead_row_of_events
        rows = self.lead_ids.find(self.events["entity_id"]) if known is None else known.to_numpy()
        return rows.astype(np.int32, copy=False)

    @property
    def attributes(self) -> list[str]:
        """Return the names of the attribute columns of ``leads``."""
        return [name for name in self.leads.column_names if name not in LEADS.names]

    @property
    def warnings(self) -> list[str]:
        """Return the warnings of all sources, in their order, and those of the suppressions."""
        lines = [line for count in self.counts for line in count.warnings]
        return [*lines, *self.suppressed.warnings]


def filter_available_before(
    table: pa.Table, instant: datetime, scratch: Path | None = None
) -> pa.Table:
    """Return the rows of a table with ``available_at < instant`` (time rule 2).

    They are stored in ``scratch`` if they exceed memory.
    """
    limit = pa.scalar(instant, INSTANT)
    if not table.num_rows or pc.less(pc.max(table["available_at"]), limit).as_py():
        return table
    pieces = (pa.Table.from_batches([batch]) for batch in table.to_batches())
    return SpillBuffer.collect(
        table.schema,
        (piece.filter(pc.less(piece["available_at"], limit)) for piece in pieces),
        scratch,
    )
