"""What models of customers who may have left have in common: the likelihood of both cases."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import astuple
from typing import Any, NamedTuple, Self

import numpy as np

from models.purchases.histories import PurchaseHistories


class SplitLikelihood(NamedTuple):
    """Log likelihoods of histories together with being alive, and with having left.

    Attributes:
        alive: That with being alive, float64 (customers,).
        left: That with having left, as well; -inf where that is impossible.
        alive_slopes: Derivatives of ``alive`` by the parameters, float64 (parameters, customers);
            None if they were not asked for.
        left_slopes: Derivatives of ``left``, as well; any finite number where it is -inf.
    """

    alive: np.ndarray
    left: np.ndarray
    alive_slopes: np.ndarray | None = None
    left_slopes: np.ndarray | None = None


class LeavingModel(ABC):
    """A model of purchases whose parameters are above zero; times are in weeks."""

    @classmethod
    def from_logs(cls, logs: np.ndarray) -> Self:
        """Return the model whose parameters have these logarithms, in the order of its fields."""
        return cls(*(float(value) for value in np.exp(logs)))

    @abstractmethod
    def split_log_likelihood(
        self, histories: PurchaseHistories, with_slopes: bool = False
    ) -> SplitLikelihood:
        """Return the log likelihoods, with their derivatives by the parameters if asked for."""

    def compute_log_likelihood(self, histories: PurchaseHistories) -> np.ndarray:
        """Return the log likelihood of each history, float64 (customers,)."""
        split = self.split_log_likelihood(histories)
        return np.logaddexp(split.alive, split.left)

    def differentiate_log_likelihood(
        self, histories: PurchaseHistories
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the log likelihood of each history, and its slopes, (parameters, customers).

        The slopes are derivatives by the logarithms of the parameters.
        """
        alive, left, alive_slopes, left_slopes = self.split_log_likelihood(histories, True)
        likelihood = np.logaddexp(alive, left)
        share = np.exp(alive - likelihood)
        parameters: Any = astuple(self)  # type: ignore[call-overload]
        slopes = share * alive_slopes + (1 - share) * left_slopes
        return likelihood, np.array(parameters)[:, None] * slopes

    def predict_alive(self, histories: PurchaseHistories) -> np.ndarray:
        """Return the probability that each customer has not left, float64 (customers,)."""
        split = self.split_log_likelihood(histories)
        alive_share: np.ndarray = np.exp(split.alive - np.logaddexp(split.alive, split.left))
        return alive_share
