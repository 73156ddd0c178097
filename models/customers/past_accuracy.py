"""Forecasts of purchases as of the past, beside what came: which model is taken, and its error.

A forecast as of a past day sees only earlier purchases. The one with the longest history chooses
the model; all of them show how far totals were off, which single customers do not: a season or a
change of prices moves all customers together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np
from scipy import stats

from models.customers.chosen import format_parameters
from models.customers.margins import MarginModel, fit_margins
from models.customers.value_draws import estimate_total_variance
from models.purchases.histories import (
    DAYS_PER_WEEK,
    PurchaseHistories,
    Purchases,
    count_purchases,
    sample_histories,
    summarize_purchases,
)
from models.purchases.purchase_model import (
    MEAN,
    FittedPurchases,
    PurchaseForecast,
    combine_errors,
    fit_purchases,
)

# Past as-ofs, half a horizon apart: earlier ones have too short a history for the same horizon.
MAX_ORIGINS = 3
# Fewer customers or purchases say nothing about a model.
MIN_CUSTOMERS = 50
# Customers whose forecasts are compared; chance moves the total of more by less than a hundredth.
MAX_COMPARED = 100_000
# Totals: the number of purchases, and what they bring.
ORDERS, MARGIN = "orders", "margin"
OWN_RATE = "own_rate"
SAME_FOR_ALL = "same_for_all"
BASELINES = (OWN_RATE, SAME_FOR_ALL)
# Models that may be taken, the simplest first, which wins a tie.
CANDIDATES = ("bg_nbd", "pareto_nbd", MEAN)


@dataclass(frozen=True)
class TotalError:
    """A total that was expected as of a past day, and what came.

    Attributes:
        expected: What was expected of all customers.
        actual: What came, above zero.
        variance: Variance of the logarithm of the actual total that chance and the estimation of
            the parameters explain.
    """

    expected: float
    actual: float
    variance: float

    @property
    def unexplained(self) -> float:
        """Return the square of the error in logarithms, less what is explained."""
        return math.log(self.actual / self.expected) ** 2 - self.variance


@dataclass(frozen=True)
class PastAccuracy:
    """How a model's forecast as of a past day compares with what came.

    Attributes:
        origin: The past as-of: the first day of the window that was forecast.
        days: Days ahead.
        model: Name of the model or baseline.
        customers: Customers with a purchase before the origin.
        expected: Expected purchases of all of them.
        actual: Purchases that came.
        absolute_error: Mean absolute error per customer.
        deviance: Mean Poisson deviance per customer, a proper score for expected counts.
        ranking: Chance that of a customer who bought again and one who did not, the first was
            expected to buy more: the ROC AUC; NaN where all or none bought.
        totals: Expected and actual totals by what is added up; none of baselines.
    """

    origin: int
    days: int
    model: str
    customers: int
    expected: float
    actual: float
    absolute_error: float
    deviance: float
    ranking: float
    totals: Mapping[str, TotalError] = field(default_factory=dict)


@dataclass(frozen=True)
class ChosenPurchases:
    """The model that is taken, fitted on all purchases, and what the past says of it.

    Attributes:
        fitted: The model.
        margins: The model of margins; None where no purchase brought anything.
        histories: What both were fitted on, or a sample of it.
        past: Accuracy of all models and baselines at each origin.
        refused: Why nothing may be published; None if the model is good enough.
    """

    fitted: FittedPurchases
    margins: MarginModel | None
    histories: PurchaseHistories
    past: tuple[PastAccuracy, ...]
    refused: str | None

    def describe_parameters(self) -> str:
        """Return the parameters of all models as JSON; times are in weeks."""
        models: dict[str, Mapping[str, float]] = {
            name: asdict(model) for name, model in self.fitted.models.items()
        }
        return format_parameters(models, self.margins)

    def spread_of_total(self, days: float, what: str = ORDERS) -> float:
        """Return the standard deviation of the logarithm of a total over these days ahead.

        It has two parts: the errors of the parameters, and what moves all customers together. The
        chance of single customers is not in it. ``what`` is ORDERS or MARGIN.
        """
        margins = self.margins if what == MARGIN else None
        estimation = explain_estimation(self.fitted, margins, self.histories, days / DAYS_PER_WEEK)
        own = [row for row in self.past if row.model == self.fitted.name]
        return math.sqrt(estimation + measure_common(own, days, what) ** 2)


def measure_common(own: Sequence[PastAccuracy], days: float, what: str) -> float:
    """Return the spread of a model's past totals beyond what chance and estimation explain.

    It is widened for the few origins, and as the root of the days where they are more than were
    forecast in the past.
    """
    own = [row for row in own if row.actual > 0]
    totals = [row.totals[what] for row in own if what in row.totals]
    if not totals:
        return measure_common(own, days, ORDERS)
    common = max(float(np.mean([total.unexplained for total in totals])), 0.0)
    quantile = float(stats.t.ppf(0.95, len(totals)) / stats.norm.ppf(0.95))
    return math.sqrt(common * max(days / own[0].days, 1.0)) * quantile


def choose_purchases(purchases: Purchases, end: int, days: int) -> ChosenPurchases | None:
    """Return the model for the days ``[end, end + days)``; None if the history is too short.

    ``purchases`` must lie before ``end``.
    """
    origins = list_origins(purchases, end, days)
    past = [row for origin in origins for row in _measure_origin(purchases, origin, end, days)]
    if not past:
        return None
    latest = {row.model: row for row in past if row.origin == past[0].origin}
    chosen = min(CANDIDATES, key=lambda name: latest[name].deviance)
    histories = summarize_purchases(purchases, end)
    fitted = fit_purchases(histories).select(chosen)
    margins, refused = fit_margins(histories), refuse_model(latest, chosen)
    return ChosenPurchases(fitted, margins, sample_histories(histories), tuple(past), refused)


def list_origins(purchases: Purchases, end: int, days: int) -> list[int]:
    """Return past as-ofs, the latest first, each with as much history as it looks ahead."""
    first = int(purchases.day.min(initial=end))
    ahead = measure_ahead(end - first, days)
    origins = [end - ahead - place * ahead // 2 for place in range(MAX_ORIGINS)]
    return [origin for origin in origins if origin - first >= ahead > 0]


def measure_ahead(history_days: int, days: int) -> int:
    """Return the days that past forecasts look ahead: at most a third of the history."""
    return min(days, history_days // 3)


def _measure_origin(purchases: Purchases, origin: int, end: int, days: int) -> list[PastAccuracy]:
    ahead = measure_ahead(end - int(purchases.day.min()), days)
    histories = sample_histories(summarize_purchases(purchases, origin), MAX_COMPARED)
    actual, brought = count_purchases(purchases, histories, origin, origin + ahead)
    if len(histories) < MIN_CUSTOMERS or actual.sum() < MIN_CUSTOMERS:
        return []
    weeks = ahead / DAYS_PER_WEEK
    fitted, margins = fit_purchases(histories), fit_margins(histories)
    expected = predict_candidates(fitted, histories, weeks) | predict_baselines(histories, weeks)
    rows = {
        name: measure_accuracy(origin, ahead, name, counts, actual)
        for name, counts in expected.items()
    }
    errors = fitted.estimate_log_errors(histories, weeks)
    for name in CANDIDATES:
        forecast = fitted.select(name).forecast(histories)
        estimation = combine_errors([errors[model] for model in fitted.select(name).fits])
        bought = float(actual.sum())
        totals = {ORDERS: _compare_total(forecast, None, weeks, bought, estimation)}
        if margins is not None and brought.sum() > 0:
            came, both = float(brought.sum()), estimation + margins.variance
            totals[MARGIN] = _compare_total(forecast, margins, weeks, came, both)
        rows[name] = replace(rows[name], totals=totals)
    return list(rows.values())


def _compare_total(
    forecast: PurchaseForecast,
    margins: MarginModel | None,
    weeks: float,
    actual: float,
    estimation: float,
) -> TotalError:
    per_order = margins.predict_margin(forecast.histories) if margins else 1.0
    expected = max(float((forecast.predict_orders(weeks) * per_order).sum()), 1e-300)
    chance = estimate_total_variance(forecast, margins, weeks) / expected**2
    return TotalError(expected, actual, chance + estimation)


def explain_estimation(
    fitted: FittedPurchases,
    margins: MarginModel | None,
    histories: PurchaseHistories,
    weeks: float,
) -> float:
    """Return the variance of the logarithm of a total that the errors of parameters bring."""
    of_margin = margins.variance if margins else 0.0
    return fitted.estimate_log_variance(histories, weeks) + of_margin


def predict_candidates(
    fitted: FittedPurchases, histories: PurchaseHistories, weeks: float
) -> dict[str, np.ndarray]:
    """Return the expected purchases of each customer by CANDIDATES."""
    return {
        name: fitted.select(name).forecast(histories).predict_orders(weeks) for name in CANDIDATES
    }


def predict_baselines(histories: PurchaseHistories, weeks: float) -> dict[str, np.ndarray]:
    """Return what a customer's own rate and the mean rate of all say."""
    # A purchase in the mean time of all is added, so that silence is no rate of zero.
    rate = histories.repeats.sum() / max(histories.age.sum(), 1.0)
    own = (histories.repeats + 1) / (histories.age + 1 / rate) if rate else histories.repeats
    return {OWN_RATE: own * weeks, SAME_FOR_ALL: np.full(len(histories), rate * weeks)}


