"""Gamma-gamma model of what a purchase brings.

What a customer's purchases bring is gamma distributed with shape ``p`` around the customer's own
mean, and the means are such that ``nu``, the rate, is gamma distributed with ``q`` and ``gamma``.
It is independent of how often the customer buys. Source: Fader and Hardie, "The gamma-gamma model
of monetary value" (2013), after Colombo and Jiang, *Journal of Interactive Marketing* 13 (1999).
All purchases count, the first too, so that customers who bought once differ.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import gammaln

from models.purchases.histories import PurchaseHistories, sample_histories
from models.purchases.parameters import FittedLogs, fit_logs

# The mean of a customer without a purchase exists for q above 1, so the parameter is q - 1.
STARTS = (np.log([3.0, 2.0, 1.0]), np.log([10.0, 1.0, 1.0]))


@dataclass(frozen=True)
class GammaGamma:
    """Parameters of the model, in the unit of the margin.

    Attributes:
        p: Shape of the margins of one customer.
        q: Shape of the rates among customers, above 1.
        gamma: Rate of the rates among customers, in the unit of the margin.
    """

    p: float
    q: float
    gamma: float

    @classmethod
    def from_logs(cls, logs: np.ndarray) -> GammaGamma:
        """Return the model of these logarithms of ``p``, ``q - 1`` and ``gamma``, (3,)."""
        p, excess, gamma = (float(value) for value in np.exp(logs))
        return cls(p, 1 + excess, gamma)

    def compute_log_likelihood(self, histories: PurchaseHistories) -> np.ndarray:
        """Return the log likelihood of each mean; 0 for a customer without a paid purchase."""
        paid = np.maximum(histories.paid, 1)
        mean = np.where(histories.paid > 0, histories.mean_margin, 1.0)
        counts, place = np.unique(paid, return_inverse=True)
        shape = self.p * counts
        common = gammaln(shape + self.q) - gammaln(shape) - gammaln(self.q)
        common += self.q * np.log(self.gamma) + shape * np.log(counts)
        density = common[place] + (self.p * paid - 1) * np.log(mean)
        density -= (self.p * paid + self.q) * np.log(self.gamma + paid * mean)
        return np.where(histories.paid > 0, density, 0.0)

    def predict_margin(self, histories: PurchaseHistories) -> np.ndarray:
        """Return the expected margin of a paid purchase of each customer, float64 (customers,)."""
        total = self.gamma + histories.paid * histories.mean_margin
        expected: np.ndarray = self.p * total / (self.p * histories.paid + self.q - 1)
        return expected


def fit_gamma_gamma(histories: PurchaseHistories) -> FittedLogs:
    """Return the parameters with the greatest likelihood, as ``GammaGamma.from_logs`` reads."""
    rows = sample_histories(histories.select(histories.paid > 0))
    # The unit of the margin must not matter to the steps of the optimizer.
    unit = float(np.median(rows.mean_margin)) if len(rows) else 1.0
    rows = replace(rows, mean_margin=rows.mean_margin / unit)
    fit = fit_logs(
        lambda logs: float(GammaGamma.from_logs(logs).compute_log_likelihood(rows).sum()), STARTS
    )
    log_unit = float(np.log(unit))
    # The likelihood of a mean in the old unit has the density of the new one, divided by the unit.
    likelihood = fit.log_likelihood - len(rows) * log_unit
    return replace(fit, logs=fit.logs + np.array([0, 0, log_unit]), log_likelihood=likelihood)


def estimate_margin_variance(fit: FittedLogs, histories: PurchaseHistories) -> float:
    """Return the variance of the logarithm of the mean expected margin that estimation brings."""
    rows = sample_histories(histories)
    return fit.estimate_log_variance(
        lambda logs: float(np.log(GammaGamma.from_logs(logs).predict_margin(rows).mean()))
    )
