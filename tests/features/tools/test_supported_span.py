"""The span of instants that no single one of them moves."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.tools.supported_span import find_supported_span

DAY, HOUR = 86_400_000_000, 3_600_000_000


def span_by_words(instants):
    """Return the span by the rule's words."""
    for limit, bucket in ((0.2, DAY), (0.2, 7 * DAY), (0.5, DAY), (0.5, 7 * DAY)):
        counts = Counter(instant // bucket for instant in instants)
        shared = [place for place, rows in counts.items() if rows > 1]
        if not shared or max(shared) - min(shared) + 1 < 10:
            continue
        span = min(shared) * bucket, (max(shared) + 1) * bucket
        outside = [instant for instant in instants if not span[0] <= instant < span[1]]
        if len(outside) <= limit * len(instants):
            return span
    return min(instants), max(instants) + 1


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(st.lists(st.integers(-40 * 24, 80 * 24), min_size=1, max_size=60))
def test_span_is_that_of_the_words(hours):
    instants = [hour * HOUR for hour in hours]
    assert find_supported_span(np.array(instants)) == span_by_words(instants)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(st.integers(-70 * 8766, 200 * 8766), st.sampled_from([1, 2, 24]))
def test_span_of_many_is_not_moved_by_one_more(hours, step):
    clean = np.arange(100 * 24 // step) * step * HOUR
    more = np.append(clean, hours * HOUR)
    assert find_supported_span(more) == find_supported_span(clean)


def test_small_spans_are_exact():
    assert find_supported_span(np.array([5])) == (5, 6)
    assert find_supported_span(np.array([3 * DAY, DAY, DAY + 7])) == (DAY, 3 * DAY + 1)


def test_lone_cutoffs_of_one_old_lead_lie_outside():
    grid = np.repeat(np.arange(20) * 7 * DAY, 30)
    old = -np.arange(1, 50) * 7 * DAY
    assert find_supported_span(np.append(grid, old)) == (0, 19 * 7 * DAY + DAY)
