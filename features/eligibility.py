"""When entities may be rows of a target: their entry, and the spans until each end.

The state of an entity at a cutoff follows from the events known at it (``available_at < cutoff``)
that happened at or after its entry. The entity has ended if the latest end happened after the
latest event of ``population.reopen``, or once it became another one by a merge. Ends are the events
of ``population.until``, and the outcomes that no known event has revoked, unless the target is
``population.recurring``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.targets import Population, Target
from features.contracts import Dataset
from features.tools.instants import NEVER_US, column_to_microseconds, duration_to_microseconds
from features.tools.jit import jit_kernel

# Roles of an event type; one type may have several, so they are bits.
END, OUTCOME, REOPEN, REVOKE = 1, 2, 4, 8
# Earlier than every instant, so that "never so far" compares as an instant does.
BEFORE_ALL_US = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Entries:
    """Entry of each entity: one element per row of the leads table, int64 microseconds since 1970.

    Attributes:
        time: Time of the entry; NEVER_US without one.
        known: Time at which the entry and the lead's row became known.
        last: Latest cutoff by the maximum age, counted from the entry also where the entity was
            reopened; NEVER_US without a maximum.
    """

    time: np.ndarray
    known: np.ndarray
    last: np.ndarray


@dataclass(frozen=True)
class OpenSpans:
    """Spans of cutoffs at which entities are open: one element per span, ordered by entity.

    An entity is open at cutoff c if ``start < c <= end`` in one of its spans, which do not overlap.
    Events at the cutoff itself are not known yet, so an entity whose end becomes known exactly at
    c is still open.

    Attributes:
        lead: Row number of the entity in the leads table.
        start: Time at which the entity became known, or known to be open again; microseconds.
        end: Time at which it was known to have ended, or the latest cutoff by the maximum age.
    """

    lead: np.ndarray
    start: np.ndarray
    end: np.ndarray

    def select(self, cutoff: np.ndarray | int) -> np.ndarray:
        """Return the spans that contain a cutoff: one for all spans, or one for each."""
        return np.flatnonzero((self.start < cutoff) & (cutoff <= self.end))


def find_entries(dataset: Dataset, population: Population) -> Entries:
    """Return the entry of each entity: its creation, or the first known event of ``after``."""
    time = column_to_microseconds(dataset.leads["created_at"])
    known = column_to_microseconds(dataset.leads["available_at"])
    if population.after != "created":
        time, event_known = _find_first_known(dataset, population.after)
        # An event may arrive before the lead's row; both are needed to know the entity.
        known = np.maximum(known, event_known)
    longest = duration_to_microseconds(population.max_age)
    reachable = time < NEVER_US - longest
    # The inner where avoids an overflow of NEVER_US + longest.
    oldest = np.where(reachable, time, 0) + longest
    return Entries(time, known, np.where(reachable & bool(population.max_age), oldest, NEVER_US))


def find_eligible_spans(dataset: Dataset, target: Target, entries: Entries) -> OpenSpans:
    """Return the spans of cutoffs at which each entity is in the target's population."""
    never = np.full(len(entries.time), NEVER_US)
    outcomes_since = never if target.population.recurring else entries.time
    events = _select_events(
        dataset, target, target.population.until, _Since(entries.time, outcomes_since)
    )
    last = np.minimum(entries.last, dataset.merges.ends(dataset.leads["entity_id"]))
    return _find_spans(events, entries.known, last)


def find_published_spans(
    dataset: Dataset, target: Target, entries: Entries, cutoff: np.ndarray
) -> OpenSpans:
    """Return the spans of as-ofs at which the score of a delay target may be published.

    ``closed_by`` ends a span as ``until`` does; the maximum age does not. Where outcomes recur, an
    outcome ends the span from the entity's own ``cutoff`` on, since it answers the score's
    question. ``cutoff`` has one instant per row of the leads table.
    """
    population = target.population
    closers = (*population.until, *population.closed_by)
    outcomes_since = cutoff if population.recurring else entries.time
    events = _select_events(dataset, target, closers, _Since(entries.time, outcomes_since))
    return _find_spans(events, entries.known, dataset.merges.ends(dataset.leads["entity_id"]))


