"""Rankings of randomised rows by models that have not seen them: 5 × 2-fold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from models.evaluation.metrics import Estimate
from models.uplift.effect_estimates import RankWeights, estimate_mean
from models.uplift.effect_models import EffectModel, choose_effect_model
from models.uplift.pseudo_outcomes import (
    ArmModels,
    compute_pseudo_outcomes,
    cross_fit_pseudo_outcomes,
)
from models.uplift.randomised_rows import RandomisedRows

REPEATS = 5


class HalfModels(NamedTuple):
    """Models of a half of the rows: of the outcome by arm, and of the effect."""

    arms: ArmModels
    effect: EffectModel


@dataclass(frozen=True)
class JudgedHalf:
    """Rows of one half, ranked by models of the other half.

    Attributes:
        rows: Their places among all rows, int64.
        pseudo: Pseudo-outcome of each.
        uplift: Predicted effect of each.
        response: Predicted outcome of each, as a score has it: it mixes both arms as they occur.
    """

    rows: np.ndarray
    pseudo: np.ndarray
    uplift: np.ndarray
    response: np.ndarray


@dataclass(frozen=True)
class JudgedRows:
    """Randomised rows as ranked in each repeat.

    Attributes:
        rows: The rows.
        halves: Both halves of each repeat.
        models: Models of the same halves' other half, in the same order.
    """

    rows: RandomisedRows
    halves: tuple[JudgedHalf, ...]
    models: tuple[HalfModels, ...]

    def estimate_by_uplift(self, weigh: RankWeights) -> Estimate:
        """Return the weighted mean of pseudo-outcomes ranked by predicted effect."""
        return self._estimate(weigh(half.uplift) * half.pseudo for half in self.halves)

    def estimate_by_response(self, weigh: RankWeights) -> Estimate:
        """Return the weighted mean of pseudo-outcomes ranked by predicted outcome."""
        return self._estimate(weigh(half.response) * half.pseudo for half in self.halves)

    def estimate_gain(self, weigh: RankWeights) -> Estimate:
        """Return how much more the ranking by effect has than that by outcome."""
        return self._estimate(
            (weigh(half.uplift) - weigh(half.response)) * half.pseudo for half in self.halves
        )

    def estimate_effect(self) -> Estimate:
        """Return the mean effect of all rows."""
        return self._estimate(half.pseudo for half in self.halves)

    def average_rows(self, name: str) -> np.ndarray:
        """Return the mean over repeats of a column of the halves, one element per row."""
        return self._average(getattr(half, name) for half in self.halves)

    def _estimate(self, parts: Iterator[np.ndarray]) -> Estimate:
        return estimate_mean(self._average(parts), self.rows.cluster)

    def _average(self, parts: Iterator[np.ndarray]) -> np.ndarray:
        total = np.zeros(len(self.rows))
        for half, values in zip(self.halves, parts, strict=True):
            total[half.rows] += values
        return total * 2 / len(self.halves)


def judge_rankings(rows: RandomisedRows, repeats: int = REPEATS) -> JudgedRows:
    """Return the rows as ranked by models of the other half, in ``repeats`` random splits.

    Everything that is chosen is chosen within the half that is fitted. Both arms must have rows in
    each half of a half.
    """
    halves, models = list[JudgedHalf](), list[HalfModels]()
    for repeat in range(repeats):
        half = rows.split_halves(repeat)
        for own in (0, 1):
            fitted = fit_half(rows.take(np.flatnonzero(half != own)), repeat)
            models.append(fitted)
            halves.append(_judge_half(rows, np.flatnonzero(half == own), fitted))
    return JudgedRows(rows, tuple(halves), tuple(models))


def fit_half(rows: RandomisedRows, seed: int) -> HalfModels:
    """Return the models of the outcome and of the effect, fitted to rows."""
    inner = rows.split_halves(seed)
    pseudo = cross_fit_pseudo_outcomes(rows, inner, seed)
    name = choose_effect_model(rows, pseudo, inner, seed)
    return HalfModels(ArmModels.fit(rows, seed), EffectModel.fit(rows, pseudo, name, seed))


def _judge_half(rows: RandomisedRows, place: np.ndarray, models: HalfModels) -> JudgedHalf:
    part = rows.take(place)
    without, treated = models.arms.predict(part.x)
    pseudo = compute_pseudo_outcomes(part, without, treated)
    response = part.propensity * treated + (1 - part.propensity) * without
    return JudgedHalf(place, pseudo, models.effect.predict(part.x), response)
