"""The forecast of the revenue bridge: it adds up, and is the bridge of its futures."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from models.customers.states import find_customer_days
from models.customers.value_draws import DRAWS, ValueHorizon, draw_futures, draw_values
from models.purchases.bg_nbd import BgNbd
from models.purchases.gamma_gamma import GammaGamma
from models.purchases.histories import Purchases, merge_days, summarize_purchases
from models.purchases.pareto_nbd import ParetoNbd
from models.purchases.purchase_model import PurchaseForecast
from models.revenue.bridge_accuracy import BridgeAccuracy, TestedQuarter, measure_step_spread
from models.revenue.bridge_forecast import (
    QuarterDraws,
    estimate_arrivals,
    forecast_bridge,
    sum_quarters,
)
from models.revenue.revenue_bridge import STEPS, build_revenue_bridge
from tests.models.customers.simulated import simulate_purchases

EDGES = np.arange(0, 121, 30)
ROWS = st.lists(
    st.tuples(st.integers(0, 8), st.integers(0, 119), st.integers(1, 50)), min_size=1, max_size=60
)


def read_purchases(rows: list[tuple[int, int, int]]) -> Purchases:
    customer, day, margin = np.array(rows).T
    _, customer = np.unique(customer, return_inverse=True)
    return merge_days(customer, day, margin.astype(float))


def check_sums(amount: np.ndarray) -> None:
    for row in amount:
        start, new, won_back, expansion, contraction, lost, end = row
        assert start + new + won_back + expansion - contraction - lost == pytest.approx(end)
    assert amount[0][-1] == pytest.approx(amount[1][0])


@settings(deadline=None, max_examples=40)
@given(ROWS, st.integers(0, 2**31), st.integers(1, 30))
def test_steps_of_a_forecast_add_up(rows: list[tuple[int, int, int]], seed: int, left: int) -> None:
    purchases = read_purchases(rows)
    first = find_customer_days(purchases, 120).first
    past = sum_quarters(purchases, EDGES, first)
    random = np.random.default_rng(seed)
    draws = np.maximum(random.normal(0, 20, (2, len(first), DRAWS)), 0)
    block = QuarterDraws(np.arange(len(first)), draws[0], draws[1])
    forecast = forecast_bridge(past, [block], left, seed)
    check_sums(forecast.amount)
    check_sums(forecast.customers * np.where(np.isin(STEPS, ["expansion", "contraction"]), 0, 1))
    assert forecast.amount[0][0] == pytest.approx(past.margin[-1].sum())


@settings(deadline=None, max_examples=40)
@given(ROWS)
def test_forecast_of_a_certain_future_is_its_bridge(rows: list[tuple[int, int, int]]) -> None:
    purchases = read_purchases(rows)
    days = find_customer_days(purchases, 120)
    # All customers came in the first quarter, so that none is expected to come.
    first = np.minimum(days.first, 15)
    past = sum_quarters(purchases, EDGES[:3], first)
    later = sum_quarters(purchases, EDGES[2:], first).margin
    half = len(first) // 2
    blocks = [
        QuarterDraws(
            np.arange(len(first))[part],
            np.repeat(later[0, part, None], DRAWS, axis=1),
            np.repeat(later[1, part, None], DRAWS, axis=1),
        )
        for part in (slice(0, half), slice(half, None))
    ]
    edges = np.array([30, 60, 90, 120])
    past = replace(past, edges=np.array([-60, -30, 0, 30, 60]), margin=np.zeros((4, len(first))))
    past.margin[-1] = sum_quarters(purchases, edges, first).margin[0]
    quiet = replace(past, first=np.full(len(first), -50))
    forecast = forecast_bridge(quiet, blocks, 30, 1)
    bridge = build_revenue_bridge(purchases, edges, quiet.first)
    assert np.allclose(forecast.amount, bridge.amount)
    assert np.allclose(forecast.customers, bridge.customers)
    assert np.allclose(forecast.variance, 0)


def test_arrivals_are_those_of_the_last_quarters() -> None:
    counts = [4, 8, 6, 10, 20]
    first = np.concatenate([np.arange(n) % 30 + 30 * place for place, n in enumerate(counts)])
    purchases = Purchases(np.arange(len(first)), first, np.ones(len(first)))
    past = sum_quarters(purchases, np.arange(0, 151, 30), first)
    mean, spread = estimate_arrivals(past, None)
    assert mean == 15
    ratios = [(6 - 6) ** 2 / 6, (10 - 7) ** 2 / 7, (20 - 8) ** 2 / 8]
    assert spread == pytest.approx(np.mean(ratios))
    # All came in the first 20 days of their quarter.
    assert estimate_arrivals(past, 10) == (0, 1)
    assert estimate_arrivals(past, 30)[0] == 15


def test_new_customers_behave_as_those_of_past_quarters() -> None:
    # Ten customers a quarter: each brings 7 in its quarter and 3 in the next, then nothing.
    first = np.repeat(np.arange(0, 240, 30), 10)
    customer = np.arange(len(first))
    purchases = merge_days(
        np.concatenate([customer, customer]),
        np.concatenate([first, first + 30]),
        np.repeat([7.0, 3.0], len(first)),
    )
    past = sum_quarters(purchases, np.arange(0, 241, 30), first)
    silent = QuarterDraws(customer, *np.zeros((2, len(customer), DRAWS)))
    forecast = forecast_bridge(past, [silent], 30, 3)
    amount = dict(zip(STEPS, forecast.amount.T, strict=True))
    chance = 4 * math.sqrt(10 / DRAWS)
    assert amount["new"] / 7 == pytest.approx([10, 10], abs=chance)
    assert amount["contraction"][1] / 4 == pytest.approx(amount["new"][0] / 7)
    assert amount["lost"][0] == past.margin[-1].sum()
    assert amount["end"][1] == pytest.approx(amount["new"][1] + amount["new"][0] * 3 / 7)


@pytest.mark.parametrize("model", [BgNbd(0.8, 6.0, 1.2, 3.0), ParetoNbd(0.9, 8.0, 1.1, 20.0)])
def test_single_draws_are_those_of_the_values(model: BgNbd | ParetoNbd) -> None:
    histories = summarize_purchases(simulate_purchases(50, 400, 2), 400)
    forecast = PurchaseForecast((model,), histories)
    horizon, seeds = ValueHorizon(13, 26, 0.0, 0.9), np.arange(len(histories)).astype(np.uint32)
    margins = GammaGamma(4.0, 5.0, 15.0)
    draws = draw_futures(forecast, margins, horizon, seeds)
    values = draw_values(forecast, margins, horizon, seeds)
    assert draws[0].var(axis=1) == pytest.approx(values.year_variance)
    assert draws[1].var(axis=1) == pytest.approx(values.total_variance)
    assert (draws[1] >= draws[0]).all()


def make_tested(errors: list[float], variance: float = 0.0) -> list[TestedQuarter]:
    ones = np.ones(len(STEPS))
    return [
        TestedQuarter(100 * ones, variance * ones, 100 * math.exp(error) * ones) for error in errors
    ]


def test_intervals_are_as_wide_as_past_quarters_were_off() -> None:
    errors = [0.1, -0.2, 0.05, 0.1]
    rms = math.sqrt(np.mean(np.square(errors)) - 0.001)
    widened = rms * stats.t.ppf(0.95, 4) / stats.norm.ppf(0.95)
    assert measure_step_spread(make_tested(errors, 10.0), 6) == pytest.approx(widened)
    assert measure_step_spread(make_tested(errors, 1e6), 6) == 0
    accuracy = BridgeAccuracy(make_tested(errors))
    assert accuracy.count_held() >= 3
    assert accuracy.bias == pytest.approx(4 / sum(math.exp(error) for error in errors) - 1)
    # One quarter that is far off lies outside of what the others say.
    assert BridgeAccuracy(make_tested([0.01, 0.02, 0.9, -0.01])).count_held() == 3
