"""The last event of a lead before it left a stage, other than those that are states themselves."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.contracts import Dataset
from features.paths.states import FunnelStates
from features.paths.visits import Visits
from features.tools.instants import column_to_microseconds


def find_last_events(
    dataset: Dataset, states: FunnelStates, visits: Visits, rows: np.ndarray
) -> pa.Array:
    """Return the type of the last event within each of some ended visits, null without any.

    An event counts in ``[start, end)``; of several at one instant it is the last by name.
    """
    leads, lead_of_visit = np.unique(visits.lead[rows], return_inverse=True)
    events = _find_other_events(dataset, states, leads)
    own = np.searchsorted(leads, dataset.event_leads[events])
    time = column_to_microseconds(dataset.events["event_time"])[events]
    names, code = _encode_types(dataset.events["event_type"].take(pa.array(events)))
    order = np.lexsort((code, time, own))
    own, time, code = own[order], time[order], code[order]
    place = _find_last_before(own, time, lead_of_visit, visits.end[rows])
    known = place >= 0
    known[known] &= own[place[known]] == lead_of_visit[known]
    known[known] &= time[place[known]] >= visits.start[rows][known]
    return names.take(pa.array(np.where(known, np.append(code, 0)[place], 0), mask=~known))


def _find_other_events(dataset: Dataset, states: FunnelStates, leads: np.ndarray) -> np.ndarray:
    """Return the rows of the events of some leads that are no states."""
    chosen = np.zeros(dataset.leads.num_rows + 1, bool)
    chosen[leads] = True
    # The row of an unknown lead is -1, the last element here.
    rows = np.flatnonzero(chosen[dataset.event_leads])
    types = dataset.events["event_type"].take(pa.array(rows))
    is_state = pc.is_in(types, value_set=pa.array(states.state_of_type, pa.string()))
    return rows[~is_state.to_numpy()]


def _encode_types(types: pa.ChunkedArray) -> tuple[pa.Array, np.ndarray]:
    """Return the distinct names in their order, and the place of each row's name among them."""
    distinct = pc.unique(types)
    names = distinct.take(pc.sort_indices(distinct))
    return names, pc.index_in(types, value_set=names).to_numpy()


def _find_last_before(
    own: np.ndarray, time: np.ndarray, lead: np.ndarray, end: np.ndarray
) -> np.ndarray:
    """Return the row of the last of the ordered events before (lead, end), -1 without any."""
    both = np.lexsort(
        (
            # At the same instant the end comes first: an event at it is not before it.
            np.concatenate([np.ones(len(own), int), np.zeros(len(lead), int)]),
            np.concatenate([time, end]),
            np.concatenate([own, lead]),
        )
    )
    is_event = both < len(own)
    count = np.cumsum(is_event)
    place = np.empty(len(lead), np.int64)
    place[both[~is_event] - len(own)] = count[~is_event] - 1
    return place
