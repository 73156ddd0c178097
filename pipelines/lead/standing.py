"""Why one lead is scored or not: its ends, reopenings and revoked outcomes, in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from configs.durations import format_duration
from configs.schema import Project
from configs.targets import ColumnOutcome, Target
from features.contracts import Dataset
from features.eligibility import find_entries
from features.outcome_events import match_revocations
from features.sources import read_sources
from features.spine import build_scoring_spine
from features.times.data_end import find_data_end, find_midnight_after
from features.tools.instants import NEVER_US, from_microseconds, to_microseconds
from pipelines.runner import read_clock


@dataclass(frozen=True)
class _Life:
    """Events of one entity at or after its entry that decide on its eligibility, by time.

    Attributes:
        entry: Time of the entry; None without one.
        known: Time at which entry and row became known.
        ends: Events that ended eligibility and still stand.
        reopenings: Events of ``population.reopen``.
        revoked: Outcomes that were revoked, each with the event that revoked it.
    """

    entry: datetime | None
    known: datetime | None
    ends: list[dict[str, Any]]
    reopenings: list[dict[str, Any]]
    revoked: list[tuple[dict[str, Any], dict[str, Any]]]


def describe_all_standings(project: Project, entity: str, as_of: str | None) -> list[str]:
    """Return the lines of ``describe_standing`` of all targets, each with its target's name.

    A target that would score the entity has a line, too.

    Reads the sources, and raises what that raises.
    """
    # No quarantine folder: that of a running night must stay as the night wrote it.
    clock = read_clock()
    dataset = read_sources(project, None, project.workspace_path / "scratch", clock)
    moment = resolve_moment(project, dataset, as_of)
    to_score = [f"to score as of {_format_instant(moment, project.zone)}"]
    return [
        f"{name}: {line}"
        for name, config in project.targets.items()
        for line in describe_standing(dataset, config, entity, moment, project.zone) or to_score
    ]


def resolve_moment(project: Project, dataset: Dataset, as_of: str | None) -> datetime:
    """Return the as-of, by default the midnight that ends the last day of the data."""
    if as_of is not None:
        return project.parse_instant(as_of)
    end = find_data_end(dataset, project.zone)
    return find_midnight_after(end, project.zone) if end else project.parse_instant("1970-01-01")


def describe_standing(
    dataset: Dataset, target_config: Target, entity: str, as_of: datetime, zone: tzinfo
) -> list[str]:
    """Return why an entity is scored or not at an as-of, the reason last.

    Only rows that were available before ``as_of`` count. The lines before the last are revoked
    outcomes and the latest reopening. Instants are written in ``zone``.
    """
    own = _cut_to_entity(dataset, entity, as_of)
    moment = _format_instant(as_of, zone)
    # Reading leaves suppressed leads out, so they are never in the data.
    if dataset.suppressed.contains(entity):
        return [f"not scored as of {moment}: suppressed"]
    if dataset.merges.ends(pa.array([entity]))[0] < to_microseconds(as_of):
        return [f"not scored as of {moment}: {_describe_merge(dataset, entity, as_of, zone)}"]
    if not own.leads.num_rows:
        return [f"not scored as of {moment}: not in the data by then"]
    is_scored = build_scoring_spine(own, target_config, as_of).num_rows > 0
    if isinstance(target_config.outcome, ColumnOutcome):
        column = target_config.outcome.column
        return [f"to score: {column} is empty" if is_scored else f"not scored: {column} is filled"]
    life = _read_life(own, target_config)
    lines = list(_describe_returns(life, zone))
    if is_scored:
        return [*lines, f"to score as of {moment}"] if lines else []
    return [*lines, f"not scored as of {moment}: {_find_reason(life, target_config, as_of, zone)}"]


def _describe_merge(dataset: Dataset, entity: str, as_of: datetime, zone: tzinfo) -> str:
    """Return which lead an entity became, and when that held."""
    ids, known = pa.array([entity]), dataset.merges.before(to_microseconds(as_of))
    since = _format_instant(from_microseconds(known.ends(ids)[0]), zone)
    return f"merged into {known.resolve(ids)[0].as_py()!r} (sources.same_as, known {since})"


def _cut_to_entity(dataset: Dataset, entity: str, as_of: datetime) -> Dataset:
    """Return the rows of one entity that were available before an as-of."""
    is_own = pc.field("entity_id") == entity
    own = replace(dataset, leads=dataset.leads.filter(is_own), events=dataset.events.filter(is_own))
    return own.cut_at(as_of)


def _read_life(own: Dataset, target_config: Target) -> _Life:
    population = target_config.population
    entries = find_entries(own, population)
    if entries.time[0] == NEVER_US:
        return _Life(None, None, [], [], [])
    entry, known = (from_microseconds(times[0]) for times in (entries.time, entries.known))
    matched = match_revocations(own, target_config)
    outcomes, revocations = matched.outcomes.to_pylist(), matched.revocations.to_pylist()
    revoked = [
        (outcome, revocations[row])
        for outcome, row in zip(outcomes, matched.revoked_by.tolist(), strict=True)
        if row >= 0
    ]
    answered = _find_answered(target_config, entry)
    standing = [
        outcome
        for outcome, row in zip(outcomes, matched.revoked_by.tolist(), strict=True)
        if row < 0 and answered is not None and outcome["event_time"] >= answered
    ]
    has_own_cutoff = target_config.cutoffs is not None and target_config.cutoffs.delay is not None
    closers = {*population.until, *(population.closed_by if has_own_cutoff else ())}
    # An outcome that closes is an end only as long as it stands, unless outcomes recur.
    if not population.recurring:
        closers -= set(target_config.outcome_types)
    events = own.events.to_pylist()
    ends = [event for event in events if event["event_type"] in closers] + standing
    again = [event for event in events if event["event_type"] in population.reopen]

    def select(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        later = (row for row in rows if row["event_time"] >= entry)
        return sorted(later, key=lambda row: (row["event_time"], row["event_type"]))

    return _Life(entry, known, select(ends), select(again), revoked)


def _find_answered(target_config: Target, entry: datetime) -> datetime | None:
    """Return the instant from which an outcome ends eligibility; None where it never does."""
    if not target_config.population.recurring:
        return entry
    # The outcome answers the question of a score that looks ahead from one cutoff.
    delay = target_config.cutoffs.delay if target_config.cutoffs else None
    return entry + delay if delay else None


def _describe_returns(life: _Life, zone: tzinfo) -> Iterator[str]:
    """Yield each revoked outcome, and the latest reopening with the end before it."""
    for outcome, revocation in life.revoked:
        yield f"{_format_event(outcome, zone)} was revoked by {_format_event(revocation, zone)}"
    if life.reopenings:
        again = life.reopenings[-1]
        before = [end for end in life.ends if end["event_time"] <= again["event_time"]]
        if before:
            yield (
                f"ended by {_format_event(before[-1], zone)}, "
                f"eligible again by {_format_event(again, zone)}"
            )


def _find_reason(life: _Life, target_config: Target, as_of: datetime, zone: tzinfo) -> str:
    """Return why an entity that has entered, or has not, is not scored at an as-of."""
    population, cutoffs = target_config.population, target_config.cutoffs
    if life.entry is None:
        return f"no event {population.after} so far"
    last = life.reopenings[-1]["event_time"] if life.reopenings else None
    ends = [end for end in life.ends if last is None or end["event_time"] > last]
    entry = _format_instant(life.entry, zone)
    if ends:
        # The end that became known first is the one that ended it.
        first = min(ends, key=lambda end: (end["available_at"], end["event_time"]))
        return f"ended by {_format_event(first, zone)}"
    if cutoffs and cutoffs.delay:
        cutoff = life.entry + cutoffs.delay
        if as_of < cutoff:
            return f"its cutoff is {_format_instant(cutoff, zone)}"
        end = cutoff + (target_config.horizon or timedelta(0))
        if end <= as_of:
            return f"its horizon ended at {_format_instant(end, zone)}"
        return f"not eligible at its cutoff {_format_instant(cutoff, zone)}"
    if population.max_age and as_of > life.entry + population.max_age:
        age = format_duration(population.max_age)
        return f"older than population.max_age ({age}), counted from {entry}"
    return "not known before"


def _format_event(event: dict[str, Any], zone: tzinfo) -> str:
    """Return type and time of an event, and when it became known if that was later."""
    text = f"{event['event_type']} at {_format_instant(event['event_time'], zone)}"
    late = to_microseconds(event["available_at"]) > to_microseconds(event["event_time"])
    return f"{text} (known {_format_instant(event['available_at'], zone)})" if late else text


def _format_instant(moment: datetime, zone: tzinfo) -> str:
    """Return the date of an instant in a zone, with its time where that is not midnight."""
    local = moment.astimezone(zone).replace(tzinfo=None)
    text = local.isoformat(" ", "seconds")
    return text.removesuffix(" 00:00:00")
