"""How well probabilities rank and how true they are, from the weights at each distinct probability.

Every figure is a function of three arrays: the distinct probabilities of each stratum, the weight of the rows
without the outcome and of the rows with it at each. A bootstrap replicate only changes the weights, so that
nothing is sorted twice, and rows with the same probability in the same stratum are told apart by nothing: the
order of the rows changes no bit of the result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from scipy.special import expit, logit

from models.evaluation.grouped import before, dot, ends, onwards, ratio, split

EPSILON = 1e-9
"""Log loss and logits read probabilities as within [EPSILON, 1 - EPSILON]: a failed certainty costs 20.7."""
BINS = 10
MOST_LEVELS = 4096
"""Levels that a replicate is made of at most: beyond, the interval's ends move by less than they are random."""


@dataclass(frozen=True)
class Levels:
    """Rows by stratum and, within, by probability ascending: ``level`` of each row, ``bin`` of each level.

    ``first`` and ``last`` are the first and the last level of each level's stratum.
    """

    probability: np.ndarray
    level: np.ndarray
    label: np.ndarray
    bin: np.ndarray
    first: np.ndarray
    last: np.ndarray

    @classmethod
    def of(cls, label: np.ndarray, probability: np.ndarray, stratum: Any = None) -> Self:
        """Sort rows once. Raises ValueError where there is not one stratum a row."""
        key = np.zeros(len(label)) if stratum is None else np.asarray(stratum)
        if key.shape != label.shape:
            raise ValueError("there must be one stratum a row")
        distinct, at = np.unique(probability, return_inverse=True)
        pair = np.unique(key, return_inverse=True)[1] * len(distinct) + at
        pairs, level = np.unique(pair, return_inverse=True)
        of_level, at_level = np.divmod(pairs, max(1, len(distinct)))
        bins = equal_count_bins(at, len(distinct))
        return cls(distinct[at_level], level, label, bins[at_level], *ends(of_level))

    def coarse(self, most: int = MOST_LEVELS) -> Self:
        """Return about ``most`` levels of equally many rows instead of more, each at its mean probability.

        For the replicates of large samples: neighbours whose probabilities differ in the fourth digit become a tie.
        """
        if len(self.probability) <= most:
            return self
        count = np.bincount(self.level, minlength=len(self.probability))
        group = ((np.cumsum(count) - count / 2) * most // len(self.level)).astype(int)
        begins = np.ones(len(group), bool)
        begins[1:] = (np.diff(group) != 0) | (np.diff(self.first) != 0) | (np.diff(self.bin) != 0)
        merged = np.cumsum(begins) - 1
        mean = np.bincount(merged, count * self.probability) / np.bincount(merged, count)
        return replace(
            self,
            probability=mean,
            level=merged[self.level],
            bin=self.bin[begins],
            first=merged[self.first[begins]],
            last=merged[self.last[begins]],
        )

    def figures(self, weight: np.ndarray, start: np.ndarray) -> dict[str, float]:
        """Return the figures where rows count ``weight`` times; ``start`` is a nearby solution of ``recalibration``."""
        negative, positive = self.weights(weight)
        p, total = self.probability, negative + positive
        mean = _averaging(total)
        predicted, rate = mean(total * p), mean(positive)
        intercept, _, slope = self.recalibration(negative, positive, start)
        clipped = np.clip(p, EPSILON, 1 - EPSILON)
        return {
            "roc_auc": self._roc_auc(negative, positive),
            "average_precision": self._average_precision(negative, positive),
            "log_loss": -mean(positive * np.log(clipped) + negative * np.log1p(-clipped)),
            "brier": mean(positive * (1 - p) ** 2 + negative * p**2),
            "calibration_error": mean(np.abs(np.bincount(self.bin, total * p - positive))),
            "calibration_slope": float(slope),
            "calibration_intercept": float(intercept),
            "mean_predicted": predicted,
            "outcome_rate": rate,
            "predicted_to_observed": predicted / rate if rate else np.nan,
        }

    def weights(self, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the weight of negatives and of positives at each level."""
        return split(self.level, self.label, weight, len(self.probability))

    def recalibration(
        self, negative: np.ndarray, positive: np.ndarray, start: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the coefficients of ``recalibration``; NaN where each stratum has one level."""
        if (self.first == self.last).all():
            return np.full(3, np.nan)
        return recalibration(self.probability, negative, positive, start)

    def _roc_auc(self, negative: np.ndarray, positive: np.ndarray) -> float:
        """Share of a stratum's (positive, negative) pairs in the right order, a tie for half (Mann & Whitney 1947)."""
        lower = before(negative, self.first)
        pairs = dot(positive, (lower + negative)[self.last])
        return float(dot(positive, lower + negative / 2) / pairs) if pairs else np.nan

    def _average_precision(self, negative: np.ndarray, positive: np.ndarray) -> float:
        """Mean precision over the positives, each that of its stratum's rows as probable or more."""
        found, seen = (onwards(weight, self.last) for weight in (positive, negative + positive))
        positives = positive.sum()
        return float(dot(positive, ratio(found, seen)) / positives) if positives else np.nan


def equal_count_bins(level: np.ndarray, levels: int) -> np.ndarray:
    """Return for each level which of the BINS bins of equally many rows its middle row falls into."""
    count = np.bincount(level, minlength=levels)
    return ((np.cumsum(count) - count / 2) * BINS // max(1, len(level))).astype(int)


def recalibration(
    probability: np.ndarray,
    negative: np.ndarray,
    positive: np.ndarray,
    start: np.ndarray | None = None,
) -> np.ndarray:
    """Return (intercept at slope 1, joint intercept, slope) of the outcome on the logit of the probability.

    ``negative`` and ``positive`` are weights at each distinct probability. The slope is 1 for honest
    predictions and below 1 for exaggerated ones; the first intercept is how many logits all are too low on
    average (Cox 1958, Two further applications of a model for binary regression; Van Calster et al. 2019,
    Calibration: the Achilles heel of predictive analytics). NaN where there is no finite solution. ``start`` is
    a solution nearby, the whole sample's for a replicate, which then is solved to 1e-4 logits.
    """
    x = logit(np.clip(probability, EPSILON, 1 - EPSILON))
    last = 1e-5 if start is None else 1e-2
    start = np.zeros(3) if start is None else np.nan_to_num(start)
    shift = _fit_logistic(x, np.ones((1, len(x))), (negative, positive), start[:1], last)
    line = _fit_logistic(
        np.zeros(len(x)), np.stack([np.ones(len(x)), x]), (negative, positive), start[1:], last
    )
    return np.concatenate([shift, line])


def _fit_logistic(
    offset: np.ndarray,
    design: np.ndarray,
    weight: tuple[np.ndarray, np.ndarray],
    start: np.ndarray,
    last: float,
) -> np.ndarray:
    """Fit coefficients (k,) on a design (k, levels) by Newton steps that never overshoot.

    The curvature of the logistic loss changes by at most a factor e for each logit moved (Bach 2010,
    Self-concordant analysis for logistic regression), hence a step that moves no logit by more than r may be
    taken by the share log(1 + r) / r; a short one, already close, is taken whole. A step below ``last`` logits
    is the last, since the next would be about half its square.
    """
    undefined = np.full(len(start), np.nan)
    total, coefficients = weight[0] + weight[1], start
    if not weight[0].sum() or not weight[1].sum():
        return undefined
    for _ in range(100):
        mean = expit(offset + dot(coefficients, design))
        curvature = dot(design * (total * mean * (1 - mean)), design.T)
        if np.linalg.cond(curvature) > 1e14:
            return undefined
        step = np.linalg.solve(curvature, dot(design, weight[1] - total * mean))
        reach = np.abs(dot(step, design)).max()
        if reach < last:
            return coefficients + step
        coefficients = coefficients + (step if reach < 0.5 else step * np.log1p(reach) / reach)
    return undefined


def _averaging(total: np.ndarray) -> Callable[[np.ndarray], float]:
    rows = total.sum()
    return lambda sums: float(sums.sum() / rows) if rows else np.nan
