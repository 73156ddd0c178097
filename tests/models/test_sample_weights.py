"""Weights by hand, by plain loops, and what must hold for any rows."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.learning import Learning
from models.sample_weights import compute_sample_weights, weigh_by_recency, weigh_entities_equally

DAY = 86_400_000_000
BOTH = Learning(one_vote=True, recency_half_life=timedelta(days=10))
rows = st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 400)), min_size=1, max_size=30)


def columns(listed: list[tuple[str, int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([name for name, _ in listed], dtype=object), np.array(
        [day * DAY for _, day in listed]
    )


def test_the_rows_of_a_lead_share_one_vote():
    np.testing.assert_array_equal(
        weigh_entities_equally(np.array(["a", "b", "a", "a", "c"], dtype=object)),
        [1 / 3, 1, 1 / 3, 1 / 3, 1],
    )


@pytest.mark.parametrize("half_life", [timedelta(days=10), 0.25])
def test_a_half_life_back_counts_half(half_life):
    cutoff = np.array([0, 40, 30, 20]) * DAY
    np.testing.assert_allclose(weigh_by_recency(cutoff, half_life), [1 / 16, 1, 1 / 2, 1 / 4])


def test_a_share_of_no_time_leaves_all_alike():
    np.testing.assert_array_equal(weigh_by_recency(np.array([5, 5]) * DAY, 0.1), [1, 1])


def test_unless_asked_there_are_none():
    assert compute_sample_weights(*columns([("a", 0), ("a", 9)]), Learning()) is None


@given(rows)
def test_both_kinds_are_multiplied_and_brought_to_a_mean_of_one(listed):
    names = [name for name, _ in listed]
    latest = max(day for _, day in listed)
    plain = [1 / names.count(name) * 0.5 ** ((latest - day) / 10) for name, day in listed]
    mean = sum(plain) / len(plain)
    np.testing.assert_allclose(
        compute_sample_weights(*columns(listed), BOTH),
        [weight / mean for weight in plain],
        rtol=1e-9,
    )


@given(rows, st.randoms())
def test_no_order_of_rows_and_no_shift_of_time_changes_a_weight(listed, random):
    order = list(range(len(listed)))
    random.shuffle(order)
    moved = compute_sample_weights(
        *columns([(listed[i][0], listed[i][1] + 1000) for i in order]), BOTH
    )
    np.testing.assert_allclose(
        moved, compute_sample_weights(*columns(listed), BOTH)[order], rtol=1e-9
    )
