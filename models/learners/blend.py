"""Blend: a weighted mean of the log-odds of several models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from models.calibration import MAX_ABS_LOG_ODDS, compute_log_loss, to_probability
from models.learners.hazard import Hazard
from models.learners.lightgbm import LightGbm
from models.learners.logistic import Logistic
from models.serialization import JsonModel
from models.stored_json import StoredBlend, check_stored

# A smaller share is not worth the time that the model costs at each scoring run.
MIN_SHARE = 0.02

BlendPart = LightGbm | Logistic | Hazard
BLEND_PARTS: dict[str, type[BlendPart]] = {part.name: part for part in (LightGbm, Logistic, Hazard)}


@dataclass(frozen=True)
class Blend(JsonModel):
    """Weighted mean of the log-odds of models of several kinds, stored as one JSON file.

    Beyond the values of the training rows, trees stay level and a linear model goes on; inside,
    trees bend where a linear model cannot. The logarithmic opinion pool: Genest & Zidek,
    "Combining probability distributions", Statistical Science 1 (1986).

    Attributes:
        parts: Fitted models.
        shares: Weight of each part, above 0 and 1 in sum.
    """

    parts: tuple[BlendPart, ...]
    shares: tuple[float, ...]
    name: ClassVar[str] = "blend"
    file: ClassVar[str] = "blend.json"

    def margin(self, x: np.ndarray) -> np.ndarray:
        """Return the mean log-odds of each row, added up from the first part to the last."""
        return compute_weighted_sum([part.margin(x) for part in self.parts], self.shares)

    def contributions(self, x: np.ndarray) -> np.ndarray:
        """Return the mean of the parts' contributions, each exact for its part; bias last."""
        return compute_weighted_sum((part.contributions(x) for part in self.parts), self.shares)

    def accepts_features(self, is_category: Sequence[bool]) -> bool:
        """Return whether each part reads rows of these features."""
        return all(part.accepts_features(is_category) for part in self.parts)

    def to_json(self) -> list[dict[str, Any]]:
        """Return the parts with their shares."""
        pairs = zip(self.parts, self.shares, strict=True)
        return [
            {"learner": part.name, "share": share, "model": part.to_json()} for part, share in pairs
        ]

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Return the blend that ``to_json`` described."""
        check_stored(StoredBlend, {"parts": data})
        parts = tuple(BLEND_PARTS[part["learner"]].from_json(part["model"]) for part in data)
        return cls(parts, tuple(float(part["share"]) for part in data))


def compute_weighted_sum(values: Iterable[np.ndarray], shares: Sequence[float]) -> np.ndarray:
    """Return the sum of ``values``, each times its share; only one of them is in memory at a time.

    Added from left to right, so the last bits do not depend on the number of parts in memory.
    """
    pairs = zip(values, shares, strict=True)
    value, share = next(pairs)
    total: np.ndarray = share * value
    for value, share in pairs:
        total += share * value
    return total


def fit_shares(margins: Sequence[np.ndarray], label: np.ndarray) -> tuple[float, ...]:
    """Return the shares whose weighted mean of log-odds has the lowest log loss.

    ``margins`` are the log-odds (rows,) of several models for the same rows, which none of them
    was fitted on; ``label`` is 0 or 1. Shares are not negative and sum to 1, so that no model is
    trusted beyond its own prediction (Breiman, "Stacked regressions", Machine Learning 24, 1996).
    The problem is convex. Shares below MIN_SHARE are given to the others.
    """
    from scipy.optimize import minimize

    clipped = np.clip(np.column_stack(margins), -MAX_ABS_LOG_ODDS, MAX_ABS_LOG_ODDS)

    def compute_cost(shares: np.ndarray) -> tuple[float, np.ndarray]:
        margin = clipped @ shares
        residual = to_probability(margin) - label
        return float(np.mean(compute_log_loss(margin, label))), clipped.T @ residual / len(label)

    models = clipped.shape[1]
    sum_to_one: dict[str, Any] = {
        "type": "eq",
        "fun": lambda shares: shares.sum() - 1.0,
        "jac": lambda shares: np.ones(models),
    }
    result = minimize(
        compute_cost,
        np.full(models, 1.0 / models),
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * models,
        constraints=sum_to_one,
        options={"ftol": 1e-12},
    )
    shares = np.where(result.x < MIN_SHARE, 0.0, result.x)
    return tuple((shares / shares.sum()).tolist())
