"""The forecast that a week before would have made, and the steps from it to the present one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from configs.goals.periods import CalendarPeriod
from features.tools.instants import to_microseconds
from models.forecast.changes import ExpectedTotal, list_change_rows
from models.forecast.past_errors import PastErrors, scale_chances
from models.forecast.prediction import WinPrediction, predict_wins
from models.forecast.schemas import AMOUNT, CHANGES, WINS
from pipelines.forecast.inputs import ForecastInputs
from pipelines.funnel.amounts import find_win_amounts
from pipelines.funnel.funnel import build_history
from pipelines.training_data import Snapshot

# The change is shown against the forecast that this long before would have been made.
CHANGE_SPAN = timedelta(days=7)


class PredictedWins(NamedTuple):
    """Wins that are predicted at an as-of, and what they are predicted from.

    Attributes:
        inputs: What the prediction is computed from.
        prediction: The wins.
        place: Place of each lead among those of the present as-of, int64 (leads,).
    """

    inputs: ForecastInputs
    prediction: WinPrediction
    place: np.ndarray


def predict_week_before(
    snapshot: Snapshot, inputs: ForecastInputs, period: CalendarPeriod
) -> PredictedWins | None:
    """Return the wins by the end of a period that a week before would have predicted.

    ``inputs`` are those of the present as-of. What they have learned of amounts stays, so that an
    amount changes only where a deal does. Returns None where nothing was known then.
    """
    as_of = snapshot.as_of - CHANGE_SPAN
    dataset = snapshot.dataset.cut_at(as_of)
    if not dataset.leads.num_rows:
        return None
    earlier = replace(snapshot, dataset=dataset, as_of=as_of)
    history = build_history(earlier, inputs.history.states)
    if not len(history.paths.visits.lead):
        return None
    place = snapshot.dataset.find_leads(dataset.leads["entity_id"])
    amounts = None if inputs.amounts is None else inputs.amounts.take_leads(place)
    inputs = replace(
        inputs,
        history=history,
        attributes=inputs.attributes.take_leads(place),
        amounts=amounts,
        win_amount=find_win_amounts(earlier, history, amounts),
    )
    ends = np.array([to_microseconds(period.end)])
    prediction = predict_wins(history, inputs.attributes, inputs.grid, ends)
    return PredictedWins(inputs, prediction, place)


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
    size = len(now.place)
    tables = []
    for unit in [WINS] if now.inputs.amounts is None else [WINS, AMOUNT]:
        was, expected = (
            _expect_total(predicted, errors, period, unit, size) for predicted in (before, now)
        )
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
    predicted: PredictedWins, errors: PastErrors, period: CalendarPeriod, unit: str, size: int
) -> ExpectedTotal:
    """Return the expected total of a period; ``size`` is the number of leads at present."""
    inputs, prediction, place = predicted
    history, deals = inputs.history, prediction.deals
    chances, stage = np.zeros(size), np.full(size, -1)
    amount, won = np.ones(size), np.zeros(size)
    at = place[deals.lead]
    chances[at] = correct_chances(prediction, errors)
    stage[at] = deals.stage
    mean_amount = 1.0
    if unit == AMOUNT and inputs.amounts is not None:
        amount[at] = inputs.amounts.expect_amounts(deals.lead, history.as_of).amount
        mean_amount = inputs.amounts.average_quick_wins(int(prediction.spans[0]))
    spells = history.paths.spells
    begin, end = to_microseconds(period.start), to_microseconds(period.end)
    own = (spells.exit == history.states.won) & (spells.end >= begin) & (spells.end < end)
    value = np.ones(len(own)) if unit == WINS else np.nan_to_num(inputs.win_amount)
    np.add.at(won, place[spells.lead[own]], value[own])
    from_new = float(prediction.new_wins[0]) * mean_amount
    return ExpectedTotal(chances, stage, amount, won, from_new)
