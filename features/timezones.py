"""UTC offsets of a time zone for arrays of instants or naive times.

Arrow's own time zone conversion lacks transitions after 2037.
"""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np

from features.tools.instants import (
    US_PER_DAY,
    duration_to_microseconds,
    from_microseconds,
    to_microseconds,
)


def find_offsets_at_instants(instant: np.ndarray, zone: ZoneInfo) -> np.ndarray:
    """Return the zone's UTC offset at each instant, all in microseconds."""
    if not len(instant):
        return instant
    changes, offsets = _find_offset_changes(zone, int(instant.min()), int(instant.max()))
    return offsets[np.searchsorted(changes, instant, side="right")]


def find_offsets_at_wall_times(wall: np.ndarray, zone: ZoneInfo) -> np.ndarray:
    """Return the zone's UTC offset at each naive time, all in microseconds.

    Where the clock is set forward or back, the old offset applies until the later of the two naive
    times of the transition.
    """
    if not len(wall):
        return wall
    changes, offsets = _find_offset_changes(zone, int(wall.min()), int(wall.max()))
    return offsets[
        np.searchsorted(changes + np.maximum(offsets[:-1], offsets[1:]), wall, side="right")
    ]


def _find_offset_changes(zone: ZoneInfo, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the instants of a zone's transitions, and the offsets before, between and after them.

    They cover the years from ``first`` to ``last``, in microseconds, and two days on both sides.
    """
    # UTC offsets are below a day: with two days on both sides every wall time is covered.
    margin = 2 * US_PER_DAY
    begin, end = (from_microseconds(us).year for us in (first - margin, last + margin))
    changes = [change for year in range(begin, end + 1) for change in _list_changes(zone, year)]
    offsets = [_utc_offset_us(zone, _start_of_year(begin)), *(offset for _, offset in changes)]
    return np.array([us for us, _ in changes], np.int64), np.array(offsets, np.int64)


@functools.cache
def _list_changes(zone: ZoneInfo, year: int) -> tuple[tuple[int, int], ...]:
    """Return the instant of each transition of a zone in a year (UTC), and the offset after it.

    Days are compared one by one; within a day, the second of the transition is found by bisection.
    """
    first, last = _start_of_year(year) // US_PER_DAY, _start_of_year(year + 1) // US_PER_DAY
    changes, previous = list[tuple[int, int]](), _utc_offset_us(zone, first * US_PER_DAY)
    for day in range(first + 1, last + 1):
        offset = _utc_offset_us(zone, day * US_PER_DAY)
        if offset != previous:
            # Transitions fall on whole seconds.
            low, high = (day - 1) * 86_400, day * 86_400
            while high - low > 1:
                middle = (low + high) // 2
                is_after = _utc_offset_us(zone, middle * 1_000_000) == offset
                low, high = (low, middle) if is_after else (middle, high)
            changes.append((high * 1_000_000, offset))
            previous = offset
    return tuple(changes)


def _start_of_year(year: int) -> int:
    return to_microseconds(datetime(year, 1, 1, tzinfo=UTC))


def _utc_offset_us(zone: ZoneInfo, us: int) -> int:
    return duration_to_microseconds(from_microseconds(us).astimezone(zone).utcoffset())
