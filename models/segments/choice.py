"""Choice of the model of each segment, by a paired bootstrap on out-of-time rows.

A segment keeps the global model, which has the segment as a feature, unless another is better
beyond noise. Many segments are many chances to be better by luck, so intervals are widened for the
number of comparisons (Bonferroni): the chance that any segment leaves the global model although
none should is at most 5 %.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from models.calibration import Z90, compute_log_loss, to_probability
from models.evaluation.metrics import Estimate, paired_log_loss_gain
from models.evaluation.segment_kinds import SegmentModel, SegmentReason

GLOBAL: SegmentModel = "global"
RECALIBRATED: SegmentModel = "recalibrated"
OWN: SegmentModel = "own"
# The simpler first: a later one has to be better than it beyond noise.
ALTERNATIVES: tuple[SegmentModel, ...] = (RECALIBRATED, OWN)
# One-sided: the share of all choices among which any segment leaves the global model by luck.
ERROR_RATE = 0.05
# The 5 % quantile of 1,000 draws is known to about a tenth of a standard error.
REPLICATES = 1_000
# Below 30, a mean gain says little of a window; the gate leaves out such folds, too.
MIN_WINDOW_OUTCOMES = 30
NOT_COMPARED = Estimate(np.nan, np.nan, np.nan, 0)


@dataclass(frozen=True)
class SegmentEvidence:
    """Out-of-time rows of one segment that may decide, as arrays of one element a row.

    Attributes:
        label: 0 or 1.
        cluster: Key of the rows that depend on each other.
        window: Number of the test window of each row.
        margins: Calibrated log-odds of GLOBAL and of each alternative, none of them fitted or
            calibrated on the row; NaN on rows of windows for which there was no such model.
    """

    label: np.ndarray
    cluster: np.ndarray
    window: np.ndarray
    margins: Mapping[SegmentModel, np.ndarray]


@dataclass(frozen=True)
class SegmentDecision:
    """The model of one segment.

    Attributes:
        model: The chosen model.
        reason: Why: ``better``, ``not_better``, ``unstable`` (a loss in some window), or
            ``too_few`` outcomes to compare.
        alternative: The alternative that ``gain`` is of; None where none was compared.
        gain: Log loss of the global model minus that of the alternative, in nats a row, with the
            interval that decided; NaN where none was compared.
    """

    model: SegmentModel
    reason: SegmentReason
    alternative: SegmentModel | None = None
    gain: Estimate = NOT_COMPARED


def choose_segment_models(
    evidence: Mapping[str, SegmentEvidence], min_outcomes: int, seed: int
) -> dict[str, SegmentDecision]:
    """Return the decision of each segment, by its name.

    An alternative is compared if it predicted at least ``min_outcomes`` rows with the outcome and
    as many without. It is better if the interval of its gain lies above 0, and so does its mean
    gain in each window. The own model replaces a better recalibration only if it is better than
    that, too.
    """
    compared = {name: _list_comparable(part, min_outcomes) for name, part in evidence.items()}
    stretch = _widen_for_comparisons(sum(map(len, compared.values())))
    return {
        name: _choose_model(part, compared[name], stretch, seed) for name, part in evidence.items()
    }


def _list_comparable(part: SegmentEvidence, min_outcomes: int) -> list[SegmentModel]:
    return [
        model
        for model in ALTERNATIVES
        if model in part.margins
        and count_rarer_outcomes(part.label[np.isfinite(part.margins[model])]) >= min_outcomes
    ]


def count_rarer_outcomes(label: np.ndarray) -> int:
    """Return the number of rows of the rarer kind: with the outcome, or without it."""
    positive = int(np.sum(label == 1))
    return min(positive, len(label) - positive)


def _widen_for_comparisons(comparisons: int) -> float:
    """Return the factor from the ends of a 90 % interval to those for so many comparisons."""
    return -float(ndtri(ERROR_RATE / max(1, comparisons))) / Z90


def _choose_model(
    part: SegmentEvidence, compared: list[SegmentModel], stretch: float, seed: int
) -> SegmentDecision:
    if not compared:
        return SegmentDecision(GLOBAL, "too_few")
    gains = {
        model: compare_models(part, model, GLOBAL, seed).widen_interval(stretch)
        for model in compared
    }
    better = [
        model for model in compared if gains[model].low > 0 and _gains_in_each_window(part, model)
    ]
    if not better:
        closest = max(compared, key=lambda model: gains[model].low)
        reason: SegmentReason = "unstable" if gains[closest].low > 0 else "not_better"
        return SegmentDecision(GLOBAL, reason, closest, gains[closest])
    chosen = better[0]
    for model in better[1:]:
        if compare_models(part, model, chosen, seed).widen_interval(stretch).low > 0:
            chosen = model
    return SegmentDecision(chosen, "better", chosen, gains[chosen])


def _gains_in_each_window(part: SegmentEvidence, model: SegmentModel) -> bool:
    """Return whether the model beats the global one in every window with enough outcomes.

    The bootstrap draws accounts within the windows as they were. Where the market drifts, a gain of
    an early window may be the loss of the next.
    """
    rows = np.isfinite(part.margins[model])
    label, window = part.label[rows], part.window[rows]
    loss = {name: compute_log_loss(part.margins[name][rows], label) for name in (model, GLOBAL)}
    gain = loss[GLOBAL] - loss[model]
    return all(
        gain[window == number].mean() > 0
        for number in np.unique(window)
        if count_rarer_outcomes(label[window == number]) >= MIN_WINDOW_OUTCOMES
    )


def compare_models(
    part: SegmentEvidence, model: SegmentModel, other: SegmentModel, seed: int
) -> Estimate:
    """Return the log loss of ``other`` minus that of ``model``, on the rows that both predicted."""
    rows = np.isfinite(part.margins[model]) & np.isfinite(part.margins[other])
    better, worse = (to_probability(part.margins[name][rows]) for name in (model, other))
    return paired_log_loss_gain(
        part.label[rows], better, worse, part.cluster[rows], seed, REPLICATES
    )
