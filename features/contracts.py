"""Schemas of all tables, columns, types, units and meaning, and the time rules they obey.

The time rules, stated once:

1. Every instant is UTC in microseconds. A naive source time is read in the config's time zone. No
code reads the clock.
2. ``available_at = max(event_time, known_at)``. Features at a cutoff see an event if and only if
``available_at < cutoff``; a window of length w contains event times in ``[cutoff - w, cutoff)``.
The same holds for a value in a history, with ``valid_from`` in place of ``event_time``.
3. A label is 1 if the outcome happens in ``[cutoff, cutoff + horizon)``; the row is mature if
``cutoff + horizon <= observation_date``. An immature row has no label.
4. Segments are ordered in time: ``max(earlier cutoff) + horizon + embargo <= min(later cutoff)``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.arrivals import Arrivals
from features.suppressed import Suppression
from features.tools.id_index import Ids
from features.tools.spill import Shelf

INSTANT = pa.timestamp("us", tz="UTC")


def _make_field(name: str, kind: pa.DataType, meaning: str, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"meaning": meaning})


LEADS = pa.schema(
    [
        _make_field("entity_id", pa.string(), "what is scored; unique in the table"),
        _make_field(
            "account_id", pa.string(), "company or household the entity belongs to", nullable=True
        ),
        _make_field("created_at", INSTANT, "when the entity came into being"),
        _make_field(
            "available_at", INSTANT, "when the row could first be read: max(created_at, known_at)"
        ),
    ]
)
"""One row an entity, ordered by entity_id. Attributes follow as further columns, float64 or string, null if missing."""

EVENTS = pa.schema(
    [
        _make_field("entity_id", pa.string(), "the entity it happened to"),
        _make_field("event_time", INSTANT, "when it happened"),
        _make_field("available_at", INSTANT, "when it could first be read: max(event_time, known_at)"),
        _make_field("event_type", pa.string(), "what happened"),
        _make_field("channel", pa.string(), "the way it came, such as email or phone", nullable=True),
        _make_field(
            "value",
            pa.float64(),
            "an amount carried by the event, in the source's unit",
            nullable=True,
        ),
    ]
)
"""One row an event, in no order that anyone may rely on, no two rows equal."""

VALUES = pa.schema(
    [
        _make_field("entity_id", pa.string(), "the entity that has the attribute"),
        _make_field("attribute", pa.string(), "the attribute's name"),
        _make_field("valid_from", INSTANT, "since when it has the value"),
        _make_field(
            "available_at", INSTANT, "when that could first be read: max(valid_from, known_at)"
        ),
        _make_field(
            "value", pa.string(), "the value as written; null where it was cleared", nullable=True
        ),
    ]
)
"""One row a value an attribute took on, ordered by all columns from left to right, null first, no two rows equal."""

SPINE = pa.schema(
    [
        _make_field("entity_id", pa.string(), "the entity to compute"),
        _make_field("cutoff", INSTANT, "look back for features and forward for the label from here"),
    ]
)
"""One row an (entity, cutoff), ordered by (cutoff, entity_id)."""

LABELS = pa.schema(
    [
        *SPINE,
        _make_field("mature", pa.bool_(), "the whole horizon lies before the observation date"),
        _make_field(
            "label",
            pa.int8(),
            "1 if the outcome happens within the horizon; null if immature",
            nullable=True,
        ),
        _make_field(
            "outcome_at",
            INSTANT,
            "first outcome known at or after the cutoff, however late",
            nullable=True,
        ),
    ]
)
"""One row a spine row, in the spine's order."""

