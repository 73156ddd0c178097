"""Qini, top shares and intervals, against plain loops."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.uplift.effect_estimates import (
    estimate_mean,
    make_top_weights,
    measure_qini,
)
from models.uplift.pseudo_outcomes import compute_pseudo_outcomes
from tests.models.uplift.samples import draw_experiment


def walk_qini(ranked_by: np.ndarray, treated: np.ndarray, outcome: np.ndarray) -> float:
    """Return the area between the Qini curve and the straight line, row by row.

    The curve has the outcomes with outreach by the number of treated rows, less those without by
    the number of controls.
    """
    order = sorted(range(len(outcome)), key=lambda row: -ranked_by[row])
    heads, controls = treated.sum(), (~treated).sum()
    curve, gained = [0.0], 0.0
    for row in order:
        gained += outcome[row] / heads if treated[row] else -outcome[row] / controls
        curve.append(gained)
    area = sum((a + b) / 2 for a, b in pairwise(curve)) / len(order)
    return area - curve[-1] / 2


@pytest.mark.parametrize("seed", range(5))
def test_qini_without_outcome_models_is_that_of_the_curve(seed: int) -> None:
    rows, effect = draw_experiment(301, seed)
    share = np.full(len(rows), rows.treated.mean())
    zeros = np.zeros(len(rows))
    rows = type(rows)(rows.x, [2], rows.treated, share, rows.outcome, rows.cluster)
    pseudo = compute_pseudo_outcomes(rows, zeros, zeros)
    ranked_by = effect + np.random.default_rng(seed).normal(size=len(rows)) * 0.1
    expected = walk_qini(ranked_by, rows.treated, rows.outcome)
    assert measure_qini(pseudo, ranked_by) == pytest.approx(expected, abs=1e-12)


@given(
    pseudo=st.lists(st.floats(-3, 3), min_size=1, max_size=40),
    levels=st.integers(1, 5),
    seed=st.integers(0, 1000),
)
def test_qini_of_ties_is_the_mean_over_their_orders(
    pseudo: list[float], levels: int, seed: int
) -> None:
    values = np.array(pseudo)
    rng = np.random.default_rng(seed)
    ranked_by = rng.integers(0, levels, len(values)).astype(float)
    # Reversing the order within every level and averaging gives each row its mean place.
    small = np.linspace(0, 0.5, len(values))
    both = [measure_qini(values, ranked_by + sign * small) for sign in (1, -1)]
    assert measure_qini(values, ranked_by) == pytest.approx(np.mean(both), abs=1e-9)
    assert measure_qini(values, np.zeros(len(values))) == pytest.approx(0, abs=1e-9)
    # Backwards, a ranking gains as much less than random order.
    assert measure_qini(values, -ranked_by) == pytest.approx(-measure_qini(values, ranked_by))


@given(
    rows=st.integers(1, 50),
    share=st.floats(0.02, 1.0),
    levels=st.integers(1, 6),
    seed=st.integers(0, 99),
)
def test_top_weights_are_a_mean_of_the_best_rows(
    rows: int, share: float, levels: int, seed: int
) -> None:
    ranked_by = np.random.default_rng(seed).integers(0, levels, rows).astype(float)
    weights = make_top_weights(share)(ranked_by)
    assert weights.mean() == pytest.approx(1.0)
    assert weights.min() >= 0
    # No row has a weight while a better one lacks its full weight.
    lowest = ranked_by[weights > 1e-9].min()
    assert np.allclose(weights[ranked_by > lowest], 1 / share)


def test_top_of_distinct_values_is_their_mean() -> None:
    pseudo, ranked_by = np.array([1.0, 5.0, 2.0, 7.0]), np.array([4.0, 1.0, 3.0, 2.0])
    assert np.mean(make_top_weights(0.5)(ranked_by) * pseudo) == pytest.approx((1 + 2) / 2)


def test_intervals_of_means_hold_the_truth_in_nine_of_ten_draws() -> None:
    held = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        # Rows of a cluster share half of their variance.
        name = rng.integers(0, 2**63, 400, dtype=np.int64).astype(np.uint64)
        shared = rng.normal(size=400)
        values = np.repeat(shared, 3) + rng.normal(size=1200)
        mean = estimate_mean(values, np.repeat(name, 3))
        held.append(mean.low <= 0 <= mean.high)
    # Four standard errors of a share of 90 % among 300.
    assert 0.83 <= np.mean(held) <= 0.97


def test_mean_of_nothing_is_undefined() -> None:
    empty = estimate_mean(np.empty(0), np.empty(0, np.uint64))
    assert np.isnan(empty.value)
    assert empty.n == 0
