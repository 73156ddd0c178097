"""Working time: a clock that runs as fast as the company works.

Deals move on working days and hardly at weekends, on public holidays and in slow weeks. Measured in
working time their ages are comparable, and the time to the end of a month with few working days is
short. The speed of a day is that of its weekday (a holiday is a Sunday) times a level that changes
slowly; both follow from how many visits ended on the day against how many would have at the mean
speed, by stage and age. Ahead, the level goes on as its local trend does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from features.paths.visits import OPEN
from features.tools.instants import NEVER_US, US_PER_DAY, to_microseconds
from features.tools.jit import jit_kernel
from models.forecast.days.local_trend import fit_local_trend
from models.funnel.history import FunnelHistory

SUNDAY = 6
WEEKDAYS = 7
# What ends sooner is done by machines, at any time of any day.
MIN_AGE = 0.7 * US_PER_DAY
# Ages at which the rate of ending is taken as constant in between.
BINS = 16
# Ends from which a rate by age is taken.
MIN_ENDS = 30
# Days before and after a day whose ends count half as much for its level.
SMOOTHING = 14.0
# Ends that a level begins with at the mean speed, so that few ends do not move it.
PRIOR_ENDS = 20.0
ROUNDS = 2


@dataclass(frozen=True)
class DayGrid:
    """Days of the company's zone.

    Attributes:
        edges: Begin of each day, and the end of the last, int64 microseconds since 1970.
        weekday: Weekday of each day, Monday is 0; SUNDAY on public holidays.
    """

    edges: np.ndarray
    weekday: np.ndarray

    def find_day(self, instant: np.ndarray | int) -> np.ndarray:
        """Return the number of the day in which each instant lies; those outside lie at an end."""
        place = np.searchsorted(self.edges, instant, side="right") - 1
        return np.clip(place, 0, len(self.weekday) - 1)


@dataclass(frozen=True)
class WorkingTime:
    """Map from calendar time to working time, which runs as fast on average.

    Attributes:
        edges: Instants between which the speed is constant, int64 microseconds since 1970.
        working: Working time at each, float64 microseconds.
    """

    edges: np.ndarray
    working: np.ndarray

    def convert(self, instants: np.ndarray) -> np.ndarray:
        """Return the working time of instants, int64; before and after the days it runs evenly."""
        inside = np.clip(instants, self.edges[0], self.edges[-1])
        outside = np.where(instants == NEVER_US, 0, instants - inside)
        working = np.rint(np.interp(inside, self.edges, self.working)).astype(np.int64) + outside
        return np.where(instants == NEVER_US, NEVER_US, working)

    def convert_instant(self, instant: int) -> int:
        """Return the working time of one instant."""
        return int(self.convert(np.array([instant], np.int64))[0])

    def find_instant(self, working: int) -> int:
        """Return an instant with a working time within the days."""
        return int(np.rint(np.interp(working, self.working, self.edges)))


def build_day_grid(zone: ZoneInfo, first: date, last: date, holidays: list[date]) -> DayGrid:
    """Return the days from first to last."""
    days = [first + timedelta(days=number) for number in range((last - first).days + 2)]
    edges = [to_microseconds(datetime(day.year, day.month, day.day, tzinfo=zone)) for day in days]
    closed = set(holidays)
    weekday = [SUNDAY if day in closed else day.weekday() for day in days[:-1]]
    return DayGrid(np.array(edges, np.int64), np.array(weekday))


def fit_working_time(history: FunnelHistory, grid: DayGrid) -> WorkingTime:
    """Return the working time of a company as known at its history's end.

    ``grid`` begins before the first visit and ends after the last instant to be asked for.
    """
    today = int(grid.find_day(history.observed_until))
    first = int(grid.find_day(history.paths.visits.start.min(initial=history.observed_until)))
    speed = np.ones(len(grid.weekday))
    weekly, level = np.ones(WEEKDAYS), np.ones(len(speed))
    for _ in range(ROUNDS):
        time = _accumulate_speed(grid, speed)
        ended, expected = _count_ends(history, grid, time)
        known = slice(first, today)
        at_mean = np.divide(expected, speed, out=np.zeros_like(speed), where=speed > 0)
        weekly = _estimate_weekdays(ended[known], (at_mean * level)[known], grid.weekday[known])
        base = at_mean * weekly[grid.weekday]
        level = _estimate_level(ended, base, first, today)
        speed = weekly[grid.weekday] * level
    return _accumulate_speed(grid, speed)


def move_to_working_time(history: FunnelHistory, time: WorkingTime) -> FunnelHistory:
    """Return a history whose instants are those of the working time."""
    visits, spells = history.paths
    visits = replace(visits, start=time.convert(visits.start), end=time.convert(visits.end))
    spells = replace(spells, start=time.convert(spells.start), end=time.convert(spells.end))
    is_limited = history.observed_from > time.edges[0]
    return replace(
        history,
        paths=type(history.paths)(visits, spells),
        created=time.convert(history.created),
        as_of=time.convert_instant(history.as_of),
        observed_from=time.convert_instant(history.observed_from)
        if is_limited
        else np.iinfo(np.int64).min // 2,
        observed_until=time.convert_instant(history.observed_until),
    )


def _accumulate_speed(grid: DayGrid, speed: np.ndarray) -> WorkingTime:
    working = np.concatenate([[0.0], np.cumsum(speed * np.diff(grid.edges))])
    return WorkingTime(grid.edges, working)


def _estimate_weekdays(ended: np.ndarray, expected: np.ndarray, weekday: np.ndarray) -> np.ndarray:
    """Return the speed of each weekday, 1 on average over a week."""
    ends = np.bincount(weekday, ended, WEEKDAYS) + 1.0
    speed = ends / (np.bincount(weekday, expected, WEEKDAYS) + 1.0)
    return speed / speed.mean()


def _estimate_level(ended: np.ndarray, base: np.ndarray, first: int, today: int) -> np.ndarray:
    """Return the level of each day: smoothed where it is past, by its trend where it is to come."""
    level = np.ones(len(ended))
    if first >= today:
        return level
    known = slice(first, today)
    days = np.arange(first, today)
    # A kernel of two exponentials: one pass forward, one backward.
    decay = 0.5 ** (1 / SMOOTHING)
    ends, expectations = (_smooth_days(values[known], decay) for values in (ended, base))
    level[days] = (ends + PRIOR_ENDS) / (expectations + PRIOR_ENDS)
    level[:first] = level[first]
    trend = fit_local_trend(ended[known], base[known])
    level[today:] = trend.find_factors(np.arange(len(level) - today) + 0.5)
    return level


def _smooth_days(values: np.ndarray, decay: float) -> np.ndarray:
    """Return the sum over all days, weighted by decay to the power of their distance."""
    forward, backward = np.empty(len(values)), np.empty(len(values))
    total = 0.0
    for day, value in enumerate(values):
        total = forward[day] = total * decay + value
    total = 0.0
    for day in range(len(values) - 1, -1, -1):
        total = backward[day] = total * decay + values[day]
    return forward + backward - values


def _count_ends(
    history: FunnelHistory, grid: DayGrid, time: WorkingTime
) -> tuple[np.ndarray, np.ndarray]:
    """Return by day how many visits ended, and how many would have at the speed of ``time``."""
    visits, until = history.paths.visits, history.observed_until
    begin = np.maximum(
        np.maximum(history.created[visits.lead], history.observed_from), visits.start
    )
    is_seen = (visits.exit != OPEN) & (visits.end < until)
    last = np.where(is_seen, visits.end, until)
    rows = np.flatnonzero(begin < last)
    days = grid.find_day(begin[rows]), grid.find_day(last[rows])
    start, begin, last = (time.convert(at[rows]) for at in (visits.start, begin, last))
    is_seen, stage = is_seen[rows], visits.stage[rows]
    stages = len(history.states.stages)
    table = _estimate_rates(stage, begin - start, last - start, is_seen, stages)
    expected = np.zeros(len(grid.weekday))
    _add_expected((stage, start, begin, last), days, time.working, table, expected)
    counted = is_seen & (last - start > MIN_AGE)
    ended = np.bincount(days[1][counted], minlength=len(expected)).astype(float)
    return ended, expected


def _estimate_rates(
    stage: np.ndarray, begin: np.ndarray, age: np.ndarray, is_seen: np.ndarray, stages: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the ages between which each stage's rate of ending is constant, and the rates."""
    edges, rates = np.full((stages, BINS + 1), np.inf), np.zeros((stages, BINS))
    for number in range(stages):
        own = stage == number
        low, high, seen = begin[own], age[own], is_seen[own]
        ends = high[seen & (high > MIN_AGE)]
        inner = (
            np.quantile(ends, np.linspace(0, 1, BINS + 1)[1:-1]) if len(ends) >= MIN_ENDS else []
        )
        cuts = np.unique(np.concatenate([[MIN_AGE], inner]))
        edges[number, : len(cuts)] = cuts
        for place, (left, right) in enumerate(zip(cuts, [*cuts[1:], np.inf], strict=True)):
            at_risk = np.clip(np.minimum(high, right) - np.maximum(low, left), 0, None).sum()
            ended = np.count_nonzero(seen & (high > left) & (high <= right))
            rates[number, place] = ended / at_risk if at_risk > 0 else 0.0
    return edges, rates


@jit_kernel
def _add_expected(visits: Any, days: Any, working: Any, table: Any, expected: Any) -> None:
    """Add to each day the ends expected of the visits on that day."""
    stage, start, begin, end = visits
    first, last = days
    for visit in range(len(stage)):
        # The bin in which the visit's age is; it only goes up.
        place = 0
        edges, rates = table[0][stage[visit]], table[1][stage[visit]]
        age = begin[visit] - start[visit]
        for day in range(first[visit], last[visit] + 1):
            until = end[visit] if day == last[visit] else min(working[day + 1], end[visit])
            place, hazard = _add_hazard(edges, rates, place, age, until - start[visit])
            expected[day] += hazard
            age = max(age, until - start[visit])


@jit_kernel
def _add_hazard(edges: Any, rates: Any, place: int, age: float, until: float) -> Any:
    """Return the bin of ``until``, and the hazard from ``age`` on; ``place`` is not after age's."""
    hazard = 0.0
    age = max(age, edges[place])
    while age < until:
        end = min(until, edges[place + 1])
        hazard += rates[place] * max(end - age, 0.0)
        age = max(age, end)
        if end == until or place + 1 == len(rates):
            break
        place += 1
    return place, hazard