SCORES = pa.schema(
    [
        _make_field("project", pa.string(), "the project of the config"),
        _make_field("target", pa.string(), "the target of the config"),
        _make_field("entity_id", pa.string(), "the entity scored"),
        _make_field("account_id", pa.string(), "its account", nullable=True),
        _make_field("as_of", INSTANT, "the night of the scores"),
        _make_field(
            "cutoff",
            INSTANT,
            "the instant the features look back from: the as-of, or the entity's own cutoff where the target scores "
            "once after entry",
        ),
        _make_field(
            "probability",
            pa.float64(),
            "calibrated chance of the outcome within the horizon, 0 to 1",
        ),
        _make_field("probability_low", pa.float64(), "lower end of the 90 % interval"),
        _make_field("probability_high", pa.float64(), "upper end of the 90 % interval"),
        _make_field(
            "score", pa.int64(), "1 to 100, a monotone map of the probability frozen with the model"
        ),
        _make_field(
            "grade",
            pa.string(),
            "A to D by the score; rises at once when the score is more than publish.steady points (5) beyond the edge, "
            "falls only after days of a lower score (docs/grades-and-lists.md)",
        ),
        _make_field("rank", pa.int64(), "1 is the most probable lead of this as-of; ties by entity_id"),
        _make_field(
            "percentile",
            pa.float64(),
            "share of this as-of's leads that are no more probable, 0 to 100",
        ),
        _make_field(
            "amount",
            pa.float64(),
            "what an outcome is expected to be worth, in the amount's unit",
            nullable=True,
        ),
        _make_field(
            "expected_value",
            pa.float64(),
            "probability times amount, in the amount's unit",
            nullable=True,
        ),
        _make_field(
            "outcome_days_50",
            pa.float64(),
            "if the outcome comes within the horizon: days from the cutoff by which half of the cases have come",
            nullable=True,
        ),
        _make_field("outcome_days_80", pa.float64(), "the same in eight of ten cases", nullable=True),
        _make_field(
            "reasons", pa.string(), "JSON list of feature, value, contribution (log-odds), sentence"
        ),
        _make_field(
            "fit",
            pa.int64(),
            "1 to 100: what is known of the lead itself, against those learnt from; null where reasons are not given",
            nullable=True,
        ),
        _make_field(
            "engagement",
            pa.int64(),
            "1 to 100: the same of what it and its account have done",
            nullable=True,
        ),
        _make_field("evidence", pa.string(), "enough, or too little"),
        _make_field("previous_score", pa.int64(), "score at the last earlier as-of", nullable=True),
        _make_field("previous_grade", pa.string(), "grade at the last earlier as-of", nullable=True),
        _make_field(
            "falling_since",
            INSTANT,
            "the first of the nights in a row on which the score is too low for the grade that is still kept",
            nullable=True,
        ),
        _make_field("trend", pa.int64(), "score minus previous_score, in points", nullable=True),
        _make_field(
            "trend_7d",
            pa.int64(),
            "score minus that of the newest as-of 7 to 14 days before",
            nullable=True,
        ),
        _make_field(
            "trend_30d",
            pa.int64(),
            "score minus that of the newest as-of 30 to 60 days before",
            nullable=True,
        ),
        _make_field(
            "owner", pa.string(), "who works it, where the config names the column", nullable=True
        ),
        _make_field(
            "listed",
            pa.string(),
            "pick or explore (drawn at random) for a lead on its owner's list of this week",
            nullable=True,
        ),
        _make_field(
            "review_at",
            INSTANT,
            "the day to look at it again, kept until it has come: midnight in the company's zone",
            nullable=True,
        ),
        _make_field("model_version", pa.string(), "version of the registered model"),
        _make_field("run_id", pa.string(), "the ledger row that published it"),
        _make_field("scored_at", INSTANT, "when the run published it, by the machine's clock"),
    ]
)
"""One row a (project, target, entity_id, as_of), ordered by (target, rank)."""

ACCOUNT_SCORES = pa.schema(
    [
        _make_field("project", pa.string(), "the project of the config"),
        _make_field("target", pa.string(), "the target of the config"),
        _make_field("account_id", pa.string(), "the account of the entities"),
        _make_field("as_of", INSTANT, "the night of the scores"),
        _make_field(
            "probability",
            pa.float64(),
            "chance that at least one of its scored entities has the outcome, 0 to 1",
        ),
        _make_field(
            "rank", pa.int64(), "1 is the most probable account of this as-of; ties by account_id"
        ),
        _make_field(
            "expected_value",
            pa.float64(),
            "sum of those of its scored entities where known",
            nullable=True,
        ),
        _make_field("entities", pa.int64(), "its scored entities"),
        _make_field(
            "main_contact",
            pa.string(),
            "the most probable of them, as entity_id; ties by entity_id",
        ),
        _make_field("main_probability", pa.float64(), "the chance of the main contact"),
        _make_field("people", pa.int64(), "its entities known before the as-of, scored or not"),
        _make_field(
            "active_people",
            pa.int64(),
            "those of them with an event in [as-of − 30 days, as-of)",
            nullable=True,
        ),
        _make_field("model_version", pa.string(), "version of the registered model"),
        _make_field("run_id", pa.string(), "the ledger row that published it"),
        _make_field("scored_at", INSTANT, "when the run published it, by the machine's clock"),
    ]
)
"""One row a (project, target, account_id, as_of), ordered by (target, rank); entities without an account have none."""

