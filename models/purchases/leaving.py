"""What models of customers who may have left have in common: the likelihood of both cases."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

import numpy as np

from models.purchases.histories import PurchaseHistories


class LeavingModel(ABC):
    """A model of purchases whose parameters are above zero; times are in weeks."""

    @classmethod
    def from_logs(cls, logs: np.ndarray) -> Self:
        """Return the model whose parameters have these logarithms, in the order of its fields."""
        return cls(*(float(value) for value in np.exp(logs)))

    @abstractmethod
    def split_log_likelihood(self, histories: PurchaseHistories) -> tuple[np.ndarray, np.ndarray]:
        """Return the log likelihood together with being alive, and with having left."""

    def compute_log_likelihood(self, histories: PurchaseHistories) -> np.ndarray:
        """Return the log likelihood of each history, float64 (customers,)."""
        alive, left = self.split_log_likelihood(histories)
        return np.logaddexp(alive, left)

    def predict_alive(self, histories: PurchaseHistories) -> np.ndarray:
        """Return the probability that each customer has not left, float64 (customers,)."""
        alive, left = self.split_log_likelihood(histories)
        alive_share: np.ndarray = np.exp(alive - np.logaddexp(alive, left))
        return alive_share
