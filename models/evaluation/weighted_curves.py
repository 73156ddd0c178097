"""Ranking and calibration metrics from weights at each distinct probability.

Each metric is a function of three arrays: the distinct probabilities of each stratum, and the
weight of the negative and of the positive rows at each. A bootstrap replicate changes the weights
only, so rows are sorted once. Rows of the same probability and stratum are interchangeable, so the
row order changes no bit of the result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from scipy.special import expit, logit

from models.evaluation.grouped import (
    divide_or_zero,
    dot_without_blas,
    find_group_ends,
    split_by_label,
    sum_before,
    sum_onwards,
)

# Log loss and logits clip probabilities to [EPSILON, 1 - EPSILON]: a wrong certainty costs 20.7
# nats.
EPSILON = 1e-9
BIN_COUNT = 10
# Levels of a replicate: more would move the ends of an interval by less than their own noise.
MAX_LEVELS = 4096


@dataclass(frozen=True)
class ProbabilityLevels:
    """Rows sorted by stratum and, within a stratum, by probability ascending.

    Rows of the same stratum and probability form a level.

    Attributes:
        probability: Probability of each level.
        row_level: Level of each row.
        row_label: Label of each row, 0 or 1.
        level_bin: Calibration bin of each level.
        stratum_first: First level of each level's stratum.
        stratum_last: Last level of each level's stratum.
    """

    probability: np.ndarray
    row_level: np.ndarray
    row_label: np.ndarray
    level_bin: np.ndarray
    stratum_first: np.ndarray
    stratum_last: np.ndarray

    @classmethod
    def from_rows(cls, label: np.ndarray, probability: np.ndarray, stratum: Any = None) -> Self:
        """Sort the rows once.

        Raise ValueError if there is not one stratum a row.
        """
        key = np.zeros(len(label)) if stratum is None else np.asarray(stratum)
        if key.shape != label.shape:
            raise ValueError("there must be one stratum a row")
        distinct, place = np.unique(probability, return_inverse=True)
        pair = np.unique(key, return_inverse=True)[1] * len(distinct) + place
        pairs, level = np.unique(pair, return_inverse=True)
        level_stratum, level_place = np.divmod(pairs, max(1, len(distinct)))
        bins = assign_equal_count_bins(place, len(distinct))
        return cls(
            distinct[level_place],
            level,
            label,
            bins[level_place],
            *find_group_ends(level_stratum),
        )

    def coarsen(self, max_levels: int = MAX_LEVELS) -> Self:
        """Return about ``max_levels`` levels of equally many rows, each at its mean probability.

        Meant for replicates of large samples: neighbors whose probabilities differ in the fourth
        digit become a tie.
        """
        if len(self.probability) <= max_levels:
            return self
        count = np.bincount(self.row_level, minlength=len(self.probability))
        group = ((np.cumsum(count) - count / 2) * max_levels // len(self.row_level)).astype(int)
        begins = np.ones(len(group), bool)
        begins[1:] = (
            (np.diff(group) != 0)
            | (np.diff(self.stratum_first) != 0)
            | (np.diff(self.level_bin) != 0)
        )
        merged = np.cumsum(begins) - 1
        mean = np.bincount(merged, count * self.probability) / np.bincount(merged, count)
        return replace(
            self,
            probability=mean,
            row_level=merged[self.row_level],
            level_bin=self.level_bin[begins],
            stratum_first=merged[self.stratum_first[begins]],
            stratum_last=merged[self.stratum_last[begins]],
        )

    def metrics(self, weight: np.ndarray, start: np.ndarray) -> dict[str, float]:
        """Return the metrics by name, where row i counts ``weight[i]`` times.

        ``start`` is a nearby solution of ``recalibrate``.
        """
        negative, positive = self.level_weights(weight)
        p, total = self.probability, negative + positive
        mean = _make_weighted_mean(total)
        predicted, rate = mean(total * p), mean(positive)
        intercept, _, slope = self.recalibrate(negative, positive, start)
        clipped = np.clip(p, EPSILON, 1 - EPSILON)
        return {
            "roc_auc": self._roc_auc(negative, positive),
            "average_precision": self._average_precision(negative, positive),
            "log_loss": -mean(positive * np.log(clipped) + negative * np.log1p(-clipped)),
            "brier": mean(positive * (1 - p) ** 2 + negative * p**2),
            "calibration_error": mean(np.abs(np.bincount(self.level_bin, total * p - positive))),
            "calibration_slope": float(slope),
            "calibration_intercept": float(intercept),
            "mean_predicted": predicted,
            "outcome_rate": rate,
            "predicted_to_observed": predicted / rate if rate else np.nan,
        }

    def level_weights(self, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the weight of the negative and of the positive rows at each level."""
        return split_by_label(self.row_level, self.row_label, weight, len(self.probability))

    def recalibrate(
        self, negative: np.ndarray, positive: np.ndarray, start: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the coefficients of ``fit_recalibration``.

        They are NaN where each stratum has one level.
        """
        if (self.stratum_first == self.stratum_last).all():
            return np.full(3, np.nan)
        return fit_recalibration(self.probability, negative, positive, start)

    def _roc_auc(self, negative: np.ndarray, positive: np.ndarray) -> float:
        """Return the share of (positive, negative) pairs of a stratum that are in the right order.

        A tie counts half (Mann & Whitney 1947).
        """
        lower = sum_before(negative, self.stratum_first)
        pairs = dot_without_blas(positive, (lower + negative)[self.stratum_last])
        return float(dot_without_blas(positive, lower + negative / 2) / pairs) if pairs else np.nan

    def _average_precision(self, negative: np.ndarray, positive: np.ndarray) -> float:
        """Return the mean precision over the positives.

        Each one's precision is that of the rows of its stratum that are at least as probable.
        """
        hits, rows = (
            sum_onwards(weight, self.stratum_last) for weight in (positive, negative + positive)
        )
        positives = positive.sum()
        return (
            float(dot_without_blas(positive, divide_or_zero(hits, rows)) / positives)
            if positives
            else np.nan
        )


def assign_equal_count_bins(level: np.ndarray, levels: int) -> np.ndarray:
    """Return the bin of each level: that of its middle row, of 10 bins of equally many rows."""
    count = np.bincount(level, minlength=levels)
    return ((np.cumsum(count) - count / 2) * BIN_COUNT // max(1, len(level))).astype(int)


def fit_recalibration(
    probability: np.ndarray,
    negative: np.ndarray,
    positive: np.ndarray,
    start: np.ndarray | None = None,
) -> np.ndarray:
    """Regress the outcome on the logit of the probability.

    Return (intercept at slope 1, joint intercept, slope); NaN where there is no finite solution.
    ``negative`` and ``positive`` are weights at each distinct probability. The slope is 1 for
    honest predictions and below 1 for exaggerated ones. The first intercept is the number of logits
    by which all predictions are too low on average (Cox 1958, Two further applications of a model
    for binary regression; Van Calster et al. 2019, Calibration: the Achilles heel of predictive
    analytics). ``start`` is a nearby solution, e.g. that of the whole sample for a replicate, which
    is then solved to 1e-4 logits.
    """
    x = logit(np.clip(probability, EPSILON, 1 - EPSILON))
    # After a step below 1e-2 logits the next one would be about 1e-4: enough for a replicate.
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
    """Fit coefficients (k,) on a design (k, levels) by damped Newton steps.

    The curvature of the logistic loss changes by at most a factor e for each logit moved (Bach
    2010, Self-concordant analysis for logistic regression). So a step that moves no logit by more
    than r is safe when shortened to the share log(1 + r) / r. A short step, close to the solution,
    is taken in full. A step below ``last`` logits is the final one, since the next would be about
    half its square.
    """
    undefined = np.full(len(start), np.nan)
    total, coefficients = weight[0] + weight[1], start
    if not weight[0].sum() or not weight[1].sum():
        return undefined
    for _ in range(100):
        mean = expit(offset + dot_without_blas(coefficients, design))
        curvature = dot_without_blas(design * (total * mean * (1 - mean)), design.T)
        # Of the 16 digits of a float, such a matrix leaves two: the classes are separated, or there
        # is one probability only, so that no finite solution exists.
        if np.linalg.cond(curvature) > 1e14:
            return undefined
        step = np.linalg.solve(curvature, dot_without_blas(design, weight[1] - total * mean))
        reach = np.abs(dot_without_blas(step, design)).max()
        if reach < last:
            return coefficients + step
        coefficients = coefficients + (step if reach < 0.5 else step * np.log1p(reach) / reach)
    return undefined


def _make_weighted_mean(total: np.ndarray) -> Callable[[np.ndarray], float]:
    rows = total.sum()
    return lambda sums: float(sums.sum() / rows) if rows else np.nan
