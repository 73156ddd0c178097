"""The choice of a model by past forecasts, and how far totals may be off."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import mean_poisson_deviance, roc_auc_score

from models.customers.backtest import backtest_customers
from models.customers.past_accuracy import (
    CANDIDATES,
    choose_purchases,
    list_origins,
    measure_accuracy,
    refuse_model,
)
from models.purchases.histories import Purchases
from tests.models.customers.simulated import simulate_purchases


@pytest.fixture(scope="module")
def purchases() -> Purchases:
    return simulate_purchases(2_000, 600, 1)


def test_accuracy_is_that_of_the_library() -> None:
    generator = np.random.default_rng(7)
    expected, actual = generator.gamma(1, 1, 500), generator.poisson(1.0, 500).astype(float)
    row = measure_accuracy(0, 30, "bg_nbd", expected, actual)
    assert row.deviance == pytest.approx(mean_poisson_deviance(actual, expected))
    assert row.ranking == pytest.approx(roc_auc_score(actual > 0, expected))
    assert row.absolute_error == pytest.approx(np.abs(expected - actual).mean())


def test_origins_have_as_much_history_as_they_look_ahead(purchases: Purchases) -> None:
    first = int(purchases.day.min())
    for days in (30, 150, 1_000):
        origins = list_origins(purchases, 600, days)
        ahead = min(days, (600 - first) // 3)
        assert origins[0] == 600 - ahead
        assert all(origin - first >= ahead for origin in origins)


def test_choice_sees_nothing_on_or_after_the_end(purchases: Purchases) -> None:
    garbled = replace(purchases, margin=np.where(purchases.day >= 400, 1e9, purchases.margin))
    later = garbled.day >= 400
    garbled = Purchases(garbled.customer, np.where(later, 5_000, garbled.day), garbled.margin)
    before, after = (
        choose_purchases(rows.select_before(400), 400, 90) for rows in (purchases, garbled)
    )
    assert before is not None and after is not None
    assert before.past == after.past
    for name, fit in before.fitted.fits.items():
        assert fit.logs.tolist() == after.fitted.fits[name].logs.tolist()


def test_best_model_at_the_latest_origin_is_chosen(purchases: Purchases) -> None:
    chosen = choose_purchases(purchases, 600, 120)
    assert chosen is not None and chosen.refused is None
    latest = [row for row in chosen.past if row.origin == chosen.past[0].origin]
    best = min((row for row in latest if row.model in CANDIDATES), key=lambda row: row.deviance)
    assert chosen.fitted.name == best.model
    assert set(chosen.fitted.fits) <= {"bg_nbd", "pareto_nbd"}


def test_model_is_refused_where_a_simple_rate_is_better(purchases: Purchases) -> None:
    chosen = choose_purchases(purchases, 600, 120)
    assert chosen is not None
    latest = {row.model: row for row in chosen.past if row.origin == chosen.past[0].origin}
    name = chosen.fitted.name
    assert refuse_model(latest, name) is None
    beaten = latest | {name: replace(latest[name], deviance=latest["own_rate"].deviance)}
    reason = refuse_model(beaten, name)
    assert reason is not None and name in reason and "own_rate" in reason


def test_history_that_is_too_short_chooses_nothing() -> None:
    purchases = simulate_purchases(30, 600, 2)
    assert choose_purchases(purchases, 600, 90) is None
    assert choose_purchases(purchases.select_before(0), 600, 90) is None


def test_spread_is_that_of_past_errors(purchases: Purchases) -> None:
    chosen = choose_purchases(purchases, 600, 90)
    assert chosen is not None
    own = [row for row in chosen.past if row.model == chosen.fitted.name]
    rms = np.sqrt(np.mean([np.log(row.actual / row.expected) ** 2 for row in own]))
    widened = rms * stats.t.ppf(0.95, len(own)) / stats.norm.ppf(0.95)
    assert chosen.spread_of_total(90) == pytest.approx(widened)
    assert chosen.spread_of_total(360) == pytest.approx(2 * widened)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_backtest_holds_the_total_and_the_customers(seed: int) -> None:
    purchases = simulate_purchases(1_500, 900, 10 + seed)
    result = backtest_customers(purchases, 600, 180, np.arange(1_500).astype(np.uint32))
    assert result is not None and result.margin is not None
    name = result.chosen.fitted.name
    assert result.orders[1] <= result.orders[0] <= result.orders[2]
    # Each customer's interval is of a count, so it holds more than nine tenths.
    assert 0.9 <= result.covered <= 0.99
    own, recency = result.models[name], result.models["recency"]
    assert own.counts.deviance < min(
        result.models[other].counts.deviance for other in ("own_rate", "same_for_all", "recency")
    )
    assert own.top_share > recency.top_share
    assert own.top_share <= result.best_share
