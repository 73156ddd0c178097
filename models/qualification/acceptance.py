"""Rates of acceptance: of the leads that were handed over, and of all that might have been.

Sales answers only leads that it was given (selective labels, Lakkaraju et al., "The selective
labels problem", KDD 2017). Those are the best ones, so their rate is not that of the others. A few
leads were drawn at random with a known probability; each of them stands for those that were not.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.calibration import compute_wilson_interval


class AnsweredRate(NamedTuple):
    """A rate with its 90 % interval, and the independent answers that it is as exact as.

    All are NaN without an answer.
    """

    rate: float
    low: float
    high: float
    size: float


NO_RATE = AnsweredRate(np.nan, np.nan, np.nan, np.nan)


def estimate_rate(outcome: np.ndarray, chance: np.ndarray, cluster: np.ndarray) -> AnsweredRate:
    """Return the rate of all leads of which each of these was drawn with ``chance``.

    ``outcome`` is 0 or 1, ``cluster`` numbers leads that depend on each other. With a chance of 1
    each, it is the share of these leads. Hájek's estimator weighs each lead by the inverse of its
    chance (Särndal, Swensson and Wretman, Model Assisted Survey Sampling, 1992, section 5.7). The
    interval is Wilson's, which is never empty, for as many independent answers as have the same
    variance: the smaller one of Kish's effective size and of that of the linearised variance.
    """
    if not len(outcome):
        return NO_RATE
    weight = 1 / chance
    rate = float(np.average(outcome, weights=weight))
    _, own = np.unique(cluster, return_inverse=True)
    total = weight.sum()
    kish = total**2 / np.square(np.bincount(own, weight)).sum()
    variance = np.square(np.bincount(own, weight * (outcome - rate))).sum() / total**2
    size = min(kish, rate * (1 - rate) / variance) if variance > 0 else kish
    low, high = compute_wilson_interval(np.array(rate), np.array(size))
    return AnsweredRate(rate, max(float(low), 0.0), min(float(high), 1.0), float(size))
