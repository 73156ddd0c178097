"""Computes what the current and the next period will bring."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.goals.periods import CalendarPeriod
from configs.schema import Project
from features.paths.states import list_funnel_states
from features.tools.instants import to_microseconds
from models.forecast.changes import ExpectedTotal, list_change_rows
from models.forecast.draws import PeriodDraws, draw_periods
from models.forecast.past_errors import PastErrors, measure_past_errors, scale_chances
from models.forecast.prediction import WinPrediction, predict_wins
from models.forecast.result import ForecastResult
from models.forecast.schemas import AMOUNT, CHANGES, WINS
from models.forecast.tables import list_deal_rows, list_forecast_rows, list_period_facts
from models.funnel.history import FunnelHistory
from pipelines.forecast.inputs import (
    ForecastInputs,
    collect_inputs,
    list_periods,
    list_segment_names,
)
from pipelines.funnel.funnel import build_history
from pipelines.runner import discard_line, read_clock
from pipelines.training_data import Snapshot, load_snapshot
from serve.scoring.weekly_lists import look_up_owners

LogLine = Callable[[str], None]
# The change is shown against the forecast that this long before would have been made.
CHANGE_SPAN = timedelta(days=7)
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
    history = build_history(snapshot, states)
    goals = project.goals
    return build_forecast(snapshot, history, period or goals.period, by or goals.by)


def build_forecast(
    snapshot: Snapshot, history: FunnelHistory, period: str, by: str | None
) -> ForecastResult:
    """Return the forecast of a company's data; ``history`` is that of the snapshot."""
    periods = list_periods(snapshot, period)
    inputs = collect_inputs(snapshot, history, by, periods[-1].end)
    ends = np.array([to_microseconds(when.end) for when in periods])
    prediction = predict_wins(history, inputs.attributes, inputs.grid, ends)
    amount = None if inputs.amounts is None else inputs.amounts.amount
    errors = measure_past_errors(history, inputs.attributes, inputs.grid, ends, amount)
    forecast = _build_table(snapshot, inputs, periods, prediction, errors)
    return ForecastResult(
        as_of=snapshot.as_of,
        target=history.states.target,
        by=by,
        period=period,
        forecast=forecast,
        deals=_list_deals(snapshot, inputs, prediction, errors),
        changes=_explain_change(snapshot, inputs, prediction, errors, periods[0]),
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
        None if amounts is None else amounts.amount[deals.lead],
        inputs.segments.codes[deals.lead],
        prediction.new_wins[:, None] * share,
        errors.factors,
        amounts,
    )


def _build_table(
    snapshot: Snapshot,
    inputs: ForecastInputs,
    periods: list[CalendarPeriod],
    prediction: WinPrediction,
    errors: PastErrors,
) -> pa.Table:
    goals, names = snapshot.project.goals, list_segment_names(inputs.segments)
    draws = _add_all(draw_forecast(inputs, prediction, errors), inputs, names)
    won = {unit: _sum_won(inputs, periods, names, unit) for unit in (WINS, AMOUNT)}
    new_chances = np.diff(prediction.new_chances, prepend=0.0)
    past = None if inputs.amounts is None else inputs.amounts.past
    mean = float(past.mean()) if past is not None and len(past) else None
    facts = list_period_facts(won, draws, new_chances, mean)
    return list_forecast_rows(
        snapshot.as_of,
        periods,
        names,
        facts,
        lambda period, unit, segment: goals.find_goal(
            period.first, period.name, unit, segment, inputs.segments.by
        ),
    )


