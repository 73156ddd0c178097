"""Whether trees expect better than the models of purchases, and what they correct.

Both are asked about the last days that are over, and see only earlier purchases. Trees are used
where their deviance is lower beyond noise: Poisson for purchases, Tweedie of power 1.5 for margins,
both lowest at the mean. The total of all customers is that of the trees only if theirs was nearer
in these days: a level that rose lately need not go on to rise. Beyond the days that could be tried,
the correction is taken to last.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.customers.correction_trial import CorrectionTrial, compare_deviances
from models.customers.margins import MarginModel, fit_margins
from models.customers.past_accuracy import MARGIN, ORDERS, measure_poisson
from models.customers.trees import (
    MAX_TREE_CUSTOMERS,
    POWER,
    CustomerTraits,
    TreeForecast,
    fit_customer_trees,
)
from models.purchases.histories import (
    DAYS_PER_WEEK,
    PurchaseHistories,
    Purchases,
    count_purchases,
    sample_histories,
    summarize_purchases,
)
from models.purchases.purchase_model import FittedPurchases, fit_purchases

YEAR_DAYS = 365
# Two spans of days ahead that are over, and as much history before them.
SPANS = 4
# No customer is corrected by more than this factor.
MAX_FACTOR = 20.0


@dataclass(frozen=True)
class TreeCorrection:
    """Factors by which trees change what is expected of each customer.

    Attributes:
        trials: What decided.
        orders: Factor of expected purchases, float64 (customers,); 1 where trees are not used.
        margin: Factor of expected margins, as well.
    """

    trials: tuple[CorrectionTrial, ...]
    orders: np.ndarray
    margin: np.ndarray

    @property
    def is_used(self) -> bool:
        """Return whether the trees correct anything."""
        return any(trial.passed for trial in self.trials)


def correct_by_trees(
    purchases: Purchases,
    traits: CustomerTraits,
    end: int,
    fitted: FittedPurchases,
    margins: MarginModel | None,
) -> TreeCorrection | None:
    """Return the correction of the customers before the day ``end``; None without a trial.

    ``fitted`` and ``margins`` are the models that are used.
    """
    days = min(YEAR_DAYS, (end - int(purchases.day.min(initial=end))) // SPANS)
    trials = try_trees(purchases, traits, end, days, fitted.name) if days > 0 else ()
    if not trials:
        return None
    histories = summarize_purchases(purchases, end)
    factors = {ORDERS: np.ones(len(histories)), MARGIN: np.ones(len(histories))}
    trees = None
    if any(trial.passed for trial in trials):
        trees = fit_customer_trees(purchases, traits, end, days)
    if trees is not None:
        boosted = trees.predict(purchases, histories, traits, end)
        own = _predict_model(fitted, margins, histories, days)
        for trial, better, modelled in zip(trials, boosted, own, strict=True):
            if trial.passed:
                factors[trial.what] = _find_factors(better, modelled, trial.keeps_total)
    return TreeCorrection(trials, factors[ORDERS], factors[MARGIN])


def try_trees(
    purchases: Purchases, traits: CustomerTraits, end: int, days: int, name: str
) -> tuple[CorrectionTrial, ...]:
    """Return how both compare in the last ``days`` before ``end``, for ORDERS and MARGIN.

    ``name`` is the model of purchases. Empty where trees cannot be fitted.
    """
    origin = end - days
    histories = summarize_purchases(purchases, origin)
    margins, trees = fit_margins(histories), fit_customer_trees(purchases, traits, origin, days)
    if margins is None or trees is None:
        return ()
    fitted = fit_purchases(histories).select(name)
    histories = sample_histories(histories, MAX_TREE_CUSTOMERS)
    came = count_purchases(purchases, histories, origin, end)
    own = _predict_model(fitted, margins, histories, days)
    boosted = trees.predict(purchases, histories, traits, origin)
    parts = zip((ORDERS, MARGIN), came, own, boosted, strict=True)
    return tuple(_try_total(what, days, *columns) for what, *columns in parts)


def _predict_model(
    fitted: FittedPurchases, margins: MarginModel | None, histories: PurchaseHistories, days: int
) -> TreeForecast:
    orders = fitted.forecast(histories).predict_orders(days / DAYS_PER_WEEK)
    per_order = margins.predict_margin(histories) if margins else np.zeros(len(histories))
    return TreeForecast(orders, orders * per_order)


def _find_factors(better: np.ndarray, modelled: np.ndarray, keeps_total: bool) -> np.ndarray:
    modelled = np.maximum(modelled, 1e-12)
    factor = np.clip(better / modelled, 1 / MAX_FACTOR, MAX_FACTOR)
    # The limit moves the total too, so that it is set after it.
    total = modelled.sum() if keeps_total else better.sum()
    factors: np.ndarray = factor * total / (factor * modelled).sum()
    return factors


def _try_total(
    what: str, days: int, came: np.ndarray, modelled: np.ndarray, better: np.ndarray
) -> CorrectionTrial:
    """Return the trial of expectations by the model, and by trees, beside what came."""
    errors = [
        abs(np.log(max(e.sum(), 1e-300) / max(came.sum(), 1e-300))) for e in (modelled, better)
    ]
    keeps_total = bool(errors[0] <= errors[1])
    measure = measure_poisson if what == ORDERS else measure_tweedie
    own = measure(came, modelled)
    trees = measure(came, modelled * _find_factors(better, modelled, keeps_total))
    return compare_deviances(what, days, own, trees, keeps_total)


def measure_tweedie(actual: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return the Tweedie deviance of each margin, float64 (customers,)."""
    limited = np.maximum(expected, 1e-9 * max(float(actual.mean()), 1e-300))
    parts = actual ** (2 - POWER) / ((1 - POWER) * (2 - POWER))
    parts -= actual * limited ** (1 - POWER) / (1 - POWER)
    deviance: np.ndarray = 2 * (parts + limited ** (2 - POWER) / (2 - POWER))
    return deviance
