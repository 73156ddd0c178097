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
    MARGIN,
    ORDERS,
    ChosenPurchases,
    choose_purchases,
    explain_estimation,
    list_origins,
    measure_accuracy,
    refuse_model,
)
from models.customers.value_draws import estimate_total_variance
from models.purchases.histories import Purchases, summarize_purchases
from models.purchases.pareto_nbd import ParetoNbd
from models.purchases.purchase_model import fit_purchases
from tests.models.customers.simulated import describe_nothing, simulate_purchases


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


@pytest.mark.parametrize("what", [ORDERS, MARGIN])
def test_spread_is_what_chance_does_not_explain(purchases: Purchases, what: str) -> None:
    chosen = choose_purchases(purchases, 600, 90)
    assert chosen is not None
    own = [row for row in chosen.past if row.model == chosen.fitted.name]
    margins = chosen.margins if what == MARGIN else None
    now, later = (
        explain_estimation(chosen.fitted, margins, chosen.histories, days / 7) for days in (90, 360)
    )
    errors = [0.4, -0.3, 0.2][: len(own)]

    def move(factors: np.ndarray) -> ChosenPurchases:
        rows = []
        for row, factor in zip(own, factors, strict=True):
            total = row.totals[what]
            moved = replace(total, expected=total.actual * factor)
            rows.append(replace(row, totals={**row.totals, what: moved}))
        return replace(chosen, past=tuple(rows))

    # Past errors that are no greater than chance makes them leave estimation alone.
    exact = move(np.ones(len(own)))
    assert exact.spread_of_total(90, what) == pytest.approx(np.sqrt(now))
    explained = np.mean([row.totals[what].variance for row in own])
    common = np.sqrt(np.mean(np.square(errors)) - explained)
    common *= stats.t.ppf(0.95, len(own)) / stats.norm.ppf(0.95)
    moved = move(np.exp(errors))
    assert moved.spread_of_total(90, what) == pytest.approx(np.hypot(common, np.sqrt(now)))
    assert moved.spread_of_total(360, what) == pytest.approx(np.hypot(2 * common, np.sqrt(later)))


def test_estimation_explains_the_errors_of_totals() -> None:
    """Fits of companies with the same law differ as much as their standard errors say."""
    logs, errors = [], []
    for seed in range(12):
        histories = summarize_purchases(simulate_purchases(800, 400, 50 + seed), 400)
        fitted = fit_purchases(histories).select("pareto_nbd")
        # The customers stay the same, so only the parameters move the total.
        same = summarize_purchases(simulate_purchases(800, 400, 49), 400)
        logs.append(np.log(fitted.forecast(same).predict_orders(26.0).sum()))
        errors.append(np.sqrt(fitted.estimate_log_variance(same, 26.0)))
    spread, expected = np.std(logs, ddof=1), np.sqrt(np.mean(np.square(errors)))
    # Nine in ten of such ratios lie between 0.64 and 1.34 (chi-square of 11 degrees).
    assert 0.64 < spread / expected < 1.34


def test_variance_of_purchases_is_that_of_many_futures() -> None:
    histories = summarize_purchases(simulate_purchases(300, 400, 5), 400)
    model = fit_purchases(histories).select("pareto_nbd")
    found = estimate_total_variance(model.forecast(histories), None, 26.0)
    generator, fitted = np.random.default_rng(3), model.models["pareto_nbd"]
    assert isinstance(fitted, ParetoNbd)
    size = (4_000, len(histories))
    alive = generator.random(size) < fitted.predict_alive(histories)
    rate = generator.gamma(fitted.r + histories.repeats, 1 / (fitted.alpha + histories.age), size)
    leaving = generator.gamma(fitted.s, 1 / (fitted.beta + histories.age), size)
    weeks = np.minimum(generator.exponential(1 / leaving), 26.0)
    totals = (generator.poisson(rate * weeks) * alive).sum(axis=1)
    assert found == pytest.approx(totals.var(), rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_backtest_holds_the_total_and_the_customers(seed: int) -> None:
    purchases = simulate_purchases(1_500, 900, 10 + seed)
    result = backtest_customers(
        purchases, 600, 180, np.arange(1_500).astype(np.uint32), describe_nothing(1_500)
    )
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
