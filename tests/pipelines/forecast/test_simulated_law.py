"""The demo company's forecasts beside what happened: intervals, money, and stage weights.

The full attack takes 10 companies and 20 as-ofs of each.
"""

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from configs.schema import load_project
from features.contracts import EVENTS, LEADS, Dataset
from features.paths.states import list_funnel_states
from features.tools.instants import US_PER_DAY, to_microseconds
from models.forecast.past_errors import measure_past_errors
from models.forecast.prediction import predict_wins
from models.forecast.schemas import AMOUNT, WINS
from pipelines.forecast.backtest import weight_by_stage
from pipelines.forecast.forecast import draw_forecast
from pipelines.forecast.inputs import collect_inputs
from pipelines.funnel.amounts import value_history
from pipelines.funnel.funnel import build_history
from pipelines.simulated.company import END
from pipelines.simulated.simulate import simulate_block
from pipelines.training_data import Snapshot

FULL = os.environ.get("LEADSCORE_ATTACK", "") not in ("", "0")
SEEDS, AS_OFS, BLOCKS = (10, 20, 4) if FULL else (1, 2, 1)
FIRST, MONTH = datetime(2024, 8, 1, tzinfo=UTC), timedelta(days=30)
PROJECT = load_project(Path(__file__).parents[3] / "configs" / "demo.yaml")
STATES = list_funnel_states(PROJECT)


def simulate(seed):
    """Return the clean data set of a company, with the attributes that its project reads."""
    parts = [simulate_block(seed, number, 5000) for number in range(BLOCKS)]
    tables = [pa.concat_tables(pieces) for pieces in zip(*parts, strict=True)]
    # Not with the planted column that shows the outcome.
    attributes = PROJECT.sources.leads.attributes
    leads = tables[0].select([*LEADS.names, *attributes])
    return Dataset(leads, tables[1].select(EVENTS.names), (), "simulated")


def take_snapshot(dataset, as_of):
    return Snapshot(PROJECT, dataset.cut_at(as_of), as_of, as_of, as_of)


def list_wins(dataset):
    """Return the instants and the amounts of all wins."""
    snapshot = take_snapshot(dataset, END)
    history = build_history(snapshot, STATES)
    inputs = collect_inputs(snapshot, value_history(snapshot, history), None, END)
    won = history.paths.spells.exit == STATES.won
    return history.paths.spells.end[won], inputs.win_amount[won]


def forecast_month(dataset, as_of):
    """Return draws of wins and amounts of the next 30 days, and the stage-weighted figures."""
    snapshot = take_snapshot(dataset, as_of)
    history = build_history(snapshot, STATES)
    inputs = collect_inputs(snapshot, value_history(snapshot, history), None, as_of + MONTH)
    ends = np.array([to_microseconds(as_of + MONTH)])
    prediction = predict_wins(history, inputs.attributes, inputs.grid, ends)
    errors = measure_past_errors(history, inputs.attributes, inputs.grid, ends, inputs.amounts)
    draws = draw_forecast(inputs, prediction, errors)
    weighted = [weight_by_stage(inputs, prediction, unit) for unit in (WINS, AMOUNT)]
    wins = (draws.open_wins + draws.new_wins).sum(axis=(1, 2))
    return wins, (draws.open_amount + draws.new_amount).sum(axis=(1, 2)), weighted


def test_intervals_hold_what_happened(capsys):
    last = END - MONTH - timedelta(days=1)
    as_ofs = [FIRST + (last - FIRST) * k / (AS_OFS - 1) for k in range(AS_OFS)]
    held, errors, weighted_errors = {WINS: [], AMOUNT: []}, {WINS: [], AMOUNT: []}, []
    for seed in range(200, 200 + SEEDS):
        dataset = simulate(seed)
        end, amount = list_wins(dataset)
        for as_of in as_ofs:
            begin = to_microseconds(as_of)
            own = (end >= begin) & (end < begin + 30 * US_PER_DAY)
            *draws, weighted = forecast_month(dataset, as_of)
            truths = {WINS: own.sum(), AMOUNT: amount[own].sum()}
            for unit, values, simple in zip(truths, draws, weighted, strict=True):
                low, high = np.quantile(values, [0.05, 0.95])
                held[unit].append(low <= truths[unit] <= high)
                errors[unit].append(abs(values.mean() / truths[unit] - 1))
                weighted_errors.append(abs(simple / truths[unit] - 1) - errors[unit][-1])
    lines = [
        f"{unit}: 90 % intervals hold {np.mean(held[unit]):.1%}, off by {np.mean(errors[unit]):.1%}"
        for unit in held
    ]
    title = f"demo company, {SEEDS} × {5000 * BLOCKS:,} leads × {AS_OFS} as-ofs, next 30 days"
    with capsys.disabled():
        sys.stdout.write("\n".join(["", title, *lines, ""]))
    assert min(weighted_errors) > 0
    if FULL:
        assert 0.85 <= np.mean(held[WINS]) <= 0.97
    assert np.mean(errors[WINS]) < (0.1 if FULL else 0.3)
