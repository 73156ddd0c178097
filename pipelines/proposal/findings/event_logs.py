"""Logs that a proposal maps, and the events that they hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.intake.formats.texts import to_plain_text, to_text
from features.tools.duckdb_sql import run_query
from features.tools.instants import US_PER_DAY
from pipelines.proposal.findings.roles import (
    find_channel,
    find_event_time,
    find_known_at,
    find_value,
    name_milestone,
)
from pipelines.proposal.findings.verdicts import decides_lead
from pipelines.proposal.reading.column_times import parse_column_times
from pipelines.proposal.reading.source_tables import SourceTable
from pipelines.proposal.reading.words import NO_RANK, rank_words

# The type of all events of a log of orders or payments.
PURCHASE = "purchase"


@dataclass(frozen=True)
class LeadsTable:
    """The table of the leads and its columns.

    Attributes:
        table: The table.
        entity_id: Column of the ids; None if the number of a row is its id.
        created_at: Column of the creation; None without times.
        account_id: Column of the companies, if any.
        known_at: Column of the arrival, if any.
    """

    table: SourceTable
    entity_id: str | None
    created_at: str | None
    account_id: str | None = None
    known_at: str | None = None

    @property
    def mapped(self) -> set[str]:
        """Return the columns with a role."""
        names = {self.entity_id, self.created_at, self.account_id, self.known_at}
        return {name for name in names if name is not None}


@dataclass(frozen=True)
class MappedLog:
    """A log: one row for each event.

    Attributes:
        table: Its table.
        entity_id: Column of the ids of leads.
        event_time: Column of the times.
        event_type: Column of the types, or the type of all rows.
        constant: Whether ``event_type`` is the type of all rows.
        channel: Column of the channel, if any.
        value: Column of the amount, if any.
        known_at: Column of the arrival, if any.
        milestone: Whether a row without a time is an event that has not happened.
    """

    table: SourceTable
    entity_id: str
    event_time: str
    event_type: str
    constant: bool = False
    channel: str | None = None
    value: str | None = None
    known_at: str | None = None
    milestone: bool = False

    @property
    def mapped(self) -> set[str]:
        """Return the columns with a role."""
        names = {self.entity_id, self.event_time, self.channel, self.value, self.known_at}
        names |= set() if self.constant else {self.event_type}
        return {name for name in names if name is not None}


@dataclass(frozen=True)
class EventFacts:
    """What the events of one type are like.

    Attributes:
        name: The event type.
        rows: Number of events.
        entities: Number of leads with one.
        first_us: Time of the first event.
        median_days: Median time from a lead's creation, or first event, to its first one.
        lags: That time of each lead, in days, ascending.
    """

    name: str
    rows: int
    entities: int
    first_us: float
    median_days: float
    lags: np.ndarray


def make_log(
    table: SourceTable,
    entity_id: str,
    choose_type: Callable[[set[str]], str | None],
    given_type: str = "",
) -> MappedLog | None:
    """Return a table of events as a log; None if nothing dates its rows.

    ``choose_type`` returns the column of the event types, given those that have another role;
    ``given_type`` is that of an answer.
    """
    time = find_event_time(table)
    if time is None:
        return None
    taken = {entity_id, time}
    # Of a table with one row for each lead the time says what happened: won_date.
    says = table.profiles[entity_id].is_unique and decides_lead(name_milestone(time))
    kind = given_type or (None if says else choose_type(taken))
    taken |= {kind} if kind else set()
    channel = find_channel(table, taken)
    taken |= {channel} if channel else set()
    return MappedLog(
        table,
        entity_id,
        time,
        kind or _name_events(table, time),
        kind is None,
        channel,
        find_value(table, taken),
        find_known_at(table, time),
        table.profiles[time].filled < table.rows,
    )


def make_milestone(leads: LeadsTable, column: str) -> MappedLog:
    """Return a column of dates in the table of the leads as a log of its own."""
    return MappedLog(
        leads.table,
        leads.entity_id or "",
        column,
        name_milestone(column),
        constant=True,
        milestone=True,
    )


def _name_events(table: SourceTable, time: str) -> str:
    """Return the type of events that have no column for it."""
    if rank_words(table.words, "files.purchases") < NO_RANK:
        return PURCHASE
    milestone = name_milestone(time)
    if decides_lead(milestone):
        return milestone
    return "_".join(word for word in table.words if not word.isdigit()) or "event"


def collect_events(leads: LeadsTable | None, logs: list[MappedLog]) -> pa.Table:
    """Return all events: ``entity`` and ``type`` (text), ``us`` (float64 microseconds, UTC).

    A lead's creation is the event of the type ``""``. Rows without id or time are left out.
    """
    parts = [_read_log(log) for log in logs]
    if leads is not None and leads.entity_id and leads.created_at:
        parts.append(_read_log(MappedLog(leads.table, leads.entity_id, leads.created_at, "", True)))
    return pa.concat_tables(parts) if parts else pa.table({"entity": [], "type": [], "us": []})


def _read_log(log: MappedLog) -> pa.Table:
    names = [log.entity_id, log.event_time, *([] if log.constant else [log.event_type])]
    columns = dict(zip(names, log.table.read_all(*names), strict=True))
    us = parse_column_times(log.event_time, columns[log.event_time])
    entity = to_plain_text(to_text(columns[log.entity_id]))
    kind = (
        pa.chunked_array([pa.array([log.event_type] * len(us), pa.string())])
        if log.constant
        else to_plain_text(to_text(columns[log.event_type]))
    )
    table = pa.table({"entity": entity, "type": kind, "us": pa.array(us, from_pandas=True)})
    keep = pc.and_(table["us"].is_valid(), pc.and_(entity.is_valid(), kind.is_valid()))
    return table.filter(keep)


def describe_events(events: pa.Table) -> dict[str, EventFacts]:
    """Return the facts of each event type, in the order of their median first times."""
    if not events.num_rows:
        return {}
    # Without a leads source a lead begins with its first event.
    first = run_query(
        """WITH start AS (
              SELECT entity, coalesce(min(us) FILTER (type = ''), min(us)) AS begin
              FROM rows GROUP BY entity),
            firsts AS (
              SELECT entity, type, min(us) AS us, count(*) AS rows
              FROM rows WHERE type <> '' GROUP BY entity, type)
            SELECT type, rows, us, us - begin AS lag FROM firsts JOIN start USING (entity)
            ORDER BY type, lag""",
        rows=events,
    )
    facts = []
    types = first["type"].to_pylist()
    if not types:
        return {}
    rows, us = first["rows"].to_numpy(), first["us"].to_numpy()
    lag = first["lag"].to_numpy() / US_PER_DAY
    edges = [i for i, name in enumerate(types) if i == 0 or types[i - 1] != name]
    for begin, end in zip(edges, [*edges[1:], len(types)], strict=True):
        part = slice(begin, end)
        facts.append(
            EventFacts(
                types[begin],
                int(rows[part].sum()),
                end - begin,
                float(us[part].min()),
                float(np.median(lag[part])),
                lag[part],
            )
        )
    return {fact.name: fact for fact in sorted(facts, key=lambda fact: fact.median_days)}


def measure_share_after(events: pa.Table, first: str, second: str) -> float:
    """Return the share of the leads with ``first`` that have ``second`` later."""
    counts = run_query(
        """WITH ends AS (
              SELECT entity, min(us) FILTER (type = $first) AS one,
                max(us) FILTER (type = $second) AS two
              FROM rows GROUP BY entity)
            SELECT count(one) AS every, count(*) FILTER (two > one) AS later FROM ends""",
        {"first": first, "second": second},
        rows=events,
    ).to_pylist()[0]
    return float(counts["later"]) / max(float(counts["every"]), 1.0)


def measure_end(events: pa.Table, name: str, outcome: str) -> tuple[int, int, int]:
    """Return how an event ends its leads, as numbers of leads.

    These are the leads with it that have the outcome too, those that have another event later, and
    all leads.
    """
    counts = run_query(
        """WITH leads AS (
              SELECT min(us) FILTER (type = $name) AS own, bool_or(type = $outcome) AS won,
                max(us) FILTER (type <> $name) AS latest
              FROM rows GROUP BY entity)
            SELECT count(*) FILTER (own IS NOT NULL AND won) AS both,
              count(*) FILTER (latest > own) AS later, count(*) AS leads FROM leads""",
        {"name": name, "outcome": outcome},
        rows=events,
    ).to_pylist()[0]
    return int(counts["both"]), int(counts["later"]), int(counts["leads"])


def measure_repeat_share(events: pa.Table, name: str) -> float:
    """Return the share of the leads with an event that have it again at a later time."""
    counts = run_query(
        """WITH times AS (
              SELECT count(DISTINCT us) AS times FROM rows WHERE type = $name GROUP BY entity)
            SELECT count(*) AS every, count(*) FILTER (times > 1) AS again FROM times""",
        {"name": name},
        rows=events,
    ).to_pylist()[0]
    return float(counts["again"]) / max(float(counts["every"]), 1.0)


def list_gaps(events: pa.Table, name: str) -> np.ndarray:
    """Return the days between events of one type of a lead, ascending."""
    gaps = run_query(
        """SELECT gap FROM (
              SELECT us - lag(us) OVER (PARTITION BY entity ORDER BY us) AS gap
              FROM (SELECT DISTINCT entity, us FROM rows WHERE type = $name))
            WHERE gap IS NOT NULL ORDER BY gap""",
        {"name": name},
        rows=events,
    )
    return np.asarray(gaps["gap"].to_numpy() / US_PER_DAY, np.float64)
