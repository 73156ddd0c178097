"""Several models made one: a weighted mean of their log-odds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from models.calibration import EXTREME, log_loss, probability
from models.learners.hazard import Hazard
from models.learners.lightgbm import LightGbm
from models.learners.logistic import Logistic
from models.serialization import JsonModel

LEAST = 0.02
"""A smaller share is not worth a model's time at night."""

Part = LightGbm | Logistic | Hazard
PARTS: dict[str, type[Part]] = {part.name: part for part in (LightGbm, Logistic, Hazard)}


@dataclass(frozen=True)
class Blend(JsonModel):
    """A weighted mean of the log-odds of models of several kinds, as JSON that holds them all.

    Beyond the values that they learnt from trees stay level and a line goes on; inside, trees bend where a line cannot.
    The logarithmic opinion pool: Genest & Zidek, "Combining probability distributions", Statistical Science 1 (1986).
    """

    parts: tuple[Part, ...]
    shares: tuple[float, ...]
    name: ClassVar[str] = "blend"
    file: ClassVar[str] = "blend.json"

    def margin(self, x: np.ndarray) -> np.ndarray:
        """Return the mean log-odds of each row, added up from the first part to the last."""
        return weighted([part.margin(x) for part in self.parts], self.shares)

    def contributions(self, x: np.ndarray) -> np.ndarray:
        """Return the mean of the parts' contributions, each exact for its part, bias last."""
        return weighted((part.contributions(x) for part in self.parts), self.shares)

    def to_json(self) -> list[dict[str, Any]]:
        """Return the parts with their shares."""
        pairs = zip(self.parts, self.shares, strict=True)
        return [
            {"learner": part.name, "share": share, "model": part.to_json()} for part, share in pairs
        ]

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Build the blend that ``to_json`` described."""
        parts = tuple(PARTS[part["learner"]].from_json(part["model"]) for part in data)
        if not parts:
            raise ValueError("a blend of no parts")
        return cls(parts, tuple(float(part["share"]) for part in data))


def weighted(values: Iterable[np.ndarray], shares: Sequence[float]) -> np.ndarray:
    """Return the sum of ``values``, each times its share, from left to right; only one of them is held at a time."""
    pairs = zip(values, shares, strict=True)
    value, share = next(pairs)
    total: np.ndarray = share * value
    for value, share in pairs:
        total += share * value
    return total


def shares(margins: Sequence[np.ndarray], label: np.ndarray) -> tuple[float, ...]:
    """Return the shares, none negative and 1 in sum, whose weighted mean of log-odds has the lowest log loss.

    ``margins`` are those of several models for the same rows, which none of them learnt from, ``label`` 0 or 1. The
    problem is convex. Held to sum to 1, so that no model is trusted beyond what it says (Breiman, "Stacked
    regressions", Machine Learning 24, 1996). Shares below LEAST are given to the others.
    """
    from scipy.optimize import minimize

    held = np.clip(np.column_stack(margins), -EXTREME, EXTREME)

    def cost(share: np.ndarray) -> tuple[float, np.ndarray]:
        margin = held @ share
        pull = probability(margin) - label
        return float(np.mean(log_loss(margin, label))), held.T @ pull / len(label)

    models = held.shape[1]
    whole: dict[str, Any] = {
        "type": "eq",
        "fun": lambda share: share.sum() - 1.0,
        "jac": lambda share: np.ones(models),
    }
    start, inside = np.full(models, 1.0 / models), [(0.0, 1.0)] * models
    found = minimize(
        cost,
        start,
        jac=True,
        method="SLSQP",
        bounds=inside,
        constraints=whole,
        options={"ftol": 1e-12},
    )
    share = np.where(found.x < LEAST, 0.0, found.x)
    return tuple((share / share.sum()).tolist())