SCORE_RUNS = pa.schema(
    [
        _make_field("run_id", pa.string(), "identifies one attempt to publish"),
        _make_field("project", pa.string(), "the project of the config"),
        _make_field("target", pa.string(), "the target of the config"),
        _make_field("as_of", INSTANT, "the night of the scores"),
        _make_field("status", pa.string(), "started, published, refused or failed"),
        _make_field("model_version", pa.string(), "version of the registered model", nullable=True),
        _make_field("code_version", pa.string(), "version of leadscore"),
        _make_field("config_hash", pa.string(), "hash of the config as read"),
        _make_field("data_fingerprint", pa.string(), "hash of the data as read", nullable=True),
        _make_field("rows", pa.int64(), "rows published", nullable=True),
        _make_field("driver", pa.string(), "direct or prefect"),
        _make_field("flow_run_id", pa.string(), "Prefect's id of the flow run", nullable=True),
        _make_field("started_at", INSTANT, "by the machine's clock"),
        _make_field("finished_at", INSTANT, "by the machine's clock", nullable=True),
        _make_field("message", pa.string(), "why it was refused or failed", nullable=True),
    ]
)
"""The run ledger: one row a (run_id, target)."""

SCORE_CHECKS = pa.schema(
    [
        _make_field("run_id", pa.string(), "the ledger row that was checked"),
        _make_field("project", pa.string(), "the project of the config"),
        _make_field(
            "target", pa.string(), "the target of the config; empty where a source was checked"
        ),
        _make_field("as_of", INSTANT, "the night of the scores"),
        _make_field("check", pa.string(), "what was checked"),
        _make_field(
            "subject",
            pa.string(),
            "of what: a source, a column, an event type; empty where of the target itself",
        ),
        _make_field(
            "observed", pa.float64(), "what was found, in the unit of the check", nullable=True
        ),
        _make_field("warn", pa.float64(), "the threshold of a warning", nullable=True),
        _make_field(
            "stop", pa.float64(), "the threshold from which nothing is published", nullable=True
        ),
        _make_field("verdict", pa.string(), "pass, warn or stop"),
        _make_field("message", pa.string(), "what is wrong, for people", nullable=True),
    ]
)
"""The checks of a run: one row a (run_id, target, check, subject)."""

SUPPRESSIONS = pa.schema(
    [
        _make_field("project", pa.string(), "the project of the config"),
        _make_field("entity_id", pa.string(), "who was left out"),
        _make_field("reason", pa.string(), "the key of the config that says so, or forget"),
        _make_field("first_as_of", INSTANT, "the night that left it out first"),
        _make_field("first_run_id", pa.string(), "the run of that night"),
        _make_field("last_as_of", INSTANT, "the newest night that left it out"),
        _make_field("last_run_id", pa.string(), "the run of that night"),
        _make_field(
            "noted_at",
            INSTANT,
            "when the run that left it out last began, of whatever night",
            nullable=True,
        ),
    ]
)
"""Who was left out of published nights: one row a (project, entity_id, reason)."""

