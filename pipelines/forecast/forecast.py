"""Computes what the current and the next period will bring."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.goals.periods import CalendarPeriod
from configs.schema import Project
from features.paths.states import list_funnel_states
from features.tools.instants import to_microseconds
from features.tools.parallel import run_in_background
from models.forecast.draws import PeriodDraws, draw_periods
from models.forecast.past_errors import PastErrors, measure_past_errors
from models.forecast.prediction import WinPrediction, predict_wins
from models.forecast.result import ForecastResult
from models.forecast.schemas import AMOUNT, WINS
from models.forecast.tables import list_deal_rows, list_forecast_rows, list_period_facts
from models.forecast.track import build_track
from models.funnel.history import FunnelHistory
from pipelines.forecast.inputs import (
    ForecastInputs,
    add_quarter,
    collect_inputs,
    list_periods,
    list_segment_names,
)
from pipelines.forecast.week_before import (
    PredictedWins,
    correct_chances,
    explain_week,
    predict_week_before,
)
from pipelines.funnel.amounts import ValuedHistory, value_history
from pipelines.funnel.funnel import build_history
from pipelines.runner import discard_line, read_clock
from pipelines.training_data import Snapshot, load_snapshot
from serve.scoring.weekly_lists import look_up_owners

LogLine = Callable[[str], None]
# Wins by segment that the shares of new wins begin with, as all wins divide.
PRIOR_WINS = 20.0


def compute_forecast(
    project: Project,
    as_of: str | None,
    period: str | None = None,
    by: str | None = None,
    log: LogLine = discard_line,
) -> ForecastResult:
    """Return the forecast as known at an as-of, by default at the end of the data.

    ``period`` is ``month`` or ``quarter``, by default that of the goals; ``by`` names the column
    of the segments, by default that of the goals. Raises ConfigError for a column that cannot
    divide the leads, and for a project without an outcome that has a time.
    """
    states = list_funnel_states(project)
    snapshot = load_snapshot(project, as_of, read_clock())
    snapshot.log_warnings(log)
    valued = value_history(snapshot, build_history(snapshot, states))
    goals = project.goals
    return build_forecast(snapshot, valued, period or goals.period, by or goals.by)


def build_forecast(
    snapshot: Snapshot, valued: ValuedHistory, period: str, by: str | None
) -> ForecastResult:
    """Return the forecast of a company's data; ``valued`` is the history of the snapshot."""
    history = valued.history
    periods = list_periods(snapshot, period)
    ends = np.array([to_microseconds(when.end) for when in periods])
    inputs = collect_inputs(snapshot, valued, by, periods[-1].end)
    with run_in_background(predict_week_before, snapshot, inputs, periods[0]) as before:
        prediction = predict_wins(history, inputs.attributes, inputs.grid, ends)
        errors = measure_past_errors(history, inputs.attributes, inputs.grid, ends, inputs.amounts)
    forecast = _build_table(snapshot, inputs, periods, prediction, errors)
    now = PredictedWins(inputs, prediction, np.arange(len(history.created)))
    # The first rows are those of all leads in the current period.
    totals = {row["unit"]: row["total_mean"] for row in forecast.to_pylist()[::-1]}
    changes = explain_week(before.result(), now, errors, periods[0], totals)
    return ForecastResult(
        as_of=snapshot.as_of,
        target=history.states.target,
        by=by,
        period=period,
        forecast=forecast,
        deals=_list_deals(snapshot, inputs, prediction, errors),
        changes=changes,
        track=build_track(errors.totals, errors.sample_share),
        error_share=errors.typical,
        past_forecasts=errors.forecasts,
        knows_rate_only=errors.knows_rate_only,
    )


def draw_forecast(
    inputs: ForecastInputs, prediction: WinPrediction, errors: PastErrors
) -> PeriodDraws:
    """Return draws by period and segment, of which the segments add up to all leads."""
    amounts, deals = inputs.amounts, prediction.deals
    share = _divide_new_wins(inputs)
    return draw_periods(
        errors.choose_chances(prediction),
        None if amounts is None else amounts.expect_amounts(deals.lead, inputs.history.as_of),
        inputs.segments.codes[deals.lead],
        prediction.new_wins[:, None] * share,
        errors.factors,
        None if amounts is None else [amounts.list_quick_wins(span) for span in prediction.spans],
    )


