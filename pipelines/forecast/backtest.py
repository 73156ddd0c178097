"""Forecasts of past as-ofs beside what happened, and beside simpler ways to forecast."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta

import numpy as np

from configs.errors import DataError
from configs.schema import Project
from features.paths.states import list_funnel_states
from features.paths.visits import OPEN
from features.tools.instants import US_PER_DAY, from_microseconds, to_microseconds
from models.forecast.draws import PeriodDraws
from models.forecast.past_errors import measure_past_errors
from models.forecast.prediction import WinPrediction, predict_wins
from models.forecast.result import HISTORY, BacktestedForecast, ForecastBacktest
from models.forecast.schemas import AMOUNT, WINS
from models.funnel.history import FunnelHistory
from models.survival.bootstrap import HIGH, LOW
from pipelines.forecast.forecast import draw_forecast
from pipelines.forecast.inputs import ForecastInputs, collect_inputs
from pipelines.funnel.amounts import value_history
from pipelines.funnel.funnel import build_history
from pipelines.runner import discard_line, read_clock
from pipelines.training_data import Snapshot, load_snapshot

LogLine = Callable[[str], None]
DAYS = 30
COUNT = 20
# Days from which the mean rate of wins is taken that a simple forecast carries on.
RATE_DAYS = 90
YEAR = timedelta(days=365)


@dataclass(frozen=True)
class PastWins:
    """What happened, as known at the end of the data.

    Attributes:
        start: Begin of each won spell, int64 microseconds.
        end: When it was won.
        value: What it counts: one, or its amount.
    """

    start: np.ndarray
    end: np.ndarray
    value: np.ndarray

    def sum_between(self, begin: int, end: int) -> float:
        """Return what was won in ``[begin, end)``."""
        return float(self.value[(self.end >= begin) & (self.end < end)].sum())

    def sum_open(self, begin: int, end: int) -> float:
        """Return what was won in ``[begin, end)`` of deals that were open at its begin."""
        own = (self.end >= begin) & (self.end < end) & (self.start < begin)
        return float(self.value[own].sum())


def backtest_forecast(
    project: Project,
    as_of: str | None = None,
    days: int | None = None,
    count: int = COUNT,
    log: LogLine = discard_line,
) -> ForecastBacktest:
    """Return forecasts of past as-ofs, each from the rows known then, beside what happened.

    ``as_of`` ends the data, ``days`` is how far each forecast looks ahead (30), and ``count`` the
    number of as-ofs, at even distances. Raises DataError where the data is too short.
    """
    states = list_funnel_states(project)
    snapshot = load_snapshot(project, as_of, read_clock())
    history = build_history(snapshot, states)
    ahead = timedelta(days=days or DAYS)
    as_ofs = choose_as_ofs(snapshot, history, ahead, count)
    whole = collect_inputs(snapshot, value_history(snapshot, history), None, snapshot.as_of)
    unit = AMOUNT if project.goals.unit == AMOUNT and whole.amounts is not None else WINS
    outcome = _collect_outcome(whole, unit)
    parts = []
    for number, past in enumerate(as_ofs):
        day = past.astimezone(project.zone).date()
        log(f"forecast {number + 1} of {len(as_ofs)}: as of {day.isoformat()}")
        cut = replace(snapshot, dataset=snapshot.dataset.cut_at(past), as_of=past)
        parts.append(_forecast_past(cut, build_history(cut, states), ahead, unit, outcome))
    return ForecastBacktest(states.target, unit, ahead / timedelta(days=1), tuple(parts), count)


def choose_as_ofs(
    snapshot: Snapshot, history: FunnelHistory, ahead: timedelta, count: int
) -> list[datetime]:
    """Return midnights of the company's zone, the last of which has its time ahead in the data.

    The first has HISTORY times the time ahead before it, so that a past forecast of its own had
    seen how deals end, and its errors can be learned from. They are fewer than ``count`` where the
    data has not as many days.
    """
    zone = snapshot.project.zone
    first = from_microseconds(int(history.paths.visits.start.min(initial=history.as_of)))
    first, last = first + HISTORY * ahead, from_microseconds(history.observed_until) - ahead
    if first >= last:
        days = (last + (HISTORY + 1) * ahead - first).days
        raise DataError(
            "the data is too short to test a forecast",
            where=str(snapshot.project.path),
            found=f"{days} days of visits for {ahead.days} days ahead",
            fix="use fewer --days, or a later --as-of",
        )
    step = max((last - first) / max(count - 1, 1), timedelta(days=1))
    # Where the hour changes, a day has 23 or 25 hours.
    newest = last.astimezone(zone).replace(tzinfo=None)
    as_ofs = []
    for number in range(count):
        day = (newest - number * step).date()
        instant = from_microseconds(to_microseconds(datetime.combine(day, time(), zone)))
        if instant < first - timedelta(days=1):
            break
        as_ofs.append(instant)
    return as_ofs[::-1]


def _collect_outcome(inputs: ForecastInputs, unit: str) -> PastWins:
    spells = inputs.history.paths.spells
    won = spells.exit == inputs.history.states.won
    value = np.ones(int(won.sum())) if unit == WINS else inputs.win_amount[won]
    return PastWins(spells.start[won], spells.end[won], value)


def _forecast_past(
    snapshot: Snapshot, history: FunnelHistory, ahead: timedelta, unit: str, outcome: PastWins
) -> BacktestedForecast:
    valued = value_history(snapshot, history)
    inputs = collect_inputs(snapshot, valued, None, snapshot.as_of + ahead)
    begin, end = to_microseconds(snapshot.as_of), to_microseconds(snapshot.as_of + ahead)
    ends = np.array([end])
    prediction = predict_wins(history, inputs.attributes, inputs.grid, ends)
    errors = measure_past_errors(history, inputs.attributes, inputs.grid, ends, inputs.amounts)
    from_open, total = _sum_draws(draw_forecast(inputs, prediction, errors), unit)
    actual = outcome.sum_between(begin, end)
    year = to_microseconds(snapshot.as_of - YEAR), to_microseconds(snapshot.as_of - YEAR + ahead)
    first = int(history.paths.spells.start.min(initial=begin))
    seen = min((begin - first) / US_PER_DAY, RATE_DAYS)
    recent = outcome.sum_between(begin - int(seen * US_PER_DAY), begin)
    return BacktestedForecast(
        as_of=snapshot.as_of,
        predicted=float(total.mean()),
        actual=actual,
        open_predicted=float(from_open.mean()),
        open_actual=outcome.sum_open(begin, end),
        low=float(np.quantile(total, LOW)),
        high=float(np.quantile(total, HIGH)),
        crps=_score_draws(total, actual),
        stage_weighted=weight_by_stage(inputs, prediction, unit),
        last_year=outcome.sum_between(*year) if year[0] >= first else None,
        rate_only=recent / max(seen, 1.0) * (ahead / timedelta(days=1)),
    )


def _sum_draws(draws: PeriodDraws, unit: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the draws of open deals, and of the total."""
    open_draws, new_draws = draws.open_wins, draws.new_wins
    if unit == AMOUNT and draws.open_amount is not None and draws.new_amount is not None:
        open_draws, new_draws = draws.open_amount, draws.new_amount
    from_open = open_draws.sum(axis=(1, 2))
    return from_open, from_open + new_draws.sum(axis=(1, 2))


