"""Working time runs on working days, and hardly at weekends and on holidays."""

from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.tools.instants import NEVER_US, US_PER_DAY, to_microseconds
from models.forecast.days.working_time import (
    SUNDAY,
    build_day_grid,
    fit_working_time,
    move_to_working_time,
)
from tests.models.forecast.companies import BEGIN, make_grid, simulate_company


@pytest.fixture(scope="module")
def company():
    return simulate_company()


@pytest.fixture(scope="module")
def time(company):
    return fit_working_time(company, make_grid(company))


def measure_days(time, first, last):
    """Return the working days between two days, counted from BEGIN."""
    instants = BEGIN + np.array([first, last]) * US_PER_DAY
    return np.diff(time.convert(instants))[0] / US_PER_DAY


def test_weekends_hardly_count(time):
    weekend = measure_days(time, 145, 147)
    week = measure_days(time, 140, 147)
    assert weekend / week < 0.02
    # On average it runs as fast as the calendar.
    assert measure_days(time, 70, 350) == pytest.approx(280, rel=0.1)


def test_holiday_is_a_sunday(company):
    grid = make_grid(company)
    monday = int(grid.find_day(BEGIN + 364 * US_PER_DAY))
    weekday = grid.weekday.copy()
    weekday[monday] = SUNDAY
    time = fit_working_time(company, replace(grid, weekday=weekday))
    assert measure_days(time, 364, 365) < 0.05 < measure_days(time, 365, 366)


def test_slow_season_is_slow_time():
    company = simulate_company(deals=6000)
    grid = make_grid(company)
    slow = (grid.edges[:-1] >= BEGIN + 210 * US_PER_DAY) & (
        grid.edges[:-1] < BEGIN + 280 * US_PER_DAY
    )
    # The same company, but in ten weeks each day takes two.
    stretch = np.concatenate([[0], np.cumsum(np.where(slow, 2, 1) * np.diff(grid.edges))])

    def stretched(instants):
        moved = np.interp(instants, grid.edges, grid.edges[0] + stretch).astype(np.int64)
        return np.where(instants == NEVER_US, NEVER_US, moved)

    visits, spells = company.paths
    company = replace(
        company,
        paths=type(company.paths)(
            replace(visits, start=stretched(visits.start), end=stretched(visits.end)),
            replace(spells, start=stretched(spells.start), end=stretched(spells.end)),
        ),
        created=stretched(company.created),
        as_of=int(stretched(np.array([company.as_of]))[0]),
        observed_until=int(stretched(np.array([company.as_of]))[0]),
    )
    time = fit_working_time(company, make_grid(company))
    # Weekdays of the stretched weeks differ, so only the speeds of whole spans are compared.
    ratio = measure_days(time, 240, 324) / measure_days(time, 98, 182)
    assert ratio == pytest.approx(0.5, abs=0.12)


@given(st.lists(st.integers(-400, 900), min_size=2, max_size=20))
def test_time_never_runs_backwards(time, days):
    instants = np.sort(BEGIN + np.array(days) * US_PER_DAY)
    assert (np.diff(time.convert(instants)) >= 0).all()


def test_open_visits_stay_open(company, time):
    moved = move_to_working_time(company, time)
    assert (moved.paths.visits.end == NEVER_US).sum() == (
        company.paths.visits.end == NEVER_US
    ).sum()
    assert (moved.paths.visits.exit == company.paths.visits.exit).all()
    assert moved.observed_from < moved.created.min()


def test_days_follow_the_zone():
    grid = build_day_grid(ZoneInfo("Europe/Berlin"), date(2025, 3, 28), date(2025, 3, 31), [])
    # On the 30th the clocks change.
    assert (np.diff(grid.edges) / US_PER_DAY * 24).tolist() == pytest.approx([24, 24, 23, 24])
    assert grid.weekday.tolist() == [4, 5, 6, 0]
    instant = to_microseconds(datetime(2025, 3, 29, 23, 30, tzinfo=UTC))
    assert grid.find_day(instant) == 2
