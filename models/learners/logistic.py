"""Logistic regression: the honest baseline beside the trees, and the straight part of a blend."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from models.encoding import evenly
from models.learners.fit_input import Lesson
from models.serialization import JsonModel

MAX_LEVELS = 30
"""Frequent categories that the logistic regression tells apart; the others count as one."""
INVERSE_PENALTY = 1.0
"""Of the logistic regression: the variance of the normal prior of its weights."""
MOST_ROWS = 200_000
"""Rows that a logistic regression is learnt from."""


@dataclass(frozen=True)
class Term:
    """What one feature of a logistic regression adds to the log-odds, on average 0 where it learnt.

    A number v has the basis ``signed_log((v - center) / scale)``, 0 where missing, and whether it is missing;
    a category one column per frequent code and whether it is missing. ``weights`` belong to these columns.
    """

    category: bool
    center: float
    scale: float
    weights: tuple[float, ...]
    offset: float = 0.0

    @classmethod
    def plan(cls, column: np.ndarray, category: bool) -> Self:
        """Choose the basis for a column; the weights are still 0."""
        known = column[~np.isnan(column)]
        if category:
            levels = int(min(known.max(initial=-1) + 1, MAX_LEVELS))
            return cls(True, 0.0, 1.0, (0.0,) * (levels + 1))
        center = float(np.median(known)) if known.size else 0.0
        scale = float(np.abs(known - center).mean()) if known.size else 0.0
        return cls(False, center, scale or 1.0, (0.0, 0.0))

    def basis(self, column: np.ndarray) -> np.ndarray:
        """Return (rows, weights) float32, the part of the design matrix that belongs to this feature."""
        absent = np.isnan(column)
        if not self.category:
            return np.column_stack([self._curve(column), absent]).astype(np.float32)
        codes = np.where(absent, len(self.weights) - 1, column)
        codes[~absent & (column >= len(self.weights) - 1)] = -1
        return (codes[:, None] == np.arange(len(self.weights))).astype(np.float32)

    def add(self, column: np.ndarray) -> np.ndarray:
        """Return the log-odds that each value adds; element by element, so no row depends on another."""
        absent = np.isnan(column)
        if not self.category:
            slope, missing = self.weights
            return slope * self._curve(column) + np.where(absent, missing, 0.0) - self.offset
        *levels, missing = self.weights
        codes = np.where(absent, 0.0, np.minimum(column, len(levels))).astype(np.int64)
        return np.where(absent, missing, np.array([*levels, 0.0])[codes]) - self.offset

    def _curve(self, column: np.ndarray) -> np.ndarray:
        """Straight near the centre and logarithmic far from it: counts and amounts have heavy tails."""
        distance = np.where(np.isnan(column), 0.0, (column - self.center) / self.scale)
        return np.copysign(np.log1p(np.abs(distance)), distance)


@dataclass(frozen=True)
class Logistic(JsonModel):
    """Ridge logistic regression on standardised numbers and one-hot categories, as JSON."""

    bias: float
    terms: tuple[Term, ...]
    name: ClassVar[str] = "logistic"
    file: ClassVar[str] = "logistic.json"

    @classmethod
    def fit(cls, lesson: Lesson, y: np.ndarray) -> Self:
        """Learn by penalised maximum likelihood; the solution is unique, so the seed plays no part.

        From at most MOST_ROWS rows, spread evenly: a line of a few hundred weights is as sure as it will be by then.
        """
        some = evenly(len(y), MOST_ROWS)
        x, y, weight = (
            lesson.x[some],
            y[some],
            None if lesson.weight is None else lesson.weight[some],
        )
        plans = [Term.plan(x[:, j], j in lesson.categorical) for j in range(x.shape[1])]
        design = np.column_stack([plan.basis(x[:, j]) for j, plan in enumerate(plans)])
        intercept, weights = _ridge(design, y, _number_columns(plans), weight)
        parts = np.split(weights, np.cumsum([len(plan.weights) for plan in plans])[:-1])
        means = np.split(
            design.mean(axis=0, dtype=np.float64), np.cumsum([len(p.weights) for p in plans])[:-1]
        )
        offsets = [float(np.sum(w * m)) for w, m in zip(parts, means, strict=True)]
        terms = [
            replace(plan, weights=tuple(w.tolist()), offset=offset)
            for plan, w, offset in zip(plans, parts, offsets, strict=True)
        ]
        return cls(intercept + sum(offsets), tuple(terms))

    def margin(self, x: np.ndarray) -> np.ndarray:
        """Return the log-odds of each row, added up from left to right."""
        total = np.full(len(x), self.bias)
        for j, term in enumerate(self.terms):
            total += term.add(x[:, j])
        return total

    def contributions(self, x: np.ndarray) -> np.ndarray:
        """Return each term's part: the SHAP values of a linear model with independent features, bias last."""
        added = [term.add(x[:, j]) for j, term in enumerate(self.terms)]
        return np.column_stack([*added, np.full(len(x), self.bias)])

    def to_json(self) -> dict[str, Any]:
        """Return bias and terms."""
        return {"bias": self.bias, "terms": [asdict(term) for term in self.terms]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Build the model that ``to_json`` described."""
        terms = [Term(**{**term, "weights": tuple(term["weights"])}) for term in data["terms"]]
        return cls(float(data["bias"]), tuple(terms))


def _number_columns(plans: list[Term]) -> np.ndarray:
    """Places of the curves of numbers in the design; all other columns are 0 or 1."""
    starts = np.cumsum([0, *[len(plan.weights) for plan in plans]])
    return np.array(
        [s for s, plan in zip(starts, plans, strict=False) if not plan.category], dtype=np.int64
    )


def _ridge(
    design: np.ndarray, y: np.ndarray, numbers: np.ndarray, weight: np.ndarray | None
) -> tuple[float, np.ndarray]:
    """Return intercept and weights of a ridge logistic regression.

    Numbers are brought to unit spread, so that the penalty treats them alike; indicators are left as they
    are, so that it holds rare ones back.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    spread = np.ones(design.shape[1])
    spread[numbers] = design[:, numbers].std(axis=0, dtype=np.float64)
    spread[spread == 0] = 1.0
    # More threads would add up in another order: the last bits would depend on the number of cores.
    with threadpool_limits(1):
        learnt = LogisticRegression(C=INVERSE_PENALTY, max_iter=500)
        learnt.fit(design / spread.astype(np.float32), y, sample_weight=weight)
    return float(learnt.intercept_[0]), learnt.coef_[0].astype(np.float64) / spread
