"""Ends of validity against a search among all rows that were known before a cutoff."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from features.times.validity import find_value_changes
from features.tools.instants import NEVER_US

instants = st.integers(1, 9)
rows = st.lists(
    st.tuples(
        st.integers(0, 1), instants, instants, instants | st.just(NEVER_US), st.integers(0, 2)
    ).filter(lambda row: row[3] >= row[1]),
    max_size=8,
)


def search(rows, group, cutoff):
    """Return the rank of the value that is valid at a cutoff, None if none is."""
    own = [
        (since, max(since, known), until, rank)
        for g, since, known, until, rank in rows
        if g == group and max(since, known) < cutoff
    ]
    valid = [
        (since, known, rank)
        for since, known, until, rank in own
        if max(until, known) >= cutoff
        and not any(other[0] == since and other[1] > known for other in own)
    ]
    return max(valid)[2] if valid else None


def change(rows):
    parts = [np.array([row[i] for row in rows], np.int64) for i in range(5)]
    group, since, known, until, rank = parts
    return find_value_changes(group, since, np.maximum(since, known), until, rank)


def read(rows, group, cutoff):
    """Return the same by the changes, of which the last before the cutoff counts."""
    at = [
        (when, row)
        for g, when, row in zip(*change(rows), strict=True)
        if g == group and when < cutoff
    ]
    return None if not at or at[-1][1] < 0 else rows[at[-1][1]][4]


@settings(max_examples=100, deadline=None)
@given(rows)
def test_changes_are_those_of_a_search(rows):
    for group in range(2):
        for cutoff in range(1, 12):
            assert read(rows, group, cutoff) == search(rows, group, cutoff)


@settings(max_examples=100, deadline=None)
@given(rows, st.integers(1, 10))
def test_deleting_all_at_or_after_a_cutoff_changes_nothing(rows, cutoff):
    past = [
        (group, since, known, until if until < cutoff else NEVER_US, rank)
        for group, since, known, until, rank in rows
        if max(since, known) < cutoff
    ]
    for group in range(2):
        assert read(past, group, cutoff) == read(rows, group, cutoff)


@settings(max_examples=30, deadline=None)
@given(rows, st.randoms(use_true_random=False))
def test_order_of_rows_changes_nothing(rows, random):
    shuffled = random.sample(rows, len(rows))
    for group in range(2):
        for cutoff in range(1, 12):
            assert read(rows, group, cutoff) == read(shuffled, group, cutoff)


def test_long_histories_take_no_quadratic_time():
    size = 200_000
    since = np.arange(size, dtype=np.int64) * 2
    group, rank = np.zeros(size, np.int64), np.arange(size, dtype=np.int64)
    _, when, row = find_value_changes(group, since, since, since + 1, rank)
    assert len(when) == 2 * size and (row[1::2] < 0).all()