def measure_accuracy(
    origin: int, days: int, model: str, expected: np.ndarray, actual: np.ndarray
) -> PastAccuracy:
    """Return how expected counts compare with actual ones, both float64 (customers,)."""
    deviance = measure_poisson(actual, expected)
    return PastAccuracy(
        origin,
        days,
        model,
        len(actual),
        float(expected.sum()),
        float(actual.sum()),
        float(np.abs(expected - actual).mean()),
        float(deviance.mean()),
        _rank_buyers(expected, actual > 0),
    )


def measure_poisson(actual: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return the Poisson deviance of each count, float64 (customers,)."""
    limited = np.maximum(expected, 1e-12)
    ratio = np.where(actual > 0, np.maximum(actual, 1) / limited, 1.0)
    deviance: np.ndarray = 2 * (actual * np.log(ratio) - (actual - expected))
    return deviance


def _rank_buyers(expected: np.ndarray, bought: np.ndarray) -> float:
    buyers, others = int(bought.sum()), int((~bought).sum())
    if not buyers or not others:
        return float("nan")
    ranks = stats.rankdata(expected)[bought].sum()
    return float((ranks - buyers * (buyers + 1) / 2) / (buyers * others))


def refuse_model(latest: Mapping[str, PastAccuracy], chosen: str) -> str | None:
    """Return why the chosen model is not good enough, None if it is."""
    best = min(BASELINES, key=lambda name: latest[name].deviance)
    if latest[chosen].deviance < latest[best].deviance:
        return None
    return (
        f"the model {chosen} predicts the last {latest[chosen].days} days no better than {best}: "
        f"deviance {latest[chosen].deviance:.3f} against {latest[best].deviance:.3f}"
    )
