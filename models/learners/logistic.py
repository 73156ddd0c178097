"""Logistic regression: a linear baseline next to the trees, and a part of the blend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from models.encoding import sample_evenly
from models.learners.fit_input import FitInput
from models.regression.logistic_prior import (
    STRENGTH_VARIANCE,
    choose_prior_variance,
    get_default_effects,
)
from models.regression.ridge import RidgeProblem
from models.serialization import JsonModel
from models.stored_json import StoredLogistic, check_stored

# Most frequent categories that get a column each; all others share none.
MAX_CATEGORY_LEVELS = 30
# With more rows a few hundred weights become no more certain.
MAX_FIT_ROWS = 200_000


@dataclass(frozen=True)
class LogisticTerm:
    """Contribution of one feature to the log-odds, 0 on average over the training rows.

    A number v has two design columns: ``signed_log((v - center) / scale)``, 0 where missing, and
    whether it is missing. A category has one column for each frequent code, and whether it is
    missing.

    Attributes:
        category: Whether the feature is a category.
        center: Median of a number.
        scale: Mean absolute deviation of a number from its median; 1 if that is 0.
        weights: Weight of each design column.
        offset: Mean contribution over the training rows, subtracted from each contribution.
    """

    category: bool
    center: float
    scale: float
    weights: tuple[float, ...]
    offset: float = 0.0

    @classmethod
    def initialize(cls, column: np.ndarray, category: bool) -> Self:
        """Choose the design columns of a feature; the weights are 0."""
        present = column[~np.isnan(column)]
        if category:
            levels = int(min(present.max(initial=-1) + 1, MAX_CATEGORY_LEVELS))
            return cls(True, 0.0, 1.0, (0.0,) * (levels + 1))
        center = float(np.median(present)) if present.size else 0.0
        scale = float(np.abs(present - center).mean()) if present.size else 0.0
        return cls(False, center, scale or 1.0, (0.0, 0.0))

    def design_columns(self, column: np.ndarray) -> np.ndarray:
        """Return (rows, weights) float32: the part of the design matrix of this feature."""
        missing = np.isnan(column)
        if not self.category:
            return np.column_stack([self._signed_log(column), missing]).astype(np.float32)
        codes = np.where(missing, len(self.weights) - 1, column)
        # A category beyond the frequent ones matches no column.
        codes[~missing & (column >= len(self.weights) - 1)] = -1
        return (codes[:, None] == np.arange(len(self.weights))).astype(np.float32)

    def contribution(self, column: np.ndarray) -> np.ndarray:
        """Return the log-odds that each value adds; element by element, so rows are independent."""
        missing = np.isnan(column)
        if not self.category:
            slope, if_missing = self.weights
            values = slope * self._signed_log(column) + np.where(missing, if_missing, 0.0)
            return values - self.offset
        *levels, if_missing = self.weights
        codes = np.where(missing, 0.0, np.minimum(column, len(levels))).astype(np.int64)
        return np.where(missing, if_missing, np.array([*levels, 0.0])[codes]) - self.offset

    def _signed_log(self, column: np.ndarray) -> np.ndarray:
        # Straight near the centre and logarithmic far from it: counts and amounts have heavy tails.
        distance = np.where(np.isnan(column), 0.0, (column - self.center) / self.scale)
        return np.copysign(np.log1p(np.abs(distance)), distance)


@dataclass(frozen=True)
class Logistic(JsonModel):
    """Ridge logistic regression on standardised numbers and one-hot categories.

    Attributes:
        bias: Log-odds where every term contributes 0.
        terms: One term for each feature, in their order.
    """

    bias: float
    terms: tuple[LogisticTerm, ...]
    name: ClassVar[str] = "logistic"
    file: ClassVar[str] = "logistic.json"

    @classmethod
    def fit(cls, fit_input: FitInput, y: np.ndarray) -> Self:
        """Fit by penalised maximum likelihood; the solution is unique, so the seed has no effect.

        Few outcomes leave the weights near the defaults of ``logistic_prior``. At most
        MAX_FIT_ROWS rows are used, spread evenly.
        """
        rows = sample_evenly(len(y), MAX_FIT_ROWS)
        x, y = fit_input.x[rows], y[rows]
        weight = None if fit_input.weight is None else fit_input.weight[rows]
        terms = [
            LogisticTerm.initialize(x[:, j], j in fit_input.categorical) for j in range(x.shape[1])
        ]
        design = np.column_stack([term.design_columns(x[:, j]) for j, term in enumerate(terms)])
        starts = np.cumsum([0, *[len(term.weights) for term in terms]])
        # The first design column of a number is its value; all other columns are 0 or 1.
        numbers = np.array([j for j, term in enumerate(terms) if not term.category], dtype=np.int64)
        spread = _measure_spread(design, starts[numbers])
        effects = np.zeros(design.shape[1])
        effects[starts[numbers]] = get_default_effects(fit_input.names, numbers)
        weight = np.ones(len(y)) if weight is None else weight
        variance = choose_prior_variance(y, weight, fit_input.rows_per_cluster, len(terms))
        intercept, weights = _fit_weights(design, y, weight, effects / spread, spread, variance)
        ends = starts[1:-1]
        parts = np.split(weights, ends)
        means = np.split(design.mean(axis=0, dtype=np.float64), ends)
        offsets = [float(np.sum(w * mean)) for w, mean in zip(parts, means, strict=True)]
        fitted = tuple(
            replace(term, weights=tuple(w.tolist()), offset=offset)
            for term, w, offset in zip(terms, parts, offsets, strict=True)
        )
        return cls(intercept + sum(offsets), fitted)

    def margin(self, x: np.ndarray) -> np.ndarray:
        """Return the log-odds of each row, added up from left to right."""
        total = np.full(len(x), self.bias)
        for j, term in enumerate(self.terms):
            total += term.contribution(x[:, j])
        return total

    def contributions(self, x: np.ndarray) -> np.ndarray:
        """Return each term's contribution, bias last.

        These are the SHAP values of a linear model with independent features.
        """
        columns = [term.contribution(x[:, j]) for j, term in enumerate(self.terms)]
        return np.column_stack([*columns, np.full(len(x), self.bias)])

    def accepts_features(self, is_category: Sequence[bool]) -> bool:
        """Return whether there is one term for each of these features."""
        return [term.category for term in self.terms] == list(is_category)

    def to_json(self) -> dict[str, Any]:
        """Return bias and terms."""
        return {"bias": self.bias, "terms": [asdict(term) for term in self.terms]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return the model that ``to_json`` described."""
        check_stored(StoredLogistic, data)
        terms = [
            LogisticTerm(**{**term, "weights": tuple(term["weights"])}) for term in data["terms"]
        ]
        return cls(float(data["bias"]), tuple(terms))


