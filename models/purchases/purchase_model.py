"""Models of repeat purchases, fitted and predicted alone or as their mean."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from models.purchases import bg_nbd, pareto_nbd
from models.purchases.bg_nbd import BgNbd
from models.purchases.histories import MAX_FITTED, PurchaseHistories, sample_histories
from models.purchases.parameters import FittedLogs, fit_slopes
from models.purchases.pareto_nbd import ParetoNbd

PurchaseModel = BgNbd | ParetoNbd
STARTS = {"bg_nbd": bg_nbd.STARTS, "pareto_nbd": pareto_nbd.STARTS}
CLASSES: dict[str, type[BgNbd] | type[ParetoNbd]] = {"bg_nbd": BgNbd, "pareto_nbd": ParetoNbd}
MEAN = "mean"
# Histories that starts are tried on.
FIRST_FITTED = 500
# Histories among which equal ones are looked for.
MAX_GROUPED = 100_000


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

    def forecast(self, histories: PurchaseHistories) -> PurchaseForecast:
        """Return the forecast of customers."""
        return PurchaseForecast(tuple(self.models.values()), histories)

    def estimate_log_errors(self, histories: PurchaseHistories, weeks: float) -> dict[str, float]:
        """Return the standard error of the logarithm of expected purchases, by model."""
        rows = sample_histories(histories)

        def compute_log(logs: np.ndarray, name: str) -> float:
            model = CLASSES[name].from_logs(logs)
            return float(np.log(max(model.predict_purchases(rows, weeks).sum(), 1e-300)))

        return {
            name: math.sqrt(fit.estimate_log_variance(partial(compute_log, name=name)))
            for name, fit in self.fits.items()
        }

    def estimate_log_variance(self, histories: PurchaseHistories, weeks: float) -> float:
        """Return the variance of the logarithm of expected purchases that estimation brings."""
        return combine_errors(self.estimate_log_errors(histories, weeks).values())


def combine_errors(errors: Collection[float]) -> float:
    """Return the variance of the mean of models that have these standard errors.

    Errors of models that are fitted on the same customers go together, so that their mean has
    the mean of their standard errors.
    """
    return (sum(errors) / len(errors)) ** 2


@dataclass(frozen=True)
class PurchaseForecast:
    """What customers do next, by the mean of models.

    Attributes:
        models: The models.
        histories: Histories of the customers.
    """

    models: tuple[PurchaseModel, ...]
    histories: PurchaseHistories

    @cached_property
    def alive_by_model(self) -> list[np.ndarray]:
        """Return the probability that each customer has not left, by model."""
        return [model.predict_alive(self.histories) for model in self.models]

    @property
    def alive(self) -> np.ndarray:
        """Return the probability that each customer has not left, float64 (customers,)."""
        return _average_models(self.alive_by_model)

    def predict_any(self, weeks: float) -> np.ndarray:
        """Return the probability of a purchase in the next weeks, float64 (customers,)."""
        pairs = zip(self.models, self.alive_by_model, strict=True)
        return _average_models([m.predict_any(self.histories, weeks, alive) for m, alive in pairs])

    def predict_orders(self, weeks: float) -> np.ndarray:
        """Return the expected number of purchases in the next weeks, float64 (customers,)."""
        pairs = zip(self.models, self.alive_by_model, strict=True)
        return _average_models(
            [m.predict_purchases(self.histories, weeks, alive) for m, alive in pairs]
        )


def _average_models(parts: list[np.ndarray]) -> np.ndarray:
    mean: np.ndarray = np.mean(parts, axis=0)
    return mean


def fit_purchases(histories: PurchaseHistories) -> FittedPurchases:
    """Return all models with the greatest likelihood."""
    few, all_rows = (_group_histories(histories, size) for size in (FIRST_FITTED, MAX_FITTED))
    fits = {}
    for name, starts in STARTS.items():
        # A few customers find the region from all starts; the others need one start, and few steps.
        near = fit_slopes(partial(_sum_log_likelihood, name, few), starts).logs
        fits[name] = fit_slopes(partial(_sum_log_likelihood, name, all_rows), (near,))
    return FittedPurchases(MEAN, fits)


def _sum_log_likelihood(
    name: str, grouped: tuple[PurchaseHistories, np.ndarray], logs: np.ndarray
) -> tuple[float, np.ndarray]:
    rows, weight = grouped
    likelihood, slopes = CLASSES[name].from_logs(logs).differentiate_log_likelihood(rows)
    return float(likelihood @ weight), slopes @ weight


def _group_histories(
    histories: PurchaseHistories, size: int
) -> tuple[PurchaseHistories, np.ndarray]:
    """Return distinct histories and how many customers have each; a sample where they are many."""
    # To look for equal histories among all takes longer than the fit where they are many.
    tries = (histories, sample_histories(histories, size))
    for rows in tries if len(histories) <= MAX_GROUPED else tries[1:]:
        key = np.column_stack([rows.repeats, rows.last, rows.age])
        _, first, count = np.unique(key, axis=0, return_index=True, return_counts=True)
        if len(first) <= size:
            break
    return rows.select(first), count.astype(float)
