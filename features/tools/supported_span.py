"""The span of many instants that does not begin or end with a single one of them."""

from __future__ import annotations

import numpy as np

from features.tools.instants import US_PER_DAY

# Fewer days are too few to judge their ends by the days between.
MIN_DAYS = 10
# Instants alone on their day are odd up to one in 20, or these few; else they are the rule.
MAX_LONE_SHARE, MAX_LONE = 0.05, 3


def find_supported_span(instants: np.ndarray) -> tuple[int, int]:
    """Return the half-open span ``[start, end)`` of instants in microseconds, at least one.

    It begins and ends with the first and the last day (UTC) that hold two instants or more, so that
    one more instant does not move it. Where instants alone on their day are common, or there are
    few days, it reaches from the first instant to the last.
    """
    days = instants // US_PER_DAY
    # Counted without sorting: valid times cover 300 years, so there are few days.
    counts = np.bincount(days - days.min())
    shared = np.flatnonzero(counts > 1) + days.min()
    lone = int((counts == 1).sum())
    if len(shared) + lone < MIN_DAYS or lone > max(MAX_LONE, MAX_LONE_SHARE * len(instants)):
        return int(instants.min()), int(instants.max()) + 1
    return int(shared[0]) * US_PER_DAY, (int(shared[-1]) + 1) * US_PER_DAY