def _fit_weights(
    design: np.ndarray,
    y: np.ndarray,
    weight: np.ndarray,
    defaults: np.ndarray,
    spread: np.ndarray,
    variance: float,
) -> tuple[float, np.ndarray]:
    """Return intercept and weights of the design columns.

    A weight is ``strength * default + deviation``. The strength, common to all defaults, has prior
    mean 1; a deviation has prior mean 0 and ``variance``, in units of ``spread``. So a few outcomes
    suffice to find that the defaults do not hold in a company.
    """
    common = (design @ defaults).astype(np.float32)
    columns = design.shape[1]
    intercept, fitted = RidgeProblem(
        np.column_stack([design, common]),
        np.append(spread, 1.0),
        y,
        weight,
        np.append(np.zeros(columns), 1.0),
        np.append(np.full(columns, variance), STRENGTH_VARIANCE),
    ).solve()
    return intercept, fitted[:-1] + fitted[-1] * defaults


def _measure_spread(design: np.ndarray, number_columns: np.ndarray) -> np.ndarray:
    """Return the scale of each design column.

    Numbers are scaled to unit spread, so that the prior treats them alike. Indicators stay as they
    are, so that the prior shrinks rare ones.
    """
    spread = np.ones(design.shape[1])
    spread[number_columns] = design[:, number_columns].std(axis=0, dtype=np.float64)
    spread[spread == 0] = 1.0
    return spread
