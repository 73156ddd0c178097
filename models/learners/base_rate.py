"""Base rate: the share of outcomes among the training rows, as a baseline for every learner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from models.learners.fit_input import FitInput
from models.serialization import JsonModel
from models.stored_json import StoredBaseRate, check_stored


@dataclass(frozen=True)
class BaseRate(JsonModel):
    """Model that predicts the training share of outcomes for every row.

    Attributes:
        bias: Log-odds of that share.
    """

    bias: float
    name: ClassVar[str] = "base_rate"
    file: ClassVar[str] = "base_rate.json"

    @classmethod
    def fit(cls, fit_input: FitInput, y: np.ndarray) -> Self:
        """Fit the log-odds of the share of outcomes; both classes must occur. Rows weigh alike."""
        return cls(float(np.log(np.sum(y) / np.sum(1 - y))))

    def margin(self, x: np.ndarray) -> np.ndarray:
        """Return the same log-odds for each row."""
        return np.full(len(x), self.bias)

    def contributions(self, x: np.ndarray) -> np.ndarray:
        """Return (rows, features + 1): zeros, and the bias last."""
        return np.column_stack([np.zeros(x.shape), self.margin(x)])

    def accepts_features(self, is_category: Sequence[bool]) -> bool:
        """Return True: no feature is read."""
        return True

    def to_json(self) -> dict[str, float]:
        """Return the bias."""
        return {"bias": self.bias}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Return the model that ``to_json`` described."""
        check_stored(StoredBaseRate, data)
        return cls(float(data["bias"]))
