"""The span of many instants that does not begin or end with a single one of them."""

from __future__ import annotations

from itertools import product

import numpy as np

from features.tools.instants import US_PER_DAY

# Days, and weeks where most days hold one instant only.
BUCKETS_US = (US_PER_DAY, 7 * US_PER_DAY)
# In a span of fewer buckets, their length would be a large part of it.
MIN_BUCKETS = 10
# Up to these shares of instants may lie outside; more are no odd ones. One lead that is months
# older than all others adds a lone cutoff each week, so the second share is large.
MAX_OUTSIDE_SHARES = (0.2, 0.5)


def find_supported_span(instants: np.ndarray) -> tuple[int, int]:
    """Return the half-open span ``[start, end)`` of instants in microseconds, at least one.

    It begins and ends with the first and the last day (UTC) that hold two instants or more, so that
    one more instant does not move it. Where more than a fifth of the instants would lie outside,
    weeks take the place of days, and where more lie outside of these, the limit is half of them.
    Else, and where the span has few weeks, it reaches from the first instant to the last.
    """
    for share, bucket in product(MAX_OUTSIDE_SHARES, BUCKETS_US):
        place = instants // bucket
        # Counted without sorting: valid times cover 300 years, so there are few buckets.
        counts = np.bincount(place - place.min())
        shared = np.flatnonzero(counts > 1)
        if not len(shared) or shared[-1] - shared[0] + 1 < MIN_BUCKETS:
            continue
        inside = counts[shared[0] : shared[-1] + 1].sum()
        if len(instants) - inside <= share * len(instants):
            first, last = shared[0] + place.min(), shared[-1] + place.min()
            return int(first) * bucket, (int(last) + 1) * bucket
    return int(instants.min()), int(instants.max()) + 1
