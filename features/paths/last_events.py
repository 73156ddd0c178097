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
    events = _select_other_events(dataset, states, leads)
    own = np.searchsorted(leads, dataset.find_leads(events["entity_id"]))
    time = column_to_microseconds(events["event_time"])
    names, code = _encode_types(events["event_type"])
    order = np.lexsort((code, time, own))
    own, time, code = own[order], time[order], code[order]
    place = _find_last_before(own, time, lead_of_visit, visits.end[rows])
    known = place >= 0
    known[known] &= own[place[known]] == lead_of_visit[known]
    known[known] &= time[place[known]] >= visits.start[rows][known]
    return names.take(pa.array(np.where(known, np.append(code, 0)[place], 0), mask=~known))


def _select_other_events(dataset: Dataset, states: FunnelStates, leads: np.ndarray) -> pa.Table:
    """Return the events of some leads that are no states."""
    columns = dataset.events.select(["entity_id", "event_time", "event_type"])
    types = pa.array(states.state_of_type, pa.string())
    is_other = ~pc.is_in(columns["event_type"], value_set=types).to_numpy()
    all_rows = dataset.lead_row_of_events
    if all_rows is not None:
        chosen = np.zeros(dataset.leads.num_rows + 1, bool)
        chosen[leads] = True
        is_other &= chosen[all_rows.to_numpy()]
    else:
        ids = dataset.leads["entity_id"].take(pa.array(leads)).combine_chunks()
        is_other &= pc.is_in(columns["entity_id"], value_set=ids).to_numpy()
    return columns.filter(pa.array(is_other))


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
