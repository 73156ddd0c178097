"""Simulated futures of customers against closed forms, and values against plain sums."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.customers.value import bound_total, discount_purchases
from models.customers.value_draws import ValueDraws, ValueHorizon, draw_values
from models.purchases.bg_nbd import BgNbd
from models.purchases.gamma_gamma import GammaGamma
from models.purchases.histories import PurchaseHistories
from models.purchases.pareto_nbd import ParetoNbd
from models.purchases.purchase_model import PurchaseForecast, PurchaseModel

MARGINS = GammaGamma(4.0, 5.0, 15.0)
MODELS = (BgNbd(0.8, 6.0, 1.2, 3.0), ParetoNbd(0.9, 8.0, 1.1, 20.0))
YEAR, WEEKS, DISCOUNT, PAID = 52.0, 104.0, 0.002, 0.9


def repeat_history(size: int) -> PurchaseHistories:
    """Return one history many times, so that the means of the draws are precise."""
    full = np.ones(size)
    return PurchaseHistories(np.arange(size), 4 * full, 30 * full, 35 * full, 5 * full, 12 * full)


def draw(models: list[PurchaseModel], histories: PurchaseHistories) -> ValueDraws:
    horizon = ValueHorizon(YEAR, WEEKS, DISCOUNT, PAID)
    seeds = np.arange(len(histories)).astype(np.uint32)
    return draw_values(PurchaseForecast(tuple(models), histories), MARGINS, horizon, seeds)


def simulate_margins(model: PurchaseModel, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return margins within a year and, discounted, within the horizon, drawn with NumPy alone."""
    generator = np.random.default_rng(11)
    history = repeat_history(1)
    rate = generator.gamma(model.r + 4, 1 / (model.alpha + 35), size)
    alive = generator.random(size) < model.predict_alive(history)[0]
    life, leaving = np.full(size, np.inf), np.zeros(size)
    if isinstance(model, ParetoNbd):
        life = generator.exponential(1 / generator.gamma(model.s, 1 / (model.beta + 35), size))
    else:
        leaving = generator.beta(model.a, model.b + 4, size)
    scale = 1 / generator.gamma(MARGINS.q + MARGINS.p * 5, 1 / (MARGINS.gamma + 60), size)
    time, year, total = np.zeros(size), np.zeros(size), np.zeros(size)
    while alive.any():
        time = time + generator.exponential(1 / rate)
        alive &= time < np.minimum(life, WEEKS)
        margin = alive * (generator.random(size) < PAID) * generator.gamma(MARGINS.p, scale)
        year += margin * (time < YEAR)
        total += margin * np.exp(-DISCOUNT * time)
        alive &= generator.random(size) >= leaving
    return year, total


@pytest.mark.parametrize("model", MODELS)
def test_draws_are_distributed_as_those_of_a_plain_simulation(model: PurchaseModel) -> None:
    draws = draw([model], repeat_history(4_000))
    year, total = simulate_margins(model, 400_000)
    # A quantile of 100 draws is off by about one hundredth on average.
    assert draws.year_high.mean() == pytest.approx(np.quantile(year, 0.95), rel=0.03)
    assert draws.total_high.mean() == pytest.approx(np.quantile(total, 0.95), rel=0.03)
    assert draws.year_variance.mean() == pytest.approx(year.var(), rel=0.03)
    assert draws.total_variance.mean() == pytest.approx(total.var(), rel=0.03)
    # The mean is that of the closed form.
    closed = model.predict_purchases(repeat_history(1), YEAR)[0] * PAID
    closed *= MARGINS.predict_margin(repeat_history(1))[0]
    assert year.mean() == pytest.approx(closed, rel=0.01)


def test_draws_of_a_customer_do_not_depend_on_the_others() -> None:
    all_draws = draw(list(MODELS), repeat_history(50))
    few = repeat_history(50).select(np.arange(10, 20))
    horizon = ValueHorizon(YEAR, WEEKS, DISCOUNT, PAID)
    seeds = np.arange(10, 20).astype(np.uint32)
    own = draw_values(PurchaseForecast(MODELS, few), MARGINS, horizon, seeds)
    assert own.total_high.tolist() == all_draws.total_high[10:20].tolist()


def test_discounted_purchases_are_the_sum_over_weeks() -> None:
    histories = repeat_history(1)
    for model in MODELS:
        found = discount_purchases(
            lambda time, model=model: model.predict_purchases(histories, time), WEEKS, DISCOUNT
        )
        times = np.linspace(0, WEEKS, 4_001)
        counts = np.array([model.predict_purchases(histories, time)[0] for time in times])
        middle = (times[1:] + times[:-1]) / 2
        plain = (np.diff(counts) * np.exp(-DISCOUNT * middle)).sum()
        assert found[0] == pytest.approx(plain, rel=1e-4)


def test_interval_of_a_total_has_both_spreads() -> None:
    low, high = bound_total(100.0, 25.0, 0.1)
    width = 1.6449 * math.hypot(0.1, 0.05)
    assert low == pytest.approx(100 * math.exp(-width), rel=1e-4)
    assert high == pytest.approx(100 * math.exp(width), rel=1e-4)
    assert bound_total(0.0, 0.0, 0.1) == (0.0, 0.0)
