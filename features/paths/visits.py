"""Visits: each lead's stays in the states of the funnel, from the events known at the as-of.

A lead is created in no stage, or in the newest stage that it had reached by then. Every stage event
leads to that stage; one of the stage where it is already changes nothing. A win or a loss ends the
lead, and with it the spell; events after it count only once an event of ``population.reopen``
happened, which begins a new spell in its own stage, or else in the stage where the lead had ended.
Outcomes that a known event revokes did not happen. At one instant stages come first, from first to
last, then a win, then a loss, then a reopening.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.schema import Project
from features.contracts import Dataset
from features.engine.lead_index import sort_by_code
from features.outcome_events import match_revocations
from features.paths.states import FunnelStates
from features.tools.instants import NEVER_US, column_to_microseconds
from features.tools.jit import jit_kernel

# A system that creates a lead in a stage writes both within this time; then it never was outside.
TOGETHER_US = 1_000_000
# The exit of a visit, or of a spell, that lasts.
OPEN = -1


@dataclass(frozen=True)
class Visits:
    """Visits to stages, one element per visit, ordered by lead and time.

    Attributes:
        lead: Row of the lead in the leads table, int64.
        stage: Number of the stage, int64.
        start: When the visit began, int64 microseconds since 1970.
        end: When it ended; NEVER_US if it lasts.
        exit: Number of the state that followed, int64, or OPEN.
    """

    lead: np.ndarray
    stage: np.ndarray
    start: np.ndarray
    end: np.ndarray
    exit: np.ndarray


@dataclass(frozen=True)
class Spells:
    """Ways of leads from creation, or from a reopening, to their end; one element per spell.

    Attributes:
        lead: Row of the lead in the leads table, int64.
        start: When the lead was created or reopened, int64 microseconds since 1970.
        end: When it was won or lost; NEVER_US if it is open.
        exit: Number of the state of its end, int64, or OPEN.
    """

    lead: np.ndarray
    start: np.ndarray
    end: np.ndarray
    exit: np.ndarray


class LeadPaths(NamedTuple):
    """Visits and spells of all leads."""

    visits: Visits
    spells: Spells


class _StateEvents(NamedTuple):
    """Events that may change a state, ordered by (lead, time, state)."""

    lead: np.ndarray
    time: np.ndarray
    state: np.ndarray
    reopens: np.ndarray


def find_paths(dataset: Dataset, project: Project, states: FunnelStates) -> LeadPaths:
    """Return the paths of all leads of a data set, which is cut at the as-of.

    Leads that became another one have none: their events are those of that one.
    """
    created = column_to_microseconds(dataset.leads["created_at"])
    events = _select_events(dataset, project, states)
    first = np.searchsorted(events.lead, np.arange(len(created) + 1))
    is_lead = dataset.merges.ends(dataset.leads["entity_id"]) == NEVER_US
    # Each event begins at most one visit and one spell, and each creation one of both.
    size = len(events.time) + len(created)
    visits = tuple(np.empty(size, np.int64) for _ in range(5))
    spells = tuple(np.empty(size, np.int64) for _ in range(4))
    counts = _walk_leads(
        (first, events.time, events.state, events.reopens),
        (created, is_lead, states.won),
        (visits, spells),
    )
    return LeadPaths(
        Visits(*(column[: counts[0]].copy() for column in visits)),
        Spells(*(column[: counts[1]].copy() for column in spells)),
    )


def _select_events(dataset: Dataset, project: Project, states: FunnelStates) -> _StateEvents:
    """Return the events that may change the state of a lead."""
    state_of_type = states.state_of_type
    names = pa.array(state_of_type, pa.string())
    places = pc.index_in(dataset.events["event_type"], value_set=names)
    place = pc.fill_null(places, -1).to_numpy().astype(np.int16)
    for row in _list_revoked_rows(dataset, project, states):
        place[row] = -1
    rows = np.flatnonzero(place >= 0)
    lead = _find_lead_rows(dataset, rows)
    rows, lead = rows[lead >= 0], lead[lead >= 0]
    time = column_to_microseconds(dataset.events["event_time"])[rows]
    state = np.array([*state_of_type.values()], np.int64)[place[rows]]
    order = _sort_events(lead, time, state, dataset.leads.num_rows)
    reopens = np.array([name in states.reopens for name in state_of_type])[place[rows]]
    return _StateEvents(lead[order], time[order], state[order], reopens[order])


def _sort_events(lead: np.ndarray, time: np.ndarray, state: np.ndarray, leads: int) -> np.ndarray:
    """Return the order of events by lead, time and state."""
    # Most logs are ordered in time, so that grouping by lead leaves nothing to sort.
    order = sort_by_code(lead, leads)
    sorted_time, sorted_state = time[order], state[order]
    is_same = np.diff(lead[order]) == 0
    step = np.diff(sorted_time)
    if (is_same & ((step < 0) | ((step == 0) & (np.diff(sorted_state) < 0)))).any():
        return np.lexsort((state, time, lead))
    return order


def _find_lead_rows(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """Return the lead of each selected event, -1 for none."""
    all_rows = dataset.lead_row_of_events
    if all_rows is not None:
        return all_rows.to_numpy()[rows].astype(np.int64)
    # To look up all ids costs less than to copy the texts of the selected ones.
    return dataset.find_leads(dataset.events["entity_id"])[rows]


def _list_revoked_rows(
    dataset: Dataset, project: Project, states: FunnelStates
) -> list[np.ndarray]:
    """Return the rows of the outcome events that are revoked, by target."""
    revoked = []
    for target in project.targets.values():
        if not target.outcome_revoked_by or not {*target.outcome_types} & {*states.state_of_type}:
            continue
        is_outcome = pc.is_in(
            dataset.events["event_type"], value_set=pa.array(target.outcome_types, pa.string())
        )
        # The matched outcomes are these rows, in their order.
        rows = np.flatnonzero(is_outcome.to_numpy())
        revoked.append(rows[match_revocations(dataset, target).revoked_by >= 0])
    return revoked


@jit_kernel
def _walk_leads(events: Any, leads: Any, paths: Any) -> Any:
    """Fill visits and spells of all leads; return the number of each."""
    first, time, _, _ = events
    created, is_lead, won = leads
    counts = np.zeros(2, np.int64)
    for lead in range(len(created)):
        if not is_lead[lead]:
            continue
        event, end = first[lead], first[lead + 1]
        stage, start, event = _find_first_stage(events, event, end, created[lead], won)
        _begin_spell(paths, counts, lead, created[lead])
        _begin_visit(paths, counts, lead, stage, start)
        is_open = True
        while event < end:
            stop = event
            while stop < end and time[stop] == time[event]:
                stop += 1
            stage, is_open = _take_instant(
                events, (event, stop), (lead, stage, is_open, won), paths, counts
            )
            event = stop
    return counts


@jit_kernel
def _find_first_stage(events: Any, event: int, end: int, created: int, won: int) -> Any:
    """Return the stage of a lead at its creation, when it reached it, and the next event."""
    _, time, state, _ = events
    stage, start = 0, created
    # Wins and losses before the creation are none: the lead would not have been created.
    while event < end and time[event] < created:
        if 0 <= state[event] < won and state[event] != stage:
            stage, start = state[event], time[event]
        event += 1
    if stage == 0:
        place = event
        while place < end and time[place] < created + TOGETHER_US and stage == 0:
            if state[place] >= won:
                break
            if state[place] > 0:
                # The later events of this instant lead on from it.
                stage, start, event = state[place], time[place], place
            place += 1
    return stage, start, event


@jit_kernel
def _take_instant(events: Any, span: Any, now: Any, paths: Any, counts: Any) -> Any:
    """Take the events of one instant; return the stage, and whether the lead is open."""
    _, time, state, reopens = events
    begin, stop = span
    lead, stage, is_open, won = now
    at = time[begin]
    reopening = -2
    for event in range(begin, stop):
        if reopens[event]:
            reopening = max(reopening, state[event])
    if reopening >= -1 and not is_open:
        stage = reopening if reopening >= 0 else stage
        is_open, reopening = True, -2
        _begin_spell(paths, counts, lead, at)
        _begin_visit(paths, counts, lead, stage, at)
        # It stays open at this instant: a reopening comes after an end.
        won_limit = won
    else:
        won_limit = np.iinfo(np.int64).max
    for event in range(begin, stop):
        target = state[event]
        if target < 0 or not is_open or target == stage or target >= won_limit:
            continue
        _end_visit(paths, counts, at, target)
        if target < won:
            stage = target
            _begin_visit(paths, counts, lead, stage, at)
        else:
            _end_spell(paths, counts, at, target)
            is_open = False
    if reopening >= -1 and not is_open:
        stage = reopening if reopening >= 0 else stage
        is_open = True
        _begin_spell(paths, counts, lead, at)
        _begin_visit(paths, counts, lead, stage, at)
    return stage, is_open


@jit_kernel
def _begin_visit(paths: Any, counts: Any, lead: int, stage: int, at: int) -> None:
    leads, stages, starts, ends, exits = paths[0]
    place = counts[0]
    leads[place], stages[place], starts[place] = lead, stage, at
    ends[place], exits[place] = NEVER_US, OPEN
    counts[0] += 1


@jit_kernel
def _begin_spell(paths: Any, counts: Any, lead: int, at: int) -> None:
    leads, starts, ends, exits = paths[1]
    place = counts[1]
    leads[place], starts[place], ends[place], exits[place] = lead, at, NEVER_US, OPEN
    counts[1] += 1


@jit_kernel
def _end_visit(paths: Any, counts: Any, at: int, state: int) -> None:
    place = counts[0] - 1
    paths[0][3][place], paths[0][4][place] = at, state


@jit_kernel
def _end_spell(paths: Any, counts: Any, at: int, state: int) -> None:
    place = counts[1] - 1
    paths[1][2][place], paths[1][3][place] = at, state