DELIVERIES = pa.schema(
    [
        _make_field("project", pa.string(), "the project of the config"),
        _make_field("name", pa.string(), "the export of the config"),
        _make_field(
            "delivery",
            pa.string(),
            "the delivery's id, the name of its folder; of a failed one the run's id",
        ),
        _make_field("format", pa.string(), "the kind of file, such as salesforce"),
        _make_field("as_of", INSTANT, "the night of the scores"),
        _make_field("run_id", pa.string(), "the ledger row that published them"),
        _make_field("status", pa.string(), "delivered or failed"),
        _make_field("kind", pa.string(), "full or delta", nullable=True),
        _make_field("base", pa.string(), "the delivery that it follows", nullable=True),
        _make_field("rows", pa.int64(), "leads with a score in it", nullable=True),
        _make_field("cleared", pa.int64(), "leads that it clears", nullable=True),
        _make_field("refused", pa.int64(), "leads whose id cannot be written safely", nullable=True),
        _make_field("parts", pa.int64(), "files", nullable=True),
        _make_field(
            "manifest_sha256",
            pa.string(),
            "hash of its manifest as it was delivered",
            nullable=True,
        ),
        _make_field("made_at", INSTANT, "by the machine's clock"),
        _make_field("message", pa.string(), "why it failed", nullable=True),
    ]
)
"""The delivery ledger: one row a (project, name, delivery)."""


@dataclass(frozen=True)
class SourceCount:
    """Row counts of one source: ``rows_in == used + skipped + suppressed +
    sum(quarantined.values())``.

    Attributes:
        source: Name of the source, such as ``leads`` or ``events_1``.
        rows_in: Rows read.
        used: Rows used.
        skipped: Rows that the config declares not to be events (yet).
        quarantined: Rows by reason of quarantine.
        suppressed: Rows of entities that must not be scored, unless models may learn from them.
        arrivals: Times at which the used rows, and duplicates of them, became known; None if the
            data has no times.
    """

    source: str
    rows_in: int
    used: int
    skipped: int = 0
    quarantined: dict[str, int] = field(default_factory=dict)
    suppressed: int = 0
    arrivals: Arrivals | None = field(default=None, compare=False, repr=False)


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
        scratch: Directory for events that exceed memory, if any.
        suppressed: Entities that must not be scored; the tables exclude them, unless models may
            learn from them.
        event_lead_rows: Lead of each event, which saves a lookup as long as both tables are
            unchanged.
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

    def cut_at(self, as_of: datetime) -> Self:
        """Return the rows that could be read before ``as_of``: the only cut in time.

        Counts and fingerprint stay those of the whole data set.
        """
        if not self.timed:
            return self
        tables = {"leads": self.leads, "events": self.events, "values": self.values}
        return replace(
            self,
            **{name: filter_available_before(table, as_of, self.scratch) for name, table in tables.items()},
        )

    @cached_property
    def lead_ids(self) -> Ids:
        """Return the index of the leads' ids, from id to row number."""
        return Ids.of(self.leads["entity_id"])

    def find_leads(self, entities: pa.ChunkedArray) -> np.ndarray:
        """Return each entity's row number in ``leads``, int64, -1 if it is not there."""
        return self.lead_ids.find(entities).astype(np.int64)

    @property
    def lead_row_of_events(self) -> pa.ChunkedArray | None:
        """Return each event's row number in ``leads``, or None if that requires a lookup."""
        rows = self.event_lead_rows
        current = rows and rows.leads is self.leads and rows.events is self.events
        return rows.lead_row if rows and current else None

    @property
    def attributes(self) -> list[str]:
        """Return the names of the attribute columns of ``leads``."""
        return [name for name in self.leads.column_names if name not in LEADS.names]

    def last_available_at(self) -> datetime | None:
        """Return the last instant at which a lead or event became known; None for an empty data
        set.

        Attribute values do not count: they may be planned for the future, and do not indicate how
        far outcomes are complete.
        """
        ends = [pc.max(t["available_at"]).as_py() for t in (self.leads, self.events) if t.num_rows]
        return max(ends, default=None)


def filter_available_before(table: pa.Table, instant: datetime, scratch: Path | None = None) -> pa.Table:
    """Return the rows of a table with ``available_at < instant`` (time rule 2).

    They are stored in ``scratch`` if they exceed memory.
    """
    limit = pa.scalar(instant, INSTANT)
    if not table.num_rows or pc.less(pc.max(table["available_at"]), limit).as_py():
        return table
    pieces = (pa.Table.from_batches([batch]) for batch in table.to_batches())
    return Shelf.of(
        table.schema,
        (piece.filter(pc.less(piece["available_at"], limit)) for piece in pieces),
        scratch,
    )
