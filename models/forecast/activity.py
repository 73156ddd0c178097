"""What happened around leads before instants: how often, and how long ago."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from features.engine.lead_index import sort_by_code
from features.tools.instants import US_PER_DAY
from features.tools.jit import jit_kernel

# Days before an instant whose events are counted, for all events; of single types the last one.
WINDOWS = (7, 30)


@dataclass(frozen=True)
class LeadTimes:
    """Instants of events, ordered by lead and time.

    Attributes:
        first: Place of each lead's first event; at last the number of events, int64.
        time: Times of the events, int64 microseconds since 1970.
    """

    first: np.ndarray
    time: np.ndarray

    def count_before(self, lead: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Return the place after the last event of each lead before an instant of its own."""
        places = np.empty(len(lead), np.int64)
        _fill_places(self.first, self.time, (lead, at), places)
        return places


def sort_by_lead(
    lead: np.ndarray, time: np.ndarray, leads: int, value: np.ndarray | None = None
) -> tuple[LeadTimes, np.ndarray]:
    """Return events by lead and time, and their order; those at one time are ordered by value.

    ``lead`` is -1 for events of no lead.
    """
    rows = np.flatnonzero(lead >= 0)
    keys = (time[rows],) if value is None else (value[rows], time[rows])
    is_sorted = value is None and bool((np.diff(time[rows]) >= 0).all())
    if not is_sorted:
        rows = rows[np.lexsort(keys)]
    rows = rows[sort_by_code(lead[rows], leads)]
    first = np.searchsorted(lead[rows], np.arange(leads + 1))
    return LeadTimes(first, time[rows]), rows


@dataclass(frozen=True)
class LeadActivity:
    """Events around leads.

    Attributes:
        every: All events.
        types: Those of the most frequent types, each alone.
    """

    every: LeadTimes
    types: tuple[LeadTimes, ...]

    def describe_leads(self, lead: np.ndarray, at: int) -> np.ndarray:
        """Return numbers that describe what happened before an instant, float64 (leads, columns).

        They are the days since the last event, the events in some days, and for each type the days
        since its last event and its events of the longest of those times.
        """
        columns = [*_describe_times(self.every, lead, at, WINDOWS)]
        for part in self.types:
            columns += _describe_times(part, lead, at, WINDOWS[-1:])
        return np.column_stack(columns)


def _describe_times(
    times: LeadTimes, lead: np.ndarray, at: int, windows: tuple[int, ...]
) -> list[np.ndarray]:
    until = times.count_before(lead, np.full(len(lead), at))
    has_event = until > times.first[lead]
    since = np.full(len(lead), np.nan)
    since[has_event] = (at - times.time[until[has_event] - 1]) / US_PER_DAY
    counts = [
        until - times.count_before(lead, np.full(len(lead), at - days * US_PER_DAY))
        for days in windows
    ]
    return [since, *(count.astype(float) for count in counts)]


@jit_kernel
def _fill_places(first: Any, time: Any, queries: Any, places: Any) -> None:
    lead, at = queries
    for query in range(len(places)):
        low, high = first[lead[query]], first[lead[query] + 1]
        while low < high:
            middle = (low + high) // 2
            if time[middle] < at[query]:
                low = middle + 1
            else:
                high = middle
        places[query] = low