class _Since(NamedTuple):
    """First instant whose events count, one per row of the leads table (microseconds)."""

    others: np.ndarray
    # NEVER_US where outcomes do not end anything.
    outcomes: np.ndarray


class _RoleEvents(NamedTuple):
    """Events with a role, ordered by (lead, known); instants in microseconds since 1970."""

    lead: np.ndarray
    time: np.ndarray
    known: np.ndarray
    role: np.ndarray


def _list_roles(target: Target, ends: tuple[str, ...]) -> dict[str, int]:
    """Return the roles of each event type that has one."""
    # An outcome that is listed as an end, too, ends eligibility only as long as it stands.
    outcomes = () if target.population.recurring else target.outcome_types
    roles: dict[str, int] = {}
    for role, names in (
        (END, [name for name in ends if name not in outcomes]),
        (OUTCOME, target.outcome_types),
        (REOPEN, target.population.reopen),
        (REVOKE, target.outcome_revoked_by),
    ):
        roles |= {name: roles.get(name, 0) | role for name in names}
    return roles


def _select_events(
    dataset: Dataset, target: Target, ends: tuple[str, ...], since: _Since
) -> _RoleEvents:
    """Return the events that may end or reopen eligibility."""
    roles = _list_roles(target, ends)
    names = pa.array(roles, pa.string())
    columns = dataset.events.select(["entity_id", "event_time", "available_at", "event_type"])
    # Few events of a log have a role: all that follows is done with them alone.
    events = columns.filter(pc.is_in(columns["event_type"], value_set=names))
    lead = dataset.find_leads(events["entity_id"])
    if (lead < 0).any():
        events, lead = events.filter(pa.array(lead >= 0)), lead[lead >= 0]
    place = pc.index_in(events["event_type"], value_set=names).to_numpy()
    role = np.array([*roles.values()], np.int8)[place]
    time, known = (column_to_microseconds(events[n]) for n in ("event_time", "available_at"))
    role[time < since.outcomes[lead]] &= ~OUTCOME
    role[time < since.others[lead]] &= OUTCOME
    if not target.outcome_revoked_by:
        # Without revocations an outcome is an end like any other, and its order is not needed.
        role[role & OUTCOME > 0] = END
    keep = np.flatnonzero(role)
    order = keep[np.lexsort((known[keep], lead[keep]))]
    return _RoleEvents(lead[order], time[order], known[order], role[order])


def _find_spans(events: _RoleEvents, known: np.ndarray, last: np.ndarray) -> OpenSpans:
    """Return the open spans of entities whose entry is known at ``known``, up to ``last``."""
    first = np.searchsorted(events.lead, np.arange(len(known) + 1))
    # One span for each entity, and one more for each event that may open it again.
    size = len(known) + int(np.count_nonzero(events.role & (REOPEN | REVOKE)))
    lead, start, end = (np.empty(size, np.int64) for _ in range(3))
    buffer = np.empty(int(np.diff(first).max(initial=0)), np.int64)
    count = _walk_events(
        (first, events.time, events.known, events.role),
        (known, last),
        (buffer, np.empty(len(buffer), np.bool_)),
        (lead, start, end),
    )
    return OpenSpans(lead[:count], start[:count], end[:count])


