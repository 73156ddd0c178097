"""Models of repeat purchases, fitted and predicted alone or as their mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.customers import bg_nbd, pareto_nbd
from models.customers.bg_nbd import BgNbd
from models.customers.histories import PurchaseHistories
from models.customers.parameters import FittedLogs, fit_logs
from models.customers.pareto_nbd import ParetoNbd

PurchaseModel = BgNbd | ParetoNbd
# Distinct histories that parameters are fitted on. With four parameters, a sample of this size
# leaves standard errors of about one hundredth, far below the error of any forecast.
MAX_FITTED = 20_000
STARTS = {"bg_nbd": bg_nbd.STARTS, "pareto_nbd": pareto_nbd.STARTS}
CLASSES: dict[str, type[BgNbd] | type[ParetoNbd]] = {"bg_nbd": BgNbd, "pareto_nbd": ParetoNbd}
MEAN = "mean"


@dataclass(frozen=True)
class PurchaseForecast:
    """Predictions of each customer over the weeks ahead, each float64 (customers,).

    Attributes:
        alive: Probability that it has not left.
        any_purchase: Probability of a purchase.
        purchases: Expected number of purchases.
    """

    alive: np.ndarray
    any_purchase: np.ndarray
    purchases: np.ndarray


@dataclass(frozen=True)
class FittedPurchases:
    """Models with their parameters; predictions are the mean of theirs.

    Attributes:
        name: Name of the model, or MEAN.
        fits: Fitted parameters by the name of the model.
    """

    name: str
    fits: dict[str, FittedLogs]

    @property
    def models(self) -> dict[str, PurchaseModel]:
        """Return the models with the fitted parameters."""
        return {name: CLASSES[name].from_logs(fit.logs) for name, fit in self.fits.items()}

    def select(self, name: str) -> FittedPurchases:
        """Return one of the models, or all under the name MEAN."""
        if name == MEAN:
            return FittedPurchases(MEAN, self.fits)
        return FittedPurchases(name, {name: self.fits[name]})

    def predict(self, histories: PurchaseHistories, weeks: float) -> PurchaseForecast:
        """Return what each customer does in the next weeks."""
        return average_forecasts(
            [predict_purchases(model, histories, weeks) for model in self.models.values()]
        )

    def predict_orders(self, histories: PurchaseHistories, weeks: float) -> np.ndarray:
        """Return only the expected purchases of each customer in the next weeks."""
        parts = [model.predict_purchases(histories, weeks) for model in self.models.values()]
        expected: np.ndarray = np.mean(parts, axis=0)
        return expected


def predict_purchases(
    model: PurchaseModel, histories: PurchaseHistories, weeks: float
) -> PurchaseForecast:
    """Return the predictions of one model."""
    return PurchaseForecast(
        model.predict_alive(histories),
        model.predict_any(histories, weeks),
        model.predict_purchases(histories, weeks),
    )


def average_forecasts(forecasts: Sequence[PurchaseForecast]) -> PurchaseForecast:
    """Return the mean of predictions."""
    return PurchaseForecast(
        *(
            np.mean([getattr(forecast, name) for forecast in forecasts], axis=0)
            for name in PurchaseForecast.__dataclass_fields__
        )
    )


def fit_purchases(histories: PurchaseHistories) -> FittedPurchases:
    """Return all models with the greatest likelihood."""
    rows, weight = _group_histories(histories)
    fits = {}
    for name, starts in STARTS.items():

        def sum_log_likelihood(logs: np.ndarray, name: str = name) -> float:
            return float(CLASSES[name].from_logs(logs).compute_log_likelihood(rows) @ weight)

        fits[name] = fit_logs(sum_log_likelihood, starts)
    return FittedPurchases(MEAN, fits)


def _group_histories(histories: PurchaseHistories) -> tuple[PurchaseHistories, np.ndarray]:
    """Return distinct histories and how many customers have each, at most MAX_FITTED of them."""
    key = np.column_stack([histories.repeats, histories.last, histories.age])
    _, first, count = np.unique(key, axis=0, return_index=True, return_counts=True)
    if len(first) > MAX_FITTED:
        # Every n-th customer: customers are numbered without regard to what they buy.
        step = -(-len(histories) // MAX_FITTED)
        first = np.arange(0, len(histories), step)
        count = np.full(len(first), len(histories) / len(first))
    return histories.select(first), count.astype(float)
