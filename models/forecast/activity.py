"""What happened around leads before instants: how often, and how long ago."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from features.engine.lead_index import sort_by_code
from features.tools.binary_search import find_lower_bounds
from features.tools.instants import US_PER_DAY
from models.forecast.days.working_time import WorkingTime

# Working days before an instant whose events are counted, for all events; of single types the last
# one. In calendar days a slow month would make every deal look idle, beside a clock that is slow.
WINDOWS = (7, 30)


@dataclass(frozen=True)
class LeadTimes:
    """Instants of events, ordered by lead and time.

    Attributes:
        first: Place of each lead's first event, int64.
        last: Place after its last one, int64.
        time: Times of the events, int64 microseconds since 1970.
    """

    first: np.ndarray
    last: np.ndarray
    time: np.ndarray

    def count_before(self, lead: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Return the place after the last event of each lead before an instant of its own."""
        return find_lower_bounds(self.time, self.first[lead], self.last[lead], at)

    def take_leads(self, rows: np.ndarray) -> Self:
        """Return the events of some leads, numbered in the order of ``rows``."""
        return replace(self, first=self.first[rows], last=self.last[rows])

    def select_events(self, own: np.ndarray) -> Self:
        """Return some of the events, by a mask."""
        before = np.concatenate([[0], np.cumsum(own)])
        return type(self)(before[self.first], before[self.last], self.time[own])


def sort_by_lead(
    lead: np.ndarray, time: np.ndarray, leads: int, value: np.ndarray | None = None
) -> tuple[LeadTimes, np.ndarray]:
    """Return events by lead and time, and their order; those at one time are ordered by value.

    ``lead`` is -1 for events of no lead.
    """
    known = np.flatnonzero(lead >= 0)
    if value is not None:
        known = known[np.lexsort((value[known], time[known]))]
    rows = known[sort_by_code(lead[known], leads)]
    # Logs are often in order for each lead, and then need no sorting by time, which takes longest.
    is_early = np.diff(time[rows]) < 0
    if bool((is_early & (np.diff(lead[rows]) == 0)).any()):
        known = known[np.argsort(time[known], kind="stable")]
        rows = known[sort_by_code(lead[known], leads)]
    last = np.cumsum(np.bincount(lead[rows], minlength=leads))
    first = np.concatenate([[0], last[:-1]])
    return LeadTimes(first, last, time[rows]), rows


@dataclass(frozen=True)
class LeadActivity:
    """Events around leads.

    Attributes:
        every: All events.
        types: Those of the most frequent types, each alone.
    """

    every: LeadTimes
    types: tuple[LeadTimes, ...]

    def take_leads(self, rows: np.ndarray) -> Self:
        """Return the events around some leads, numbered in the order of ``rows``."""
        return type(self)(
            self.every.take_leads(rows), tuple(part.take_leads(rows) for part in self.types)
        )

    def describe_leads(self, lead: np.ndarray, at: int, time: WorkingTime) -> np.ndarray:
        """Return numbers that describe what happened before an instant, float64 (leads, columns).

        They are the working days since the last event, the events in some working days, and for
        each type the days since its last event and its events of the longest of those times. ``at``
        is an instant of the working time.
        """
        columns = [*_describe_times(self.every, lead, at, time, WINDOWS)]
        for part in self.types:
            columns += _describe_times(part, lead, at, time, WINDOWS[-1:])
        return np.column_stack(columns)


def _describe_times(
    times: LeadTimes, lead: np.ndarray, at: int, time: WorkingTime, windows: tuple[int, ...]
) -> list[np.ndarray]:
    until = _count_before(times, lead, time.find_instant(at))
    has_event = until > times.first[lead]
    since = np.full(len(lead), np.nan)
    since[has_event] = (at - time.convert(times.time[until[has_event] - 1])) / US_PER_DAY
    counts = [
        until - _count_before(times, lead, time.find_instant(at - days * US_PER_DAY))
        for days in windows
    ]
    return [since, *(count.astype(float) for count in counts)]


def _count_before(times: LeadTimes, lead: np.ndarray, at: int) -> np.ndarray:
    return times.count_before(lead, np.full(len(lead), at))
