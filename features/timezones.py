"""UTC offsets of a time zone for arrays of instants or naive times.

Arrow's own time zone conversion lacks transitions after 2037.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo

import numpy as np

from features.tools.instants import US_PER_DAY, duration_to_microseconds, from_microseconds


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

    Days are compared one by one; within a day, the second of the transition is found by bisection.
    """
    # UTC offsets are below a day: with two days on both sides every wall time is covered.
    days = range(first // US_PER_DAY - 2, last // US_PER_DAY + 3)
    changes, offsets = list[int](), [_utc_offset_us(zone, days[0] * US_PER_DAY)]
    for day in days:
        offset = _utc_offset_us(zone, day * US_PER_DAY)
        if offset != offsets[-1]:
            # Transitions fall on whole seconds.
            low, high = (day - 1) * 86_400, day * 86_400
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (
                    (low, middle)
                    if _utc_offset_us(zone, middle * 1_000_000) == offset
                    else (middle, high)
                )
            changes.append(high * 1_000_000)
            offsets.append(offset)
    return np.array(changes, np.int64), np.array(offsets, np.int64)


def _utc_offset_us(zone: ZoneInfo, us: int) -> int:
    return duration_to_microseconds(from_microseconds(us).astimezone(zone).utcoffset())
