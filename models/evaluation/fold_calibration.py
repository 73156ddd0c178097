"""Calibration of each fold: mean prediction and slope, with intervals for several looks.

Errors of folds can cancel out in the pool: slopes of 0.5 and 2 are 1 together, and no fold's
predictions are right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy.special import ndtri

from models.calibration import Z90, fit_calibrator, to_log_odds, to_probability
from models.clusters import number_clusters
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
            number, _widen_ratio(part[RATIO], stretch), part[SLOPE].widen_interval(stretch)
        )
        for number, part in metrics.items()
    ]


def calibrate_across_folds(out_of_time: pa.Table) -> np.ndarray | None:
    """Return each row's probability with a calibrator fitted on the rows of all other folds.

    Like the scorer's calibrator it comes from out-of-time rows, and from none of its own fold; a
    line of two numbers may come from later folds too, which no reported metric allows. None
    without the columns fold, cutoff and uncalibrated, and for a single fold.
    """
    if not {"fold", "cutoff", "uncalibrated"} <= set(out_of_time.column_names):
        return None
    fold, order, label, raw = (
        np.asarray(out_of_time[name]) for name in ("fold", "cutoff", "label", "uncalibrated")
    )
    if len(np.unique(fold)) < 2:
        return None
    cluster, margin, order = number_clusters(out_of_time), to_log_odds(raw), order.astype(np.int64)
    probability = np.empty(len(fold))
    for number in np.unique(fold):
        own, other = fold == number, fold != number
        line = fit_calibrator(margin[other], label[other], order[other], cluster[other])
        probability[own] = to_probability(line.apply(margin[own]))
    return probability


def _widen_ratio(estimate: Estimate, stretch: float) -> Estimate:
    """Return the estimate of a positive ratio, widened on the logarithmic scale."""
    if not estimate.low > 0:
        return estimate
    value, low, high = (float(np.log(end)) for end in (estimate.value, estimate.low, estimate.high))
    logs = Estimate(value, low, high, estimate.n).widen_interval(stretch)
    return Estimate(estimate.value, float(np.exp(logs.low)), float(np.exp(logs.high)), estimate.n)
