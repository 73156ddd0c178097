"""Deals to be created on each day to come."""

import numpy as np
import pytest

from features.tools.instants import US_PER_DAY
from models.forecast.days.arrivals import forecast_arrivals
from tests.models.forecast.companies import BEGIN, make_grid, simulate_company


def spread(days, counts):
    """Return instants of creation: so many on each day, counted from BEGIN."""
    at = np.repeat(np.asarray(days), counts)
    return BEGIN + at * US_PER_DAY + np.arange(len(at)) % 1000


@pytest.fixture(scope="module")
def grid():
    return make_grid(simulate_company(deals=50), days=60)


def test_weekdays_are_repeated(grid):
    days = np.arange(280)
    created = spread(days, np.where(days % 7 < 5, 10, 2))
    until = BEGIN + 280 * US_PER_DAY
    expected = forecast_arrivals(grid, created, BEGIN, until)
    today = int(grid.find_day(until))
    assert expected[:today].sum() == 0
    # One mean day is added to the 26 weeks of each weekday.
    assert expected[today : today + 7] == pytest.approx([10] * 5 + [2] * 2, rel=0.11)


def test_recent_weeks_count_most(grid):
    days = np.arange(280)
    created = spread(days, np.where(days < 210, 10, 20))
    expected = forecast_arrivals(grid, created, BEGIN, BEGIN + 280 * US_PER_DAY)
    assert expected.max() > 16


def test_rest_of_the_day_counts_by_its_length(grid):
    created = spread(np.arange(280), np.full(280, 8))
    until = BEGIN + 280 * US_PER_DAY + 3 * US_PER_DAY // 4
    expected = forecast_arrivals(grid, created, BEGIN, until)
    today = int(grid.find_day(until))
    assert expected[today] == pytest.approx(expected[today + 7] / 4, rel=0.05)


def test_deals_after_the_as_of_change_nothing(grid):
    created = spread(np.arange(280), np.full(280, 8))
    until = BEGIN + 200 * US_PER_DAY
    late = forecast_arrivals(grid, created, BEGIN, until)
    assert (late == forecast_arrivals(grid, created[created < until], BEGIN, until)).all()


def test_company_without_a_past_expects_nothing(grid):
    assert forecast_arrivals(grid, spread([3], [5]), BEGIN, BEGIN + US_PER_DAY // 2).sum() == 0
