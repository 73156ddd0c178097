"""Sample weights by hand, by plain loops, and their properties for any rows."""

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


def test_equal_weights_sum_to_one_over_a_lead():
    np.testing.assert_array_equal(
        weigh_entities_equally(np.array(["a", "b", "a", "a", "c"], dtype=object)),
        [1 / 3, 1, 1 / 3, 1 / 3, 1],
    )


@pytest.mark.parametrize("half_life", [timedelta(days=10), 0.25])
def test_recency_halves_after_a_half_life(half_life):
    cutoff = np.array([0, 40, 30, 20]) * DAY
    np.testing.assert_allclose(weigh_by_recency(cutoff, half_life), [1 / 16, 1, 1 / 2, 1 / 4])


def test_recency_of_a_single_instant_is_equal():
    np.testing.assert_array_equal(weigh_by_recency(np.array([5, 5]) * DAY, 0.1), [1, 1])


def test_weights_are_off_by_default():
    assert compute_sample_weights(*columns([("a", 0), ("a", 9)]), Learning()) is None


@given(rows)
def test_weights_multiply_both_kinds_to_a_mean_of_one(listed):
    names = [name for name, _ in listed]
    latest = max(day for _, day in listed)
    expected = [1 / names.count(name) * 0.5 ** ((latest - day) / 10) for name, day in listed]
    mean = sum(expected) / len(expected)
    np.testing.assert_allclose(
        compute_sample_weights(*columns(listed), BOTH),
        [weight / mean for weight in expected],
        rtol=1e-9,
    )


@given(rows, st.randoms())
def test_weights_ignore_row_order_and_time_shift(listed, random):
    order = list(range(len(listed)))
    random.shuffle(order)
    moved = compute_sample_weights(
        *columns([(listed[i][0], listed[i][1] + 1000) for i in order]), BOTH
    )
    np.testing.assert_allclose(
        moved, compute_sample_weights(*columns(listed), BOTH)[order], rtol=1e-9
    )
