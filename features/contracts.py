"""Every table's columns, types, units and meaning, and the time rules they obey.

The time rules, stated once:

1. Every instant is UTC in microseconds. A naive source time is read in the config's time zone. Nothing reads the clock.
2. ``available_at = max(event_time, known_at)``. Features at a cutoff see an event if and only if
   ``available_at < cutoff``; a window of length w holds event times in ``[cutoff - w, cutoff)``. The same holds of a
   value in a history, with ``valid_from`` in place of ``event_time``.
3. A label is 1 if the outcome happens in ``[cutoff, cutoff + horizon)``; the row is mature if
   ``cutoff + horizon <= observation_date``. An immature row has no label at all.
4. Segments are ordered in time: ``max(earlier cutoff) + horizon + embargo <= min(later cutoff)``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
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
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
US_PER_DAY = 86_400_000_000


def _column(name: str, kind: pa.DataType, meaning: str, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"meaning": meaning})


LEADS = pa.schema(
    [
        _column("entity_id", pa.string(), "what is scored; unique in the table"),
        _column(
            "account_id", pa.string(), "company or household the entity belongs to", nullable=True
        ),
        _column("created_at", INSTANT, "when the entity came into being"),
        _column(
            "available_at", INSTANT, "when the row could first be read: max(created_at, known_at)"
        ),
    ]
)
"""One row an entity, ordered by entity_id. Attributes follow as further columns, float64 or string, null if missing."""

EVENTS = pa.schema(
    [
        _column("entity_id", pa.string(), "the entity it happened to"),
        _column("event_time", INSTANT, "when it happened"),
        _column("available_at", INSTANT, "when it could first be read: max(event_time, known_at)"),
        _column("event_type", pa.string(), "what happened"),
        _column("channel", pa.string(), "the way it came, such as email or phone", nullable=True),
        _column(
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
        _column("entity_id", pa.string(), "the entity that has the attribute"),
        _column("attribute", pa.string(), "the attribute's name"),
        _column("valid_from", INSTANT, "since when it has the value"),
        _column(
            "available_at", INSTANT, "when that could first be read: max(valid_from, known_at)"
        ),
        _column(
            "value", pa.string(), "the value as written; null where it was cleared", nullable=True
        ),
    ]
)
"""One row a value an attribute took on, ordered by all columns from left to right, null first, no two rows equal."""

SPINE = pa.schema(
    [
        _column("entity_id", pa.string(), "the entity to compute"),
        _column("cutoff", INSTANT, "look back for features and forward for the label from here"),
    ]
)
"""One row an (entity, cutoff), ordered by (cutoff, entity_id)."""

LABELS = pa.schema(
    [
        *SPINE,
        _column("mature", pa.bool_(), "the whole horizon lies before the observation date"),
        _column(
            "label",
            pa.int8(),
            "1 if the outcome happens within the horizon; null if immature",
            nullable=True,
        ),
        _column(
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
        _column("project", pa.string(), "the project of the config"),
        _column("target", pa.string(), "the target of the config"),
        _column("entity_id", pa.string(), "the entity scored"),
        _column("account_id", pa.string(), "its account", nullable=True),
        _column("as_of", INSTANT, "the night of the scores"),
        _column(
            "cutoff",
            INSTANT,
            "the instant the features look back from: the as-of, or the entity's own cutoff where the target scores "
            "once after entry",
        ),
        _column(
            "probability",
            pa.float64(),
            "calibrated chance of the outcome within the horizon, 0 to 1",
        ),
        _column("probability_low", pa.float64(), "lower end of the 90 % interval"),
        _column("probability_high", pa.float64(), "upper end of the 90 % interval"),
        _column(
            "score", pa.int64(), "1 to 100, a monotone map of the probability frozen with the model"
        ),
        _column(
            "grade",
            pa.string(),
            "A to D by the score; rises at once when the score is more than publish.steady points (5) beyond the edge, "
            "falls only after days of a lower score (docs/grades-and-lists.md)",
        ),
        _column("rank", pa.int64(), "1 is the most probable lead of this as-of; ties by entity_id"),
        _column(
            "percentile",
            pa.float64(),
            "share of this as-of's leads that are no more probable, 0 to 100",
        ),
        _column(
            "amount",
            pa.float64(),
            "what an outcome is expected to be worth, in the amount's unit",
            nullable=True,
        ),
        _column(
            "expected_value",
            pa.float64(),
            "probability times amount, in the amount's unit",
            nullable=True,
        ),
        _column(
            "outcome_days_50",
            pa.float64(),
            "if the outcome comes within the horizon: days from the cutoff by which half of the cases have come",
            nullable=True,
        ),
        _column("outcome_days_80", pa.float64(), "the same in eight of ten cases", nullable=True),
        _column(
            "reasons", pa.string(), "JSON list of feature, value, contribution (log-odds), sentence"
        ),
        _column(
            "fit",
            pa.int64(),
            "1 to 100: what is known of the lead itself, against those learnt from; null where reasons are not given",
            nullable=True,
        ),
        _column(
            "engagement",
            pa.int64(),
            "1 to 100: the same of what it and its account have done",
            nullable=True,
        ),
        _column("evidence", pa.string(), "enough, or too little"),
        _column("previous_score", pa.int64(), "score at the last earlier as-of", nullable=True),
        _column("previous_grade", pa.string(), "grade at the last earlier as-of", nullable=True),
        _column(
            "falling_since",
            INSTANT,
            "the first of the nights in a row on which the score is too low for the grade that is still kept",
            nullable=True,
        ),
        _column("trend", pa.int64(), "score minus previous_score, in points", nullable=True),
        _column(
            "trend_7d",
            pa.int64(),
            "score minus that of the newest as-of 7 to 14 days before",
            nullable=True,
        ),
        _column(
            "trend_30d",
            pa.int64(),
            "score minus that of the newest as-of 30 to 60 days before",
            nullable=True,
        ),
        _column(
            "owner", pa.string(), "who works it, where the config names the column", nullable=True
        ),
        _column(
            "listed",
            pa.string(),
            "pick or explore (drawn at random) for a lead on its owner's list of this week",
            nullable=True,
        ),
        _column(
            "review_at",
            INSTANT,
            "the day to look at it again, kept until it has come: midnight in the company's zone",
            nullable=True,
        ),
        _column("model_version", pa.string(), "version of the registered model"),
        _column("run_id", pa.string(), "the ledger row that published it"),
        _column("scored_at", INSTANT, "when the run published it, by the machine's clock"),
    ]
)
"""One row a (project, target, entity_id, as_of), ordered by (target, rank)."""

ACCOUNT_SCORES = pa.schema(
    [
        _column("project", pa.string(), "the project of the config"),
        _column("target", pa.string(), "the target of the config"),
        _column("account_id", pa.string(), "the account of the entities"),
        _column("as_of", INSTANT, "the night of the scores"),
        _column(
            "probability",
            pa.float64(),
            "chance that at least one of its scored entities has the outcome, 0 to 1",
        ),
        _column(
            "rank", pa.int64(), "1 is the most probable account of this as-of; ties by account_id"
        ),
        _column(
            "expected_value",
            pa.float64(),
            "sum of those of its scored entities where known",
            nullable=True,
        ),
        _column("entities", pa.int64(), "its scored entities"),
        _column(
            "main_contact",
            pa.string(),
            "the most probable of them, as entity_id; ties by entity_id",
        ),
        _column("main_probability", pa.float64(), "the chance of the main contact"),
        _column("people", pa.int64(), "its entities known before the as-of, scored or not"),
        _column(
            "active_people",
            pa.int64(),
            "those of them with an event in [as-of − 30 days, as-of)",
            nullable=True,
        ),
        _column("model_version", pa.string(), "version of the registered model"),
        _column("run_id", pa.string(), "the ledger row that published it"),
        _column("scored_at", INSTANT, "when the run published it, by the machine's clock"),
    ]
)
"""One row a (project, target, account_id, as_of), ordered by (target, rank); entities without an account have none."""

SCORE_RUNS = pa.schema(
    [
        _column("run_id", pa.string(), "identifies one attempt to publish"),
        _column("project", pa.string(), "the project of the config"),
        _column("target", pa.string(), "the target of the config"),
        _column("as_of", INSTANT, "the night of the scores"),
        _column("status", pa.string(), "started, published, refused or failed"),
        _column("model_version", pa.string(), "version of the registered model", nullable=True),
        _column("code_version", pa.string(), "version of leadscore"),
        _column("config_hash", pa.string(), "hash of the config as read"),
        _column("data_fingerprint", pa.string(), "hash of the data as read", nullable=True),
        _column("rows", pa.int64(), "rows published", nullable=True),
        _column("driver", pa.string(), "direct or prefect"),
        _column("flow_run_id", pa.string(), "Prefect's id of the flow run", nullable=True),
        _column("started_at", INSTANT, "by the machine's clock"),
        _column("finished_at", INSTANT, "by the machine's clock", nullable=True),
        _column("message", pa.string(), "why it was refused or failed", nullable=True),
    ]
)
"""The run ledger: one row a (run_id, target)."""

SCORE_CHECKS = pa.schema(
    [
        _column("run_id", pa.string(), "the ledger row that was checked"),
        _column("project", pa.string(), "the project of the config"),
        _column(
            "target", pa.string(), "the target of the config; empty where a source was checked"
        ),
        _column("as_of", INSTANT, "the night of the scores"),
        _column("check", pa.string(), "what was checked"),
        _column(
            "subject",
            pa.string(),
            "of what: a source, a column, an event type; empty where of the target itself",
        ),
        _column(
            "observed", pa.float64(), "what was found, in the unit of the check", nullable=True
        ),
        _column("warn", pa.float64(), "the threshold of a warning", nullable=True),
        _column(
            "stop", pa.float64(), "the threshold from which nothing is published", nullable=True
        ),
        _column("verdict", pa.string(), "pass, warn or stop"),
        _column("message", pa.string(), "what is wrong, for people", nullable=True),
    ]
)
"""The checks of a run: one row a (run_id, target, check, subject)."""

SUPPRESSIONS = pa.schema(
    [
        _column("project", pa.string(), "the project of the config"),
        _column("entity_id", pa.string(), "who was left out"),
        _column("reason", pa.string(), "the key of the config that says so, or forget"),
        _column("first_as_of", INSTANT, "the night that left it out first"),
        _column("first_run_id", pa.string(), "the run of that night"),
        _column("last_as_of", INSTANT, "the newest night that left it out"),
        _column("last_run_id", pa.string(), "the run of that night"),
        _column(
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
        _column("project", pa.string(), "the project of the config"),
        _column("name", pa.string(), "the export of the config"),
        _column(
            "delivery",
            pa.string(),
            "the delivery's id, the name of its folder; of a failed one the run's id",
        ),
        _column("format", pa.string(), "the kind of file, such as salesforce"),
        _column("as_of", INSTANT, "the night of the scores"),
        _column("run_id", pa.string(), "the ledger row that published them"),
        _column("status", pa.string(), "delivered or failed"),
        _column("kind", pa.string(), "full or delta", nullable=True),
        _column("base", pa.string(), "the delivery that it follows", nullable=True),
        _column("rows", pa.int64(), "leads with a score in it", nullable=True),
        _column("cleared", pa.int64(), "leads that it clears", nullable=True),
        _column("refused", pa.int64(), "leads whose id cannot be written safely", nullable=True),
        _column("parts", pa.int64(), "files", nullable=True),
        _column(
            "manifest_sha256",
            pa.string(),
            "hash of its manifest as it was delivered",
            nullable=True,
        ),
        _column("made_at", INSTANT, "by the machine's clock"),
        _column("message", pa.string(), "why it failed", nullable=True),
    ]
)
"""The delivery ledger: one row a (project, name, delivery)."""


@dataclass(frozen=True)
class SourceCount:
    """What became of one source's rows: ``rows_in == used + skipped + suppressed + sum(quarantined.values())``.

    ``skipped`` counts rows that the config declares not to be events (yet); ``quarantined`` maps reason to rows.
    ``suppressed`` counts rows of entities that must not be scored, unless models may learn from them all the same.
    ``arrivals`` says when the used rows, and duplicates of them, became known; None where the data has no times.
    """

    source: str
    rows_in: int
    used: int
    skipped: int = 0
    quarantined: dict[str, int] = field(default_factory=dict)
    suppressed: int = 0
    arrivals: Arrivals | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Belonging:
    """To which row of these ``leads`` each of these ``events`` belongs, int32: as it was found when they were read."""

    leads: pa.Table
    events: pa.Table
    row: pa.ChunkedArray


@dataclass(frozen=True)
class Dataset:
    """A company's normalised tables: ``leads`` as LEADS plus attributes, ``events`` as EVENTS, ``values`` as VALUES.

    ``timed`` is false where the source has no times: then ``created_at`` only carries the order of the rows, in
    seconds from 1970, and nothing may be read into it. ``ordered`` is false where even the order means nothing. Events
    beyond memory lie in the folder ``scratch``, where there is one. ``suppressed`` says who must not be scored; of
    these the tables hold nothing, unless models may learn from them all the same. ``belonging`` saves looking up the
    events' leads, as long as both tables are those that it tells of.
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
    belonging: Belonging | None = field(default=None, compare=False, repr=False)

    def upto(self, as_of: datetime) -> Self:
        """Return what could be read before ``as_of``: the only cut in time. Counts and fingerprint stay the whole's."""
        if not self.timed:
            return self
        tables = {"leads": self.leads, "events": self.events, "values": self.values}
        return replace(
            self,
            **{name: known_before(table, as_of, self.scratch) for name, table in tables.items()},
        )

    @cached_property
    def ids(self) -> Ids:
        """The leads by their places."""
        return Ids.of(self.leads["entity_id"])

    def lead_of(self, entities: pa.ChunkedArray) -> np.ndarray:
        """Return each entity's row number in ``leads``, int64, -1 where it is not there."""
        return self.ids.find(entities).astype(np.int64)

    @property
    def lead_of_events(self) -> pa.ChunkedArray | None:
        """Each event's row number in ``leads``, if it is known without looking it up."""
        own = self.belonging
        return own.row if own and own.leads is self.leads and own.events is self.events else None

    @property
    def attributes(self) -> list[str]:
        """Names of the attribute columns of ``leads``."""
        return [name for name in self.leads.column_names if name not in LEADS.names]

    def last_known(self) -> datetime | None:
        """Return the last instant at which a lead or event became known, or None for an empty data set.

        Values do not count: one may be planned for a day to come, and none says how far outcomes are complete.
        """
        ends = [pc.max(t["available_at"]).as_py() for t in (self.leads, self.events) if t.num_rows]
        return max(ends, default=None)


def known_before(table: pa.Table, instant: datetime, scratch: Path | None = None) -> pa.Table:
    """Keep the rows of a table with ``available_at < instant`` (time rule 2), in ``scratch`` if they are too many."""
    limit = pa.scalar(instant, INSTANT)
    if not table.num_rows or pc.less(pc.max(table["available_at"]), limit).as_py():
        return table
    pieces = (pa.Table.from_batches([batch]) for batch in table.to_batches())
    return Shelf.of(
        table.schema,
        (piece.filter(pc.less(piece["available_at"], limit)) for piece in pieces),
        scratch,
    )


def to_us(instant: datetime) -> int:
    """Return microseconds since 1970 of an aware instant."""
    return (instant - EPOCH) // timedelta(microseconds=1)


def from_us(us: int) -> datetime:
    """Return the UTC instant of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=int(us))
