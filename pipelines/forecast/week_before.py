"""The forecast that a week before would have made, and the steps from it to the present one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from configs.goals.periods import CalendarPeriod
from features.contracts import Dataset
from features.paths.states import FunnelStates
from features.tools.instants import to_microseconds
from models.forecast.changes import ExpectedTotal, list_change_rows
from models.forecast.past_errors import PastErrors, scale_chances
from models.forecast.prediction import WinPrediction, predict_wins
from models.forecast.schemas import AMOUNT, CHANGES, WINS
from pipelines.forecast.inputs import ForecastInputs, collect_inputs
from pipelines.funnel.amounts import value_history
from pipelines.funnel.funnel import build_history
from pipelines.training_data import Snapshot

# The change is shown against the forecast that this long before would have been made.
CHANGE_SPAN = timedelta(days=7)


class PredictedWins(NamedTuple):
    """Wins that are predicted at an as-of, and what they are predicted from.

    Attributes:
        dataset: The rows known by then.
        inputs: What the prediction is computed from.
        prediction: The wins.
    """

    dataset: Dataset
    inputs: ForecastInputs
    prediction: WinPrediction


def predict_week_before(
    snapshot: Snapshot, states: FunnelStates, period: CalendarPeriod
) -> PredictedWins | None:
    """Return the wins by the end of a period that a week before would have predicted.

    Returns None where nothing was known then.
    """
    as_of = snapshot.as_of - CHANGE_SPAN
    dataset = snapshot.dataset.cut_at(as_of)
    if not dataset.leads.num_rows:
        return None
    earlier = replace(snapshot, dataset=dataset, as_of=as_of)
    history = build_history(earlier, states)
    if not len(history.paths.visits.lead):
        return None
    inputs = collect_inputs(earlier, value_history(earlier, history), None, period.end)
    ends = np.array([to_microseconds(period.end)])
    prediction = predict_wins(history, inputs.attributes, inputs.grid, ends)
    return PredictedWins(dataset, inputs, prediction)


def explain_week(
    before: PredictedWins | None,
    now: PredictedWins,
    errors: PastErrors,
    period: CalendarPeriod,
    totals: dict[str, float],
) -> pa.Table:
    """Return CHANGES of a period's total.

    Args:
        before: What a week before would have predicted.
        now: What the as-of predicts.
        errors: What past forecasts teach.
        period: The period.
        totals: The expected total that the forecast shows, by unit. Both ends are scaled as the
            present one must be to be it, since draws have factors that deals share.
    """
    if before is None:
        return CHANGES.empty_table()
    size = len(now.inputs.history.created)
    place = now.dataset.find_leads(before.dataset.leads["entity_id"])
    has_amounts = now.inputs.amounts is not None and before.inputs.amounts is not None
    tables = []
    for unit in [WINS, AMOUNT] if has_amounts else [WINS]:
        was = _expect_total(before, errors, period, unit, place, size)
        expected = _expect_total(now, errors, period, unit, np.arange(size), size)
        ratio = expected.find_ratio(totals[unit])
        rows = list_change_rows(
            unit, was.scale_by(ratio), expected.scale_by(ratio), now.inputs.history
        )
        tables.append(rows)
    return pa.concat_tables(tables)


def correct_chances(prediction: WinPrediction, errors: PastErrors) -> np.ndarray:
    """Return the chances by the end of the current period, without the bias of past forecasts."""
    factor = float(np.exp(errors.factors[0].mean[0]))
    return scale_chances(errors.choose_chances(prediction)[:, 0], factor)


def _expect_total(
    predicted: PredictedWins,
    errors: PastErrors,
    period: CalendarPeriod,
    unit: str,
    place: np.ndarray,
    size: int,
) -> ExpectedTotal:
    """Return the expected total of a period.

    ``place`` is where each lead stands in arrays of ``size``; -1 where it is gone.
    """
    _, inputs, prediction = predicted
    history, deals = inputs.history, prediction.deals
    chances, stage = np.zeros(size), np.full(size, -1)
    amount, won = np.ones(size), np.zeros(size)
    known = place[deals.lead] >= 0
    at = place[deals.lead[known]]
    chances[at] = correct_chances(prediction, errors)[known]
    stage[at] = deals.stage[known]
    mean_amount = 1.0
    if unit == AMOUNT and inputs.amounts is not None:
        amount[at] = inputs.amounts.expect_amounts(deals.lead[known], history.as_of).amount
        mean_amount = inputs.amounts.mean
    spells = history.paths.spells
    begin, end = to_microseconds(period.start), to_microseconds(period.end)
    own = (spells.exit == history.states.won) & (spells.end >= begin) & (spells.end < end)
    own &= place[spells.lead] >= 0
    value = np.ones(len(own)) if unit == WINS else np.nan_to_num(inputs.win_amount)
    np.add.at(won, place[spells.lead[own]], value[own])
    from_new = float(prediction.new_wins[0]) * mean_amount
    return ExpectedTotal(chances, stage, amount, won, from_new)
