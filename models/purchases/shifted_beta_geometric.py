"""Shifted beta-geometric model of contracts: the share that renews, period by period.

A customer does not renew with the same probability at each end of a period; probabilities are beta
distributed with ``alpha`` and ``beta`` among customers. So the share that renews rises with tenure,
because those who leave early go first, without any customer becoming more loyal. Source: Fader and
Hardie, "How to project customer retention", *Journal of Interactive Marketing* 21 (2007).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import betaln

from models.purchases.parameters import FittedLogs, fit_logs

STARTS = (np.log([1.0, 1.0]), np.log([0.5, 4.0]))


@dataclass(frozen=True)
class ShiftedBetaGeometric:
    """Parameters of the model.

    Attributes:
        alpha: First parameter of the probabilities of not renewing.
        beta: Second parameter of them.
    """

    alpha: float
    beta: float

    @classmethod
    def from_logs(cls, logs: np.ndarray) -> ShiftedBetaGeometric:
        """Return the model whose parameters have these logarithms, (2,)."""
        return cls(*(float(value) for value in np.exp(logs)))

    def predict_survival(self, periods: np.ndarray) -> np.ndarray:
        """Return the share of new customers that is left after whole periods."""
        survival: np.ndarray = np.exp(
            betaln(self.alpha, self.beta + periods) - betaln(self.alpha, self.beta)
        )
        return survival

    def predict_renewal(self, tenure: np.ndarray, ahead: np.ndarray) -> np.ndarray:
        """Return the chance that a customer of a tenure is still one ``ahead`` periods later.

        ``tenure`` is the number of periods that were renewed already.
        """
        renewal: np.ndarray = self.predict_survival(tenure + ahead) / self.predict_survival(tenure)
        return renewal


def fit_shifted_beta_geometric(lost: np.ndarray, kept: np.ndarray) -> FittedLogs:
    """Return the parameters with the greatest likelihood.

    ``lost`` is the number of customers that did not renew at the end of period 1, 2, …, and
    ``kept`` the number that had renewed so far when they were last seen, by the same periods; both
    int64 (periods,). So customers who are still there are no losses.
    """
    periods = np.arange(1, len(lost) + 1)

    def compute_log_likelihood(logs: np.ndarray) -> float:
        survival = ShiftedBetaGeometric.from_logs(logs).predict_survival(np.append(0, periods))
        left = np.log(np.maximum(-np.diff(survival), 1e-300))
        stay = np.log(np.maximum(survival[1:], 1e-300))
        return float((lost * left + kept * stay).sum())

    return fit_logs(compute_log_likelihood, STARTS)
