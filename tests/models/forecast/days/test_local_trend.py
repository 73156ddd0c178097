"""Local trend of daily counts against their expectation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.forecast.days.local_trend import SLOPE_SD, LocalTrend, fit_local_trend


def test_level_of_a_constant_ratio():
    expected = np.full(100, 50.0)
    trend = fit_local_trend(expected * 1.2, expected)
    # The level begins with a few counts at the ratio 1.
    assert trend.find_factors(np.array([0.0, 60.0])) == pytest.approx([1.2, 1.2], rel=0.01)


def test_slope_of_many_counts_is_followed_and_fades():
    days = np.arange(120) - 120
    expected = np.full(120, 500.0)
    trend = fit_local_trend(expected * np.exp(0.002 * days), expected)
    assert trend.slope == pytest.approx(0.002, rel=0.1)
    near, far, farthest = np.log(trend.find_factors(np.array([1.0, 200.0, 2000.0])))
    assert near < far < farthest < trend.level + 31 * trend.slope


def test_slope_of_few_counts_is_small():
    rng = np.random.default_rng(1)
    slopes = [
        fit_local_trend(rng.poisson(0.5, 60).astype(float), np.full(60, 0.5)).slope
        for _ in range(50)
    ]
    assert np.std(slopes) < SLOPE_SD / 2


def test_counts_in_bursts_say_less_of_a_slope_than_even_ones():
    days = np.arange(112) - 112
    expected = np.full(112, 20.0)
    even = expected * np.exp(0.004 * days)
    weeks = np.repeat(np.where(np.arange(16) % 2, 1.9, 0.1), 7)
    assert fit_local_trend(even * weeks, expected).slope < fit_local_trend(even, expected).slope


@given(st.lists(st.integers(0, 300), min_size=1, max_size=200), st.integers(1, 200))
def test_factors_stay_finite_and_positive(counts, expected):
    trend = fit_local_trend(np.array(counts, float), np.full(len(counts), float(expected)))
    factors = trend.find_factors(np.array([0.0, 30.0, 365.0]))
    assert np.isfinite(factors).all()
    assert (factors > 0).all()


def test_ratio_without_a_day_is_one():
    assert fit_local_trend(np.empty(0), np.empty(0)) == LocalTrend(0.0, 0.0)
