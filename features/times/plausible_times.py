"""Instants that lie far from all others, such as an empty date that became 1970-01-01.

The rule works on days (UTC) with rows, of all leads and events together. The core is the run of
days without a gap of a year that holds most days; it grows over every gap that is not *far*. Seen
from the core, a gap is far if it is at least a year long and one of these holds:

- the rows beyond it lie on at most three days, and the gap is at least a quarter of the core's span
  and three times its longest pause: a placeholder date, or a few mistyped ones;
- it is at least ten years, and twice the core's span: a wrong century, on however many days.

What lies beyond a far gap is implausible, unless it is more than half of a source's rows: leads
that were all created on the day of an import are no mistake. A core with few rows judges nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from features.arrivals import QUARTER_US, Arrivals
from features.tools.instants import US_PER_DAY

# Shorter gaps are pauses: a seasonal business has one of most of a year.
MIN_GAP_DAYS = 365
# A placeholder is one day; few mistyped dates are few days.
MAX_FAR_DAYS = 3
# A core with fewer rows has no bulk to compare with.
MIN_CORE_ROWS = 20
# The gap to a few days, in spans and in longest pauses of the core.
MIN_GAP_SPANS, MIN_GAP_PAUSES = 0.25, 3
# The gap to many days: no real log pauses for a decade and for twice its own length.
MIN_LONG_GAP_DAYS, MIN_LONG_GAP_SPANS = 3650, 2

QUARTERS_PER_DAY = US_PER_DAY // QUARTER_US


@dataclass(frozen=True)
class PlausibleSpan:
    """Days outside which an instant is implausible; None where nothing lies outside.

    Attributes:
        first: First plausible instant, in microseconds since 1970.
        last: Last plausible instant.
    """

    first: int | None = None
    last: int | None = None

    @classmethod
    def from_arrivals(cls, parts: Sequence[Arrivals]) -> Self:
        """Return the span of the core of instants that are counted by quarter of an hour."""
        merged = Arrivals.merge(parts)
        days, place = np.unique(merged.quarters // QUARTERS_PER_DAY, return_inverse=True)
        rows = np.bincount(place, merged.rows, len(days)).astype(np.int64)
        low, high = find_core(days, rows)
        first, end = (int(days[low]), int(days[high]) + 1) if len(days) else (0, 0)
        if any(_holds_most_rows(part, slice(None, first)) for part in parts):
            low = 0
        if any(_holds_most_rows(part, slice(end, None)) for part in parts):
            high = len(days) - 1
        return cls(
            int(days[low]) * US_PER_DAY if low > 0 else None,
            (int(days[high]) + 1) * US_PER_DAY - 1 if high < len(days) - 1 else None,
        )

    def __bool__(self) -> bool:
        """Return whether anything lies outside."""
        return self.first is not None or self.last is not None


def _holds_most_rows(part: Arrivals, days: slice) -> bool:
    """Return whether more than half of a source's rows, and several, lie in the slice of days."""
    edges = [day and day * QUARTERS_PER_DAY for day in (days.start, days.stop)]
    start, stop = (None if edge is None else np.searchsorted(part.quarters, edge) for edge in edges)
    rows = int(part.rows[start:stop].sum())
    return rows > 1 and 2 * rows > part.total


def find_core(days: np.ndarray, rows: np.ndarray) -> tuple[int, int]:
    """Return the first and the last position of the core in ``days``, all of them if none is far.

    ``days`` are ascending and unique, ``rows`` their numbers of rows.
    """
    if not len(days):
        return 0, -1
    gaps = np.flatnonzero(np.diff(days) >= MIN_GAP_DAYS)
    starts, ends = np.append(0, gaps + 1), np.append(gaps, len(days) - 1)
    sums = np.append(0, np.cumsum(rows))
    # The most days; at a tie, the most rows, then the earliest.
    core = max(
        range(len(starts)), key=lambda k: (ends[k] - starts[k], sums[ends[k] + 1] - sums[starts[k]])
    )
    low, high = int(starts[core]), int(ends[core])
    if sums[high + 1] - sums[low] < MIN_CORE_ROWS:
        return 0, len(days) - 1
    grown = True
    while grown:
        grown = False
        # Both ends are judged by the same core, so that neither direction comes first.
        below = low > 0 and not _is_far(days, low, high, int(days[low] - days[low - 1]), low)
        beyond = len(days) - 1 - high
        above = beyond > 0 and not _is_far(
            days, low, high, int(days[high + 1] - days[high]), beyond
        )
        if below:
            low, grown = int(starts[np.searchsorted(starts, low) - 1]), True
        if above:
            high, grown = int(ends[np.searchsorted(ends, high) + 1]), True
    return low, high


def _is_far(days: np.ndarray, low: int, high: int, gap: int, days_beyond: int) -> bool:
    """Return whether a gap next to the core ``[low, high]`` is far; all in days."""
    span = int(days[high] - days[low]) + 1
    pause = int(np.diff(days[low : high + 1]).max(initial=0))
    if gap >= max(MIN_LONG_GAP_DAYS, MIN_LONG_GAP_SPANS * span):
        return True
    return days_beyond <= MAX_FAR_DAYS and gap >= max(MIN_GAP_SPANS * span, MIN_GAP_PAUSES * pause)
