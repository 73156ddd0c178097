"""A time zone's offset from UTC, for many instants or naive times at once; Arrow's own zones end in 2037."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import numpy as np

from features.contracts import US_PER_DAY, from_us


def offsets_at(instant: np.ndarray, zone: ZoneInfo) -> np.ndarray:
    """Return the zone's offset from UTC at each instant, all in microseconds."""
    if not len(instant):
        return instant
    changes, offsets = _changes(zone, int(instant.min()), int(instant.max()))
    return offsets[np.searchsorted(changes, instant, side="right")]


def offsets_of(wall: np.ndarray, zone: ZoneInfo) -> np.ndarray:
    """Return the zone's offset from UTC at each naive time, all in microseconds.

    Where the clock jumps or goes back, the old offset counts until the later of the two naive times of the change.
    """
    if not len(wall):
        return wall
    changes, offsets = _changes(zone, int(wall.min()), int(wall.max()))
    return offsets[
        np.searchsorted(changes + np.maximum(offsets[:-1], offsets[1:]), wall, side="right")
    ]


def _changes(zone: ZoneInfo, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the instants at which a zone's next offset begins, and the offsets around them.

    Looked up day by day, and to the second where a day's offset changes.
    """
    days = range(first // US_PER_DAY - 2, last // US_PER_DAY + 3)
    changes, offsets = list[int](), [_offset(zone, days[0] * US_PER_DAY)]
    for day in days:
        new = _offset(zone, day * US_PER_DAY)
        if new != offsets[-1]:
            low, high = (day - 1) * 86_400, day * 86_400
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (
                    (low, middle) if _offset(zone, middle * 1_000_000) == new else (middle, high)
                )
            changes.append(high * 1_000_000)
            offsets.append(new)
    return np.array(changes, np.int64), np.array(offsets, np.int64)


def _offset(zone: ZoneInfo, us: int) -> int:
    return (from_us(us).astimezone(zone).utcoffset() or timedelta(0)) // timedelta(microseconds=1)
