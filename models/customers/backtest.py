"""Forecasts of customers as of the past, beside what came in a time that no choice has seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from features.tools.json_values import to_json_values
from models.customers.chosen import ChosenModel
from models.customers.past_accuracy import (
    MARGIN,
    ChosenPurchases,
    PastAccuracy,
    choose_purchases,
    measure_accuracy,
    predict_baselines,
    predict_candidates,
)
from models.customers.tree_trial import correct_by_trees
from models.customers.trees import CustomerTraits
from models.customers.value import bound_total
from models.customers.value_draws import ValueHorizon, draw_values, estimate_total_variance
from models.purchases.histories import (
    DAYS_PER_WEEK,
    PurchaseHistories,
    Purchases,
    count_purchases,
    summarize_purchases,
)
from models.purchases.purchase_model import fit_purchases

RECENCY = "recency"
TREES = "trees"
TOP_SHARE = 0.1


@dataclass(frozen=True)
class ModelOutcome:
    """How one model's forecast compares with what came.

    Attributes:
        counts: Accuracy of the numbers of purchases.
        correlation: Correlation of expected and actual purchases.
        margin: Expected margin of all customers; NaN for a model without amounts.
        margin_error: Mean absolute error of the margin per customer.
        margin_rank: Rank correlation (Spearman) of expected and actual margins.
        top_share: Share of the actual margin that the tenth of the customers with the highest
            expected margin brought.
    """

    counts: PastAccuracy
    correlation: float
    margin: float
    margin_error: float
    margin_rank: float
    top_share: float


@dataclass(frozen=True)
class CustomerBacktest:
    """A forecast of customers as of the past, with the model that was chosen before.

    Attributes:
        chosen: The model that was chosen by the purchases before the past as-of.
        models: Outcomes by model and baseline.
        orders: Actual purchases, and the 90 % interval of the chosen model.
        margin: Actual margin, and the 90 % interval; None where nothing brought an amount.
        covered: Share of the customers whose actual margin lies in its 90 % interval; NaN
            without amounts.
        best_share: Share of the margin that the tenth of the customers who brought most brought.
        used: Name of the model whose forecast is meant: the chosen one, or TREES if these correct
            it.
        what: What is counted: `purchases`, or `renewals` of contracts.
    """

    chosen: ChosenModel
    models: Mapping[str, ModelOutcome]
    orders: tuple[float, float, float]
    margin: tuple[float, float, float] | None
    covered: float
    best_share: float
    used: str
    what: str = "purchases"

    def to_json(self) -> dict[str, Any]:
        """Return the chosen model, its totals with intervals, and all models."""
        own = self.models[self.used]
        totals = {self.what: (own.counts.expected, self.orders)}
        if self.margin is not None:
            totals["margin"] = (own.margin, self.margin)
        content: dict[str, Any] = to_json_values(
            {
                "model": self.used,
                "customers": own.counts.customers,
                "days": own.counts.days,
                "totals": [
                    {"what": name, "expected": expected, "actual": a, "low": low, "high": high}
                    for name, (expected, (a, low, high)) in totals.items()
                ],
                "covered_90": None if np.isnan(self.covered) else self.covered,
                "models": [_list_figures(name, row) for name, row in self.models.items()],
            }
        )
        return content


@dataclass(frozen=True)
class Holdout:
    """What came in the days after a past as-of, for the customers of before.

    Attributes:
        origin: The past as-of: the first day.
        days: Number of days.
        histories: Histories before the origin.
        orders: Purchases of each customer, float64.
        margin: What they brought, float64.
    """

    origin: int
    days: int
    histories: PurchaseHistories
    orders: np.ndarray
    margin: np.ndarray

    @property
    def weeks(self) -> float:
        """Return the number of weeks."""
        return self.days / DAYS_PER_WEEK


def backtest_customers(
    purchases: Purchases, origin: int, days: int, seeds: np.ndarray, traits: CustomerTraits
) -> CustomerBacktest | None:
    """Return the forecast of the days ``[origin, origin + days)``; None if the history is short.

    ``seeds`` is one uint32 per customer number.
    """
    chosen = choose_purchases(purchases.select_before(origin), origin, days)
    if chosen is None:
        return None
    histories = summarize_purchases(purchases, origin)
    came = Holdout(
        origin, days, histories, *count_purchases(purchases, histories, origin, origin + days)
    )
    expected = _predict_models(chosen, came)
    margins = chosen.margins if came.margin.any() else None
    per_order = margins.predict_margin(histories) if margins else None
    models = {
        name: compare_outcome(came, name, counts, per_order) for name, counts in expected.items()
    }
    earlier = purchases.select_before(origin)
    correction = correct_by_trees(earlier, traits, origin, chosen.fitted, chosen.margins)
    used, factor = chosen.fitted.name, np.ones(len(histories))
    if correction is not None and correction.is_used:
        used, factor = TREES, correction.margin
        counts = expected[chosen.fitted.name] * correction.orders
        relative = factor / correction.orders
        boosted = None if per_order is None else per_order * relative
        models[TREES] = compare_outcome(came, TREES, counts, boosted)
    own = models[used]
    total = own.counts.expected
    forecast = chosen.fitted.forecast(histories)
    variance = estimate_total_variance(forecast, None, came.weeks)
    orders = (own.counts.actual, *bound_total(total, variance, chosen.spread_of_total(days)))
    if margins is None:
        return CustomerBacktest(chosen, models, orders, None, np.nan, np.nan, used)
    horizon = ValueHorizon(came.weeks, came.weeks, 0.0, margins.paid_share)
    draws = draw_values(forecast, margins.paid, horizon, seeds[histories.customer]).scale(factor)
    inside = (came.margin >= draws.year_low) & (came.margin <= draws.year_high)
    variance = float(draws.year_variance.sum())
    spread = chosen.spread_of_total(days, MARGIN)
    margin = (float(came.margin.sum()), *bound_total(own.margin, variance, spread))
    best = measure_top_share(came.margin, came.margin)
    return CustomerBacktest(chosen, models, orders, margin, float(inside.mean()), best, used)


def _predict_models(chosen: ChosenPurchases, came: Holdout) -> dict[str, np.ndarray]:
    """Return the expected purchases of each customer by model and baseline."""
    histories, weeks = came.histories, came.weeks
    expected = predict_candidates(fit_purchases(histories), histories, weeks)
    expected |= predict_baselines(histories, weeks)
    # Recency ranks, but gives no number: that of the chosen model is spread in its order.
    recent = 1 / (1 + histories.age - histories.last)
    total = expected[chosen.fitted.name].sum()
    return expected | {RECENCY: recent * total / recent.sum()}


def compare_outcome(
    came: Holdout, name: str, counts: np.ndarray, per_order: np.ndarray | None
) -> ModelOutcome:
    """Return how expected counts, and margins by the margin of a purchase, compare with those."""
    accuracy = measure_accuracy(came.origin, came.days, name, counts, came.orders)
    varies = counts.std() > 0 and came.orders.std() > 0
    correlation = float(np.corrcoef(counts, came.orders)[0, 1]) if varies else np.nan
    if per_order is None:
        return ModelOutcome(accuracy, correlation, *[np.nan] * 4)
    expected = counts * per_order
    return ModelOutcome(
        accuracy,
        correlation,
        float(expected.sum()),
        float(np.abs(expected - came.margin).mean()),
        float(stats.spearmanr(expected, came.margin).statistic),
        measure_top_share(expected, came.margin),
    )


def measure_top_share(expected: np.ndarray, margin: np.ndarray) -> float:
    """Return the share of the margin that the customers expected to bring most have brought."""
    size = max(int(TOP_SHARE * len(margin)), 1)
    top = np.argsort(-expected, kind="stable")[:size]
    return float(margin[top].sum() / margin.sum())


def _list_figures(name: str, row: ModelOutcome) -> dict[str, Any]:
    figures = {
        "expected": row.counts.expected,
        "absolute_error": row.counts.absolute_error,
        "deviance": row.counts.deviance,
        "correlation": row.correlation,
        "roc_auc": row.counts.ranking,
        "margin": row.margin,
        "margin_absolute_error": row.margin_error,
        "margin_rank_correlation": row.margin_rank,
        "top_tenth_share": row.top_share,
    }
    known = {key: None if np.isnan(value) else float(value) for key, value in figures.items()}
    return {"model": name, **known}
