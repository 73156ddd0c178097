"""Intervals are written as so many of a hundred leads, and never as less than they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.page.one_lead.figures import CHANCE_SIZES, count_chances


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.04, 0.09, (4, 9, 100)),
        (0.041, 0.089, (4, 9, 100)),
        (0.07, 0.29, (7, 29, 100)),
        (0.004, 0.009, (4, 9, 1_000)),
        (0.00001, 0.0002, (1, 2, 10_000)),
        (0.0, 0.0, (0, 0, 10_000)),
        (0.5, 0.999, (50, 99, 100)),
        (0.5, 1.0, (50, 100, 100)),
        (0.9999, 0.99995, (99, 99, 100)),
    ],
)
def test_interval_in_words(low, high, expected):
    assert count_chances(low, high) == expected


@given(st.floats(0, 1), st.floats(0, 1))
def test_chances_hold_the_interval(one, other):
    low, high = sorted((one, other))
    first, last, size = count_chances(low, high)
    assert size in CHANCE_SIZES
    assert 0 <= first <= last <= size
    # A chance is never written as impossible or certain unless it is.
    assert (first > 0) == (low > 0) or low == 0
    assert last < size or high == 1
    if 1 / size <= low and high <= 1 - 1 / size:
        assert first / size <= low + 1e-6
        assert last / size >= high - 1e-6
