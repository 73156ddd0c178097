"""Events that may change the state of a lead, grouped by lead and ordered in time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.schema import Project
from features.contracts import Dataset
from features.outcome_events import match_revocations
from features.paths.states import FunnelStates
from features.tools.instants import column_to_microseconds
from features.tools.jit import jit_kernel


class StateEvents(NamedTuple):
    """Events that may change a state, ordered by lead, time and state.

    Attributes:
        first: First event of each lead, and the number of all events, int64 (leads + 1,).
        time: Microseconds since 1970, int64.
        code: Number of the type, int16; types are numbered in the order of their states.
        state: State that each type leads to, int64 (types,); -1 for one that only reopens.
        reopens: Whether each type reopens a lead (types,).
    """

    first: np.ndarray
    time: np.ndarray
    code: np.ndarray
    state: np.ndarray
    reopens: np.ndarray


def select_state_events(dataset: Dataset, project: Project, states: FunnelStates) -> StateEvents:
    """Return the events of known leads that may change a state and were not revoked."""
    state_of_type = states.state_of_type
    types = sorted(state_of_type, key=lambda name: state_of_type[name])
    places = pc.index_in(dataset.events["event_type"], value_set=pa.array(types, pa.string()))
    code = pc.fill_null(places, -1).to_numpy().astype(np.int16)
    for rows in _list_revoked_rows(dataset, project, states):
        code[rows] = -1
    first, time, code = group_events(dataset, code)
    return StateEvents(
        first,
        time,
        code,
        np.array([state_of_type[name] for name in types], np.int64),
        np.array([name in states.reopens for name in types], bool),
    )


def group_events(dataset: Dataset, code: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the events of known leads with a code, ordered by lead, time and code.

    ``code`` has one int16 per event, negative for one that is left out. The first result is the
    first event of each lead and the number of all, int64 (leads + 1,); times and codes follow.
    """
    lead, time = dataset.event_leads, column_to_microseconds(dataset.events["event_time"])
    first = np.zeros(dataset.leads.num_rows + 1, np.int64)
    _count_events(lead, code, first)
    grouped_time, grouped_code = np.empty(first[-1], np.int64), np.empty(first[-1], np.int16)
    is_ordered = np.ones(dataset.leads.num_rows, bool)
    _group_events((lead, time, code), first, (grouped_time, grouped_code), is_ordered)
    _sort_leads(first, grouped_time, grouped_code, is_ordered)
    return first, grouped_time, grouped_code


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


def _sort_leads(
    first: np.ndarray, time: np.ndarray, code: np.ndarray, is_ordered: np.ndarray
) -> None:
    """Sort the events of the leads that are not ordered yet, in place."""
    # Most logs are ordered in time, so that grouping by lead leaves nothing to sort.
    if is_ordered.all():
        return
    lead = np.repeat(np.arange(len(is_ordered)), np.diff(first))
    rows = np.flatnonzero(~is_ordered[lead])
    order = rows[np.lexsort((code[rows], time[rows], lead[rows]))]
    time[rows], code[rows] = time[order], code[order]


@jit_kernel
def _count_events(lead: np.ndarray, code: np.ndarray, first: np.ndarray) -> None:
    """Fill the first event of each lead."""
    for row in range(len(lead)):
        if lead[row] >= 0 and code[row] >= 0:
            first[lead[row] + 1] += 1
    for place in range(1, len(first)):
        first[place] += first[place - 1]


@jit_kernel
def _group_events(
    log: tuple[np.ndarray, np.ndarray, np.ndarray],
    first: np.ndarray,
    grouped: tuple[np.ndarray, np.ndarray],
    is_ordered: np.ndarray,
) -> None:
    """Write events by lead, in the order of the log, and mark the leads that it orders."""
    lead, time, code = log
    grouped_time, grouped_code = grouped
    end = first[:-1].copy()
    for row in range(len(lead)):
        own = lead[row]
        if own < 0 or code[row] < 0:
            continue
        place = end[own]
        end[own] += 1
        grouped_time[place], grouped_code[place] = time[row], code[row]
        if place > first[own]:
            before = grouped_time[place - 1]
            is_tie = before == time[row] and grouped_code[place - 1] > code[row]
            if before > time[row] or is_tie:
                is_ordered[own] = False
