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

from configs.schema import Project
from features.contracts import Dataset
from features.paths.state_events import select_state_events
from features.paths.states import FunnelStates
from features.tools.instants import NEVER_US, column_to_microseconds
from features.tools.jit import jit_inline, jit_kernel

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


def find_paths(dataset: Dataset, project: Project, states: FunnelStates) -> LeadPaths:
    """Return the paths of all leads of a data set, which is cut at the as-of.

    Leads that became another one have none: their events are those of that one.
    """
    created = column_to_microseconds(dataset.leads["created_at"])
    events = select_state_events(dataset, project, states)
    is_lead = dataset.merges.ends(dataset.leads["entity_id"]) == NEVER_US
    # Each event begins at most one visit and one spell, and each creation one of both. What is
    # never written takes no memory.
    size = len(events.time) + len(created)
    visits, spells = np.empty((5, size), np.int64), np.empty((4, size), np.int64)
    counts = _walk_leads(
        (events.first, events.time, events.code),
        (events.state, events.reopens),
        (created, is_lead, states.won),
        (visits, spells),
    )
    return LeadPaths(Visits(*visits[:, : counts[0]]), Spells(*spells[:, : counts[1]]))


@jit_kernel
def _walk_leads(events: Any, types: Any, leads: Any, paths: Any) -> Any:
    """Fill visits and spells of all leads; return the number of each."""
    first, time, code = events
    state_of, _ = types
    created, is_lead, won = leads
    visits, spells = paths
    counts = np.zeros(2, np.int64)
    for lead in range(len(created)):
        if not is_lead[lead]:
            continue
        end = first[lead + 1]
        stage, start, event = _find_first_stage(
            events, state_of, (first[lead], end), created[lead], won
        )
        _begin_spell(spells, counts, lead, created[lead])
        _begin_visit(visits, counts, lead, stage, start)
        is_open = True
        while event < end:
            stop = event + 1
            while stop < end and time[stop] == time[event]:
                stop += 1
            stage, is_open = _take_instant(
                (time[event], event, stop), code, types, (lead, stage, is_open, won), paths, counts
            )
            event = stop
    return counts


@jit_inline
def _find_first_stage(events: Any, state_of: Any, span: Any, created: int, won: int) -> Any:
    """Return the stage of a lead at its creation, when it reached it, and the next event."""
    _, time, code = events
    event, end = span
    stage, start = 0, created
    # Wins and losses before the creation are none: the lead would not have been created.
    while event < end and time[event] < created:
        state = state_of[code[event]]
        if 0 <= state < won and state != stage:
            stage, start = state, time[event]
        event += 1
    if stage == 0:
        place = event
        while place < end and time[place] < created + TOGETHER_US and stage == 0:
            state = state_of[code[place]]
            if state >= won:
                break
            if state > 0:
                # The later events of this instant lead on from it.
                stage, start, event = state, time[place], place
            place += 1
    return stage, start, event


@jit_inline
def _take_instant(
    instant: Any, code: np.ndarray, types: Any, now: Any, paths: Any, counts: Any
) -> Any:
    """Take the events of one instant; return the stage, and whether the lead is open."""
    at, first, stop = instant
    state_of, reopens = types
    lead, stage, is_open, won = now
    visits, spells = paths
    reopening = -2
    for event in range(first, stop):
        if reopens[code[event]]:
            reopening = max(reopening, state_of[code[event]])
    limit = np.iinfo(np.int64).max
    if reopening >= -1 and not is_open:
        stage = reopening if reopening >= 0 else stage
        is_open, reopening = True, -2
        _begin_spell(spells, counts, lead, at)
        _begin_visit(visits, counts, lead, stage, at)
        # It stays open at this instant: a reopening comes after an end.
        limit = won
    for event in range(first, stop):
        state = state_of[code[event]]
        if state < 0 or not is_open or state == stage or state >= limit:
            continue
        _end_visit(visits, counts, at, state)
        if state < won:
            stage = state
            _begin_visit(visits, counts, lead, stage, at)
        else:
            _end_spell(spells, counts, at, state)
            is_open = False
    if reopening >= -1 and not is_open:
        stage = reopening if reopening >= 0 else stage
        is_open = True
        _begin_spell(spells, counts, lead, at)
        _begin_visit(visits, counts, lead, stage, at)
    return stage, is_open


@jit_inline
def _begin_visit(visits: Any, counts: Any, lead: int, stage: int, at: int) -> None:
    place = counts[0]
    visits[0, place], visits[1, place], visits[2, place] = lead, stage, at
    visits[3, place], visits[4, place] = NEVER_US, OPEN
    counts[0] += 1


@jit_inline
def _begin_spell(spells: Any, counts: Any, lead: int, at: int) -> None:
    place = counts[1]
    spells[0, place], spells[1, place] = lead, at
    spells[2, place], spells[3, place] = NEVER_US, OPEN
    counts[1] += 1


@jit_inline
def _end_visit(visits: Any, counts: Any, at: int, state: int) -> None:
    place = counts[0] - 1
    visits[3, place], visits[4, place] = at, state


@jit_inline
def _end_spell(spells: Any, counts: Any, at: int, state: int) -> None:
    place = counts[1] - 1
    spells[2, place], spells[3, place] = at, state
