"""Costs of customers: intervals, the time that a cohort needs, and payback."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from models.revenue.acquisition import EntryRecords, bound_cost, find_payback, measure_lag


def test_interval_of_a_cost_is_that_of_the_count() -> None:
    found = bound_cost(1_000.0, 20)
    assert found is not None and found.cac == 50.0
    # Garwood: a count of 20 is as rare as one in twenty at either end.
    assert stats.poisson.sf(19, 1_000 / found.high) == pytest.approx(0.05)
    assert stats.poisson.cdf(20, 1_000 / found.low) == pytest.approx(0.05)
    assert bound_cost(1_000.0, 9) is None


def test_interval_holds_the_rate_as_often_as_it_says() -> None:
    counts = np.random.default_rng(1).poisson(30, 400)
    ends = [bound_cost(3_000.0, int(count)) for count in counts]
    held = np.mean([end is not None and end.low <= 100 <= end.high for end in ends])
    assert 0.88 <= held <= 0.97


def test_lag_is_that_of_old_entries_alone() -> None:
    day = np.arange(1_000)
    slow = np.where(day % 2 == 0, 300.0, 20.0)
    # At the end of the data only the quick ones have come.
    first = np.where(day + slow < 1_000, slow, np.nan)
    assert measure_lag(EntryRecords(day, first), 1_000) == 300
    quick = first[day >= 800]
    assert np.nanmax(quick) == 20
    assert measure_lag(EntryRecords(day, np.full(1_000, np.nan)), 1_000) is None
    assert measure_lag(EntryRecords(np.empty(0, np.int64), np.empty(0)), 1_000) is None


def test_payback_is_the_first_month_that_reaches_the_cost() -> None:
    month, margin = np.array([1, 2, 3, 4]), np.array([10.0, 25.0, 25.0, 40.0])
    assert find_payback(month, margin, 25.0) == 2
    assert find_payback(month, margin, 30.0) == 4
    assert find_payback(month, margin, 41.0) is None
    assert find_payback(month[:0], margin[:0], 1.0) is None
