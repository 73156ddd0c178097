"""Arrivals: how many deals are created on each day to come.

The counts of the past follow their weekday, where a public holiday is a Sunday, and a level with a
local trend. No yearly season is taken into account.
"""

from __future__ import annotations

import numpy as np

from models.forecast.days.local_trend import fit_local_trend
from models.forecast.days.working_time import WEEKDAYS, DayGrid

# Latest days from which the weekdays are taken.
WEEKDAY_DAYS = 182


def forecast_arrivals(grid: DayGrid, created: np.ndarray, begin: int, until: int) -> np.ndarray:
    """Return the deals to expect on each day of the grid, float64; zero before ``until``.

    ``created`` are the instants of creation from ``begin`` on. The day of ``until`` counts by the
    part that is still to come.
    """
    first, today = int(grid.find_day(begin)), int(grid.find_day(until))
    expected = np.zeros(len(grid.weekday))
    if first + 1 >= today:
        return expected
    known = slice(first + (grid.edges[first] < begin), today)
    inside = created[(created >= begin) & (created < until)]
    counts = np.bincount(grid.find_day(inside), minlength=len(expected)).astype(float)[known]
    weekly = _estimate_weekdays(counts, grid.weekday[known])
    base = weekly[grid.weekday] * counts.mean()
    trend = fit_local_trend(counts, base[known])
    ahead = np.arange(len(expected) - today)
    expected[today:] = base[today:] * trend.find_factors(ahead + 0.5)
    begin_of_day, end_of_day = grid.edges[today : today + 2]
    expected[today] *= (end_of_day - until) / (end_of_day - begin_of_day)
    return expected


def _estimate_weekdays(counts: np.ndarray, weekday: np.ndarray) -> np.ndarray:
    """Return the share of a mean day that each weekday has."""
    counts, weekday = counts[-WEEKDAY_DAYS:], weekday[-WEEKDAY_DAYS:]
    days = np.bincount(weekday, minlength=WEEKDAYS)
    # A weekday without a day yet is a mean one.
    sums = np.bincount(weekday, counts, WEEKDAYS) + counts.mean()
    return sums / (days + 1) / max(counts.mean(), 1e-9)
