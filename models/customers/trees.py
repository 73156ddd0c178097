"""Boosted trees of what customers buy and bring, taught by as-ofs whose days ahead are over.

The models of purchases know only when a customer bought. Trees also see what else is known of it,
how its purchases changed lately, and whether customers in general bought more of late than the
models expect. Purchases are a Poisson mean; margins have two parts, the chance of any and what
those who bring any bring.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from models.customers.margins import MarginModel, fit_margins
from models.learners.fit_input import FitInput
from models.learners.lightgbm import LightGbm
from models.purchases.histories import (
    DAYS_PER_WEEK,
    MAX_CHECKED,
    PurchaseHistories,
    Purchases,
    count_purchases,
    sample_histories,
    summarize_purchases,
)
from models.purchases.purchase_model import FittedPurchases, fit_purchases

# Past as-ofs that trees learn from; between them lies a quarter of the days ahead.
ORIGINS = 4
# Customers of a past as-of that are learned from or compared.
MAX_TREE_CUSTOMERS = 50_000
# Rows with a margin below which trees are not tried.
MIN_BUYERS = 500
TRAILING_DAYS = (30, 90, 180, 365)
POWER = 1.5
PARAMETERS = {
    "num_iterations": 150,
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 50,
    "feature_fraction": 0.8,
}
POISSON = {**PARAMETERS, "objective": "poisson"}
SKEWED = {**PARAMETERS, "objective": "tweedie", "tweedie_variance_power": POWER}


class CustomerTraits(NamedTuple):
    """Attributes of customers.

    Attributes:
        values: float64 (all customers by number, traits), NaN where missing.
        categorical: Places of the traits that are codes of categories.
    """

    values: np.ndarray
    categorical: list[int]


class TreeForecast(NamedTuple):
    """Expected purchases and margins in the days ahead, float64 (customers,)."""

    orders: np.ndarray
    margins: np.ndarray


class TreeBasis(NamedTuple):
    """Models of purchases and margins whose expectation is among the columns of trees.

    Attributes:
        days: Days ahead.
        fitted: The models of purchases.
        margins: The model of margins; None where nothing brought any.
    """

    days: int
    fitted: FittedPurchases
    margins: MarginModel | None


@dataclass(frozen=True)
class CustomerTrees:
    """Fitted trees.

    Attributes:
        days: Days ahead.
        basis: The models whose expectation the trees see; the same in training and afterwards, so
            that it means the same.
        orders: Trees of the number of purchases, as logarithms.
        buys: Trees of the chance of a margin above zero, as log-odds.
        brings: Trees of the margin where it is above zero, as logarithms by ``unit``.
        unit: Mean margin of the rows that brought any.
    """

    days: int
    basis: TreeBasis
    orders: LightGbm
    buys: LightGbm
    brings: LightGbm
    unit: float

    def predict(
        self,
        purchases: Purchases,
        histories: PurchaseHistories,
        traits: CustomerTraits,
        origin: int,
    ) -> TreeForecast:
        """Return what customers are expected to do in the days ahead of the day ``origin``."""
        x = build_tree_rows(purchases, histories, traits, self.basis, origin)
        margins = expit(self.buys.margin(x)) * np.exp(self.brings.margin(x)) * self.unit
        return TreeForecast(np.exp(self.orders.margin(x)), margins)


def fit_customer_trees(
    purchases: Purchases, traits: CustomerTraits, end: int, days: int
) -> CustomerTrees | None:
    """Return trees of ``days`` ahead, taught by purchases before ``end``; None for few buyers."""
    origins = [end - days - place * days // ORIGINS for place in range(ORIGINS)]
    # No row is older than these models, so that none sees its own days ahead in them.
    earlier = sample_histories(summarize_purchases(purchases, origins[-1]), MAX_CHECKED)
    basis = TreeBasis(days, fit_purchases(earlier), fit_margins(earlier))
    parts = [_collect_origin(purchases, traits, basis, origin) for origin in origins]
    x, orders, margin = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    buys = margin > 0
    if buys.sum() < MIN_BUYERS or buys.all():
        return None
    codes = [x.shape[1] - traits.values.shape[1] + place for place in traits.categorical]
    # A customer is in the rows of several as-ofs.
    fit_input = FitInput(x, codes, 0, rows_per_cluster=float(ORIGINS))
    unit = float(margin[buys].mean())
    payers = fit_input.take(np.flatnonzero(buys))
    return CustomerTrees(
        days,
        basis,
        LightGbm.fit_trees(fit_input, orders, POISSON),
        LightGbm.fit_trees(fit_input, buys.astype(float), PARAMETERS),
        LightGbm.fit_trees(payers, margin[buys] / unit, SKEWED),
        unit,
    )


def _collect_origin(
    purchases: Purchases, traits: CustomerTraits, basis: TreeBasis, origin: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows of a past as-of, and the purchases and margins of the days ahead."""
    histories = sample_histories(summarize_purchases(purchases, origin), MAX_TREE_CUSTOMERS)
    orders, margin = count_purchases(purchases, histories, origin, origin + basis.days)
    return build_tree_rows(purchases, histories, traits, basis, origin), orders, margin


def build_tree_rows(
    purchases: Purchases,
    histories: PurchaseHistories,
    traits: CustomerTraits,
    basis: TreeBasis,
    origin: int,
) -> np.ndarray:
    """Return what trees see of customers as of the day ``origin``, float64 (customers, columns).

    Only earlier purchases are read. Traits come last.
    """
    expected = basis.fitted.forecast(histories).predict_orders(basis.days / DAYS_PER_WEEK)
    margins = basis.margins
    per_order = margins.predict_margin(histories) if margins else np.ones(len(histories))
    columns = [
        expected,
        per_order,
        expected * per_order,
        histories.repeats,
        histories.age,
        histories.age - histories.last,
        histories.mean_margin,
    ]
    for trailing in TRAILING_DAYS:
        columns += count_purchases(purchases, histories, origin - trailing, origin)
    return np.column_stack([*columns, traits.values[histories.customer]])