def _add_all(draws: PeriodDraws, inputs: ForecastInputs, names: tuple[str, ...]) -> PeriodDraws:
    """Return draws whose segments are ``names``: first the sum of all."""
    places = [inputs.segments.names.index(name) for name in names[1:]]

    def add(values: np.ndarray) -> np.ndarray:
        total = values.sum(axis=2, keepdims=True)
        return np.concatenate([total, values[:, :, places]], axis=2)

    return PeriodDraws(
        add(draws.open_wins),
        None if draws.open_amount is None else add(draws.open_amount),
        add(draws.new_wins),
        None if draws.new_amount is None else add(draws.new_amount),
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
    chances = _correct_chances(prediction, errors)[shown]
    age = find_open_ages(inputs.history, deals.visit[shown])
    amount = None if inputs.amounts is None else inputs.amounts.amount[lead]
    return list_deal_rows(columns, chances, age, amount)


def find_open_ages(history: FunnelHistory, visit: np.ndarray) -> np.ndarray:
    """Return the calendar time that open visits have lasted, in microseconds."""
    return history.as_of - history.paths.visits.start[visit]


def _correct_chances(prediction: WinPrediction, errors: PastErrors) -> np.ndarray:
    """Return the chances by the end of the current period, without the bias of past forecasts."""
    factor = float(np.exp(errors.factors[0].mean[0]))
    return scale_chances(errors.choose_chances(prediction)[:, 0], factor)


def _explain_change(
    snapshot: Snapshot,
    inputs: ForecastInputs,
    prediction: WinPrediction,
    errors: PastErrors,
    period: CalendarPeriod,
) -> pa.Table:
    """Return CHANGES against the forecast of a week before, by the rows known then."""
    before = snapshot.dataset.cut_at(snapshot.as_of - CHANGE_SPAN)
    if not before.leads.num_rows:
        return CHANGES.empty_table()
    earlier = replace(snapshot, dataset=before, as_of=snapshot.as_of - CHANGE_SPAN)
    history = build_history(earlier, inputs.history.states)
    if not len(history.paths.visits.lead):
        return CHANGES.empty_table()
    old_inputs = collect_inputs(earlier, history, None, period.end)
    ends = np.array([to_microseconds(period.end)])
    old = predict_wins(history, old_inputs.attributes, old_inputs.grid, ends)
    place = snapshot.dataset.find_leads(before.leads["entity_id"])
    size = len(inputs.history.created)
    tables = []
    units = [WINS] if inputs.amounts is None or old_inputs.amounts is None else [WINS, AMOUNT]
    for unit in units:
        was = _expect_total(old_inputs, old, errors, period, unit, place, size)
        now = _expect_total(inputs, prediction, errors, period, unit, np.arange(size), size)
        tables.append(list_change_rows(unit, was, now, inputs.history))
    return pa.concat_tables(tables)


def _expect_total(
    inputs: ForecastInputs,
    prediction: WinPrediction,
    errors: PastErrors,
    period: CalendarPeriod,
    unit: str,
    place: np.ndarray,
    size: int,
) -> ExpectedTotal:
    """Return the expected total of a period; ``place`` is where each lead stands in its arrays."""
    history, deals = inputs.history, prediction.deals
    chances, stage = np.zeros(size), np.full(size, -1)
    amount, won = np.ones(size), np.zeros(size)
    known = place[deals.lead] >= 0
    at = place[deals.lead[known]]
    chances[at] = _correct_chances(prediction, errors)[known]
    stage[at] = deals.stage[known]
    mean_amount = 1.0
    if unit == AMOUNT and inputs.amounts is not None:
        is_known = place >= 0
        amount[place[is_known]] = inputs.amounts.amount[is_known]
        past = inputs.amounts.past
        mean_amount = float(past.mean()) if len(past) else 0.0
    spells = history.paths.spells
    begin, end = to_microseconds(period.start), to_microseconds(period.end)
    own = (spells.exit == history.states.won) & (spells.end >= begin) & (spells.end < end)
    own &= place[spells.lead] >= 0
    value = np.ones(len(own)) if unit == WINS else np.nan_to_num(inputs.win_amount)
    np.add.at(won, place[spells.lead[own]], value[own])
    from_new = float(prediction.new_wins[0]) * mean_amount
    return ExpectedTotal(chances, stage, amount, won, from_new)
