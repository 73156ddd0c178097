"""Calibration of each fold: mean prediction and slope, with intervals for several looks.

Errors of folds can cancel out in the pool: slopes of 0.5 and 2 are 1 together, and no fold's
predictions are right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from models.calibration import Z90
from models.evaluation.metrics import Estimate, PredictedRows, evaluate_slices

RATIO, SLOPE = "predicted_to_observed", "calibration_slope"


@dataclass(frozen=True)
class MeasuredFold:
    """Calibration of one fold.

    Attributes:
        fold: Number of the fold.
        ratio: Mean predicted to observed rate.
        slope: Calibration slope.
    """

    fold: int
    ratio: Estimate
    slope: Estimate


def measure_folds(
    rows: PredictedRows, min_clusters: int, seed: int, replicates: int
) -> list[MeasuredFold]:
    """Return the calibration of each fold, which is the stratum of ``rows``, by its number.

    Left out are folds with fewer than ``min_clusters`` clusters with the outcome or without it.
    The intervals are those of all folds together: widened, so that in 90 of 100 cases they all
    contain their true value (Bonferroni).
    """
    fold, label = np.asarray(rows.stratum), np.asarray(rows.label)
    cluster = np.asarray(rows.clusters)
    masks = {
        int(number): fold == number
        for number in np.unique(fold)
        if all(
            len(np.unique(cluster[(fold == number) & (label == value)])) >= min_clusters
            for value in (0, 1)
        )
    }
    metrics = evaluate_slices(rows, masks, seed=seed, replicates=replicates) if masks else {}
    stretch = -float(ndtri(0.05 / max(1, len(masks)))) / Z90
    return [
        MeasuredFold(
            number, _widen_ratio(part[RATIO], stretch), _widen_interval(part[SLOPE], stretch)
        )
        for number, part in metrics.items()
    ]


def _widen_interval(estimate: Estimate, stretch: float) -> Estimate:
    """Return the estimate with ends that are ``stretch`` times as far from its value."""
    value = estimate.value
    low, high = (value + (end - value) * stretch for end in (estimate.low, estimate.high))
    return Estimate(value, low, high, estimate.n)


def _widen_ratio(estimate: Estimate, stretch: float) -> Estimate:
    """Return the estimate of a positive ratio, widened on the logarithmic scale."""
    if not estimate.low > 0:
        return estimate
    value, low, high = (float(np.log(end)) for end in (estimate.value, estimate.low, estimate.high))
    logs = _widen_interval(Estimate(value, low, high, estimate.n), stretch)
    return Estimate(estimate.value, float(np.exp(logs.low)), float(np.exp(logs.high)), estimate.n)