def _score_draws(draws: np.ndarray, actual: float) -> float:
    """Return the continuous ranked probability score of draws.

    It is the mean distance to what happened, less half the mean distance between two draws
    (Gneiting and Raftery, *Journal of the American Statistical Association* 102, 2007).
    """
    ordered = np.sort(draws)
    size = len(ordered)
    between = 2 * ((2 * np.arange(1, size + 1) - size - 1) @ ordered) / size**2
    return float(np.abs(ordered - actual).mean() - between / 2)


def weight_by_stage(inputs: ForecastInputs, prediction: WinPrediction, unit: str) -> float:
    """Return the pipeline weighted by stage: each open deal counts with its stage's win rate.

    It is the share of the deals which were in the stage and have ended that were won, whenever.
    """
    history, deals = inputs.history, prediction.deals
    visits, spells = history.paths
    stages = len(history.states.stages)
    exit_of_lead = np.full(len(history.created), OPEN)
    exit_of_lead[spells.lead] = spells.exit
    pairs = np.unique(visits.lead * stages + visits.stage)
    lead, stage = pairs // stages, pairs % stages
    ended = exit_of_lead[lead] != OPEN
    won = np.bincount(stage[ended & (exit_of_lead[lead] == history.states.won)], minlength=stages)
    rate = won / np.maximum(np.bincount(stage[ended], minlength=stages), 1)
    value = np.ones(len(deals.lead))
    if unit == AMOUNT and inputs.amounts is not None:
        value = inputs.amounts.expect_amounts(deals.lead, history.as_of).amount
    return float(rate[deals.stage] @ value)