@jit_kernel
def _walk_events(events: Any, entries: Any, buffers: Any, spans: Any) -> int:
    """Fill the spans of all entities and return their number.

    The events of a lead are taken in the order in which they became known, those of one instant
    together; after each instant the state is that of a cutoff just after it.
    """
    first, _, known, _ = events
    entry_known, last = entries
    span_lead, span_start, span_end = spans
    count = 0
    for lead in range(len(entry_known)):
        start, is_open = entry_known[lead], True
        state = BEFORE_ALL_US, BEFORE_ALL_US, BEFORE_ALL_US, 0
        event = first[lead]
        while event < first[lead + 1]:
            now = known[event]
            event, state = _take_instant(events, event, first[lead + 1], buffers, state)
            ended, standing, reopened, _ = state
            was_open, is_open = is_open, max(ended, standing) <= reopened
            if is_open and not was_open:
                start = max(now, entry_known[lead])
            elif was_open and not is_open and start < min(now, last[lead]):
                span_lead[count], span_start[count] = lead, start
                span_end[count] = min(now, last[lead])
                count += 1
        if is_open and start < last[lead]:
            span_lead[count], span_start[count], span_end[count] = lead, start, last[lead]
            count += 1
    return count


@jit_kernel
def _take_instant(events: Any, event: int, end: int, buffers: Any, state: Any) -> Any:
    """Return the event after those that became known with this one, and the state by then.

    The state is the time of the latest end, of the latest outcome that stands, and of the latest
    reopening, and the number of outcomes and revocations in ``buffers``.
    """
    _, time, known, role = events
    ended, standing, reopened, size = state
    now = known[event]
    while event < end and known[event] == now:
        if role[event] & END:
            ended = max(ended, time[event])
        if role[event] & REOPEN:
            reopened = max(reopened, time[event])
        if role[event] & (OUTCOME | REVOKE):
            _insert_by_time(buffers, size, time[event], role[event] & REVOKE > 0)
            size += 1
        event += 1
    if size:
        standing = _find_last_standing(buffers, size)
    return event, (ended, standing, reopened, size)


@jit_kernel
def _insert_by_time(buffers: Any, size: int, time: int, revokes: bool) -> None:
    """Insert an outcome or a revocation into those known so far, ordered by time.

    At the same instant outcomes come first: a revocation takes back what was there before it.
    """
    times, are_revocations = buffers
    place = size
    # Events mostly become known in the order of their times: then nothing has to move.
    while place and (
        times[place - 1] > time
        or (times[place - 1] == time and are_revocations[place - 1] and not revokes)
    ):
        times[place], are_revocations[place] = times[place - 1], are_revocations[place - 1]
        place -= 1
    times[place], are_revocations[place] = time, revokes


@jit_kernel
def _find_last_standing(buffers: Any, size: int) -> int:
    """Return the time of the latest outcome that is not revoked, BEFORE_ALL_US without one."""
    times, are_revocations = buffers
    place = size - 1
    while place >= 0:
        revoked = False
        while place >= 0 and are_revocations[place]:
            revoked = True
            place -= 1
        if place < 0:
            break
        if not revoked:
            return times[place]
        # A revocation takes back all outcomes of the latest instant before it.
        instant = times[place]
        while place >= 0 and times[place] == instant and not are_revocations[place]:
            place -= 1
    return BEFORE_ALL_US


def _find_first_known(dataset: Dataset, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return for each entity time and availability of the first known event of a type.

    First known, not first to happen: an earlier event that is reported later must not change past
    decisions. NEVER_US if there is none.
    """
    size = dataset.leads.num_rows
    time, known = np.full(size, NEVER_US), np.full(size, NEVER_US)
    events = dataset.events.filter(pc.equal(dataset.events["event_type"], name))
    lead = dataset.find_leads(events["entity_id"])
    keep = np.flatnonzero(lead >= 0)
    lead, event_time, available = (
        lead[keep],
        column_to_microseconds(events["event_time"])[keep],
        column_to_microseconds(events["available_at"])[keep],
    )
    # Of several assignments to one element the last one stays: reversed, that is the first known.
    order = np.lexsort((event_time, available, lead))[::-1]
    time[lead[order]], known[lead[order]] = event_time[order], available[order]
    return time, known