def _build_table(
    snapshot: Snapshot,
    inputs: ForecastInputs,
    periods: list[CalendarPeriod],
    prediction: WinPrediction,
    errors: PastErrors,
) -> pa.Table:
    goals, names = snapshot.project.goals, list_segment_names(inputs.segments)
    rows = add_quarter(snapshot, periods)
    # Which periods each row consists of: a quarter of its months that are not over.
    has = np.array([[row.start <= part.start < row.end for part in periods] for row in rows], float)
    draws = _add_all(draw_forecast(inputs, prediction, errors), inputs, names, has)
    won = {unit: _sum_won(inputs, rows, names, unit) for unit in (WINS, AMOUNT)}
    # As of new deals in the draws: what was won by an earlier end is not won again by a later one.
    chances = np.maximum.accumulate(prediction.new_chances * draws.new_factors, axis=1)
    facts = list_period_facts(
        won,
        draws,
        has @ np.diff(prediction.new_chances, prepend=0.0),
        np.diff(chances, prepend=0.0, axis=1) @ has.T,
        has @ np.diff(prediction.arrivals, prepend=0.0),
        None if inputs.amounts is None else inputs.amounts.past,
    )
    return list_forecast_rows(
        snapshot.as_of,
        rows,
        names,
        facts,
        lambda period, unit, segment: goals.find_goal(
            period.first, period.name, unit, segment, inputs.segments.by
        ),
    )


def _add_all(
    draws: PeriodDraws, inputs: ForecastInputs, names: tuple[str, ...], has: np.ndarray
) -> PeriodDraws:
    """Return draws whose segments are ``names``, first the sum of all, by row of ``has``."""
    places = [inputs.segments.names.index(name) for name in names[1:]]

    def add(values: np.ndarray) -> np.ndarray:
        total = values.sum(axis=2, keepdims=True)
        return has @ np.concatenate([total, values[:, :, places]], axis=2)

    return PeriodDraws(
        add(draws.open_wins),
        None if draws.open_amount is None else add(draws.open_amount),
        add(draws.new_wins),
        None if draws.new_amount is None else add(draws.new_amount),
        draws.new_factors,
    )


def _sum_won(
    inputs: ForecastInputs, periods: list[CalendarPeriod], names: tuple[str, ...], unit: str
) -> np.ndarray:
    """Return what was won so far in each period and segment, float64 (periods, segments)."""
    spells = inputs.history.paths.spells
    is_won = spells.exit == inputs.history.states.won
    value = np.ones(len(is_won)) if unit == WINS else np.nan_to_num(inputs.win_amount)
    code = inputs.segments.codes[spells.lead]
    sums = np.zeros((len(periods), len(names)))
    for place, period in enumerate(periods):
        begin, end = to_microseconds(period.start), to_microseconds(period.end)
        own = is_won & (spells.end >= begin) & (spells.end < end)
        by_code = np.bincount(code[own], value[own], len(inputs.segments.names))
        sums[place, 0] = by_code.sum()
        sums[place, 1:] = by_code[[inputs.segments.names.index(name) for name in names[1:]]]
    return sums


def _divide_new_wins(inputs: ForecastInputs) -> np.ndarray:
    """Return the share of each segment in the wins of new deals, float64 (segments,).

    Past wins say it; where they are few, the deals that were created.
    """
    spells, names = inputs.history.paths.spells, inputs.segments.names
    code = inputs.segments.codes[spells.lead]
    wins = np.bincount(code[spells.exit == inputs.history.states.won], minlength=len(names))
    deals = np.bincount(code, minlength=len(names)).astype(float)
    share = (wins + PRIOR_WINS * deals / max(deals.sum(), 1.0)) / (wins.sum() + PRIOR_WINS)
    return share if share.sum() > 0 else np.full(len(names), 1 / len(names))


def _list_deals(
    snapshot: Snapshot, inputs: ForecastInputs, prediction: WinPrediction, errors: PastErrors
) -> pa.Table:
    """Return DEALS without the leads that must not be scored."""
    dataset, deals, names = snapshot.dataset, prediction.deals, inputs.history.states.stages
    hidden = pc.is_in(
        dataset.leads["entity_id"].take(pa.array(deals.lead)),
        value_set=dataset.suppressed.entity_ids,
    )
    shown = ~hidden.to_numpy()
    lead = deals.lead[shown]
    capacity = snapshot.project.capacity_config
    by_code = np.array(inputs.segments.names, object)
    columns = {
        "entity_id": dataset.leads["entity_id"].take(pa.array(lead)).combine_chunks(),
        "segment": pa.array(by_code[inputs.segments.codes[lead]], pa.string()),
        "stage": pa.array(np.array(names, object)[deals.stage[shown]], pa.string()),
        "owner": look_up_owners(dataset, capacity, pa.array(lead)),
    }
    chances = correct_chances(prediction, errors)[shown]
    age = find_open_ages(inputs.history, deals.visit[shown])
    amount = None
    if inputs.amounts is not None:
        amount = inputs.amounts.expect_amounts(lead, inputs.history.as_of).amount
    return list_deal_rows(columns, chances, age, amount)


def find_open_ages(history: FunnelHistory, visit: np.ndarray) -> np.ndarray:
    """Return the calendar time that open visits have lasted, in microseconds."""
    return history.as_of - history.paths.visits.start[visit]
