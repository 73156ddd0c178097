"""Models of the effect by row, fitted to pseudo-outcomes (the DR learner).

Kennedy, "Towards optimal doubly robust estimation of heterogeneous causal effects", *Electronic
Journal of Statistics* 17 (2023). The second stage is a ridge regression, small trees, or their
average. Effects are small beside the noise of a pseudo-outcome, so that both are shrunken hard.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from models.learners.lightgbm import LightGbm
from models.learners.logistic import LogisticTerm
from models.uplift.effect_estimates import estimate_mean, weigh_qini
from models.uplift.randomised_rows import RandomisedRows

# A leaf has at least so many rows: the error of its mean effect is then about 4 points.
EFFECT_PARAMETERS = {
    "objective": "regression",
    "num_iterations": 80,
    "learning_rate": 0.03,
    "num_leaves": 4,
    "min_data_in_leaf": 200,
    "feature_fraction": 0.8,
}
# From hardly any shrinkage to a constant, for columns of unit spread and thousands of rows.
PENALTIES = np.logspace(1, 6, 11)
# Columns that hardly vary are scaled as if they varied so much: the few rows in which they differ
# would otherwise have large effects of their own. It is the spread of an indicator of one half.
MIN_SPREAD = 0.5
LINEAR, BOOSTED, AVERAGE = "linear", "boosted", "average"


@dataclass(frozen=True)
class LinearEffect:
    """Ridge regression of the effect on numbers and one-hot categories.

    Attributes:
        terms: Design columns of each feature.
        center: Mean of each design column.
        limits: Least and largest value of each, between which a prediction stays.
        weights: Weight of each design column, in its own unit.
        intercept: Mean effect.
    """

    terms: tuple[LogisticTerm, ...]
    center: np.ndarray
    limits: np.ndarray
    weights: np.ndarray
    intercept: float

    @classmethod
    def fit(cls, x: np.ndarray, categorical: list[int], pseudo: np.ndarray) -> Self:
        """Fit with the penalty of the least leave-one-out error."""
        from sklearn.linear_model import RidgeCV
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        terms = tuple(LogisticTerm.initialize(x[:, j], j in categorical) for j in range(x.shape[1]))
        design = _build_design(terms, x)
        center, spread = design.mean(axis=0), np.maximum(design.std(axis=0), MIN_SPREAD)
        limits = np.stack([design.min(axis=0), design.max(axis=0)])
        # Threads would add up in another order on another number of cores.
        with threadpool_limits(1):
            ridge = RidgeCV(PENALTIES).fit((design - center) / spread, pseudo)
        return cls(terms, center, limits, ridge.coef_ / spread, float(ridge.intercept_))

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the effect of each row."""
        design = np.clip(_build_design(self.terms, x), *self.limits)
        effect: np.ndarray = (design - self.center) @ self.weights
        return effect + self.intercept


@dataclass(frozen=True)
class EffectModel:
    """A model of the effect: the mean of the parts that it has.

    Attributes:
        linear: Ridge regression, if it has one.
        boosted: Trees, if it has them.
    """

    linear: LinearEffect | None = None
    boosted: LightGbm | None = None

    @classmethod
    def fit(cls, rows: RandomisedRows, pseudo: np.ndarray, name: str, seed: int) -> Self:
        """Fit LINEAR, BOOSTED or AVERAGE to the pseudo-outcomes of rows."""
        linear = boosted = None
        if name != BOOSTED:
            linear = LinearEffect.fit(rows.x, rows.categorical, pseudo)
        if name != LINEAR:
            boosted = LightGbm.fit_trees(rows.to_fit_input(seed), pseudo, EFFECT_PARAMETERS)
        return cls(linear, boosted)

    @property
    def name(self) -> str:
        """Return LINEAR, BOOSTED or AVERAGE."""
        if self.linear is None:
            return BOOSTED
        return LINEAR if self.boosted is None else AVERAGE

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the effect of each row, float64 (rows,)."""
        parts = [self.linear.predict(x)] if self.linear else []
        parts += [self.boosted.margin(x)] if self.boosted else []
        mean: np.ndarray = np.mean(parts, axis=0)
        return mean


def choose_effect_model(
    rows: RandomisedRows, pseudo: np.ndarray, half: np.ndarray, seed: int
) -> str:
    """Return AVERAGE, or the part of it that ranks rows better beyond noise.

    Each half is ranked by models of the other half, whose pseudo-outcomes are given.
    """
    scores = {name: np.empty(len(rows)) for name in (AVERAGE, LINEAR, BOOSTED)}
    for own in (0, 1):
        others, place = np.flatnonzero(half != own), np.flatnonzero(half == own)
        model = EffectModel.fit(rows.take(others), pseudo[others], AVERAGE, seed)
        parts = {LINEAR: EffectModel(model.linear), BOOSTED: EffectModel(None, model.boosted)}
        for name, part in {**parts, AVERAGE: model}.items():
            scores[name][place] = weigh_qini(part.predict(rows.x[place])) * pseudo[place]
    for name in (LINEAR, BOOSTED):
        if estimate_mean(scores[name] - scores[AVERAGE], rows.cluster).low > 0:
            return name
    return AVERAGE


def _build_design(terms: tuple[LogisticTerm, ...], x: np.ndarray) -> np.ndarray:
    columns = [term.design_columns(x[:, j]) for j, term in enumerate(terms)]
    return np.column_stack(columns).astype(np.float64)
