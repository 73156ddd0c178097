"""Mean effects, Qini and values of policies, as weighted means of pseudo-outcomes.

All of them are linear in the pseudo-outcomes once the rows are ranked, so that an interval needs
only their sums by bucket of clusters. Qini is per treated head: the area between the curve of the
outcomes gained by treating the top share of a ranking and the straight line of random order
(Radcliffe, "Using control groups to target on predicted lift", *Direct Marketing Analytics
Journal*, 2007).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from models.evaluation.metrics import Estimate
from models.survival.bootstrap import REPLICATES, draw_weights, find_interval
from models.survival.stays import BUCKETS

# Weight of each row's pseudo-outcome, given the values by which rows are ranked.
RankWeights = Callable[[np.ndarray], np.ndarray]


def weigh_qini(ranked_by: np.ndarray) -> np.ndarray:
    """Return the weight of each pseudo-outcome in the Qini, times the number of rows.

    A row counts by the share of the ranking below it, less one half. Equal values share their mean
    place, so that a constant has a Qini of zero.
    """
    from scipy.stats import rankdata

    return (rankdata(ranked_by) - 0.5) / len(ranked_by) - 0.5


def make_top_weights(share: float) -> RankWeights:
    """Return the function that weighs the top ``share`` of a ranking as its mean.

    Of rows with equal values at the edge all count, with a part of their weight.
    """

    def weigh_top(ranked_by: np.ndarray) -> np.ndarray:
        count = len(ranked_by) * share
        edge = np.sort(ranked_by)[::-1][min(int(np.ceil(count)), len(ranked_by)) - 1]
        above, level = ranked_by > edge, ranked_by == edge
        return np.where(above, 1.0, level * (count - above.sum()) / level.sum()) / share

    return weigh_top


def measure_qini(pseudo: np.ndarray, ranked_by: np.ndarray) -> float:
    """Return the Qini per treated head of a ranking, the highest value first."""
    return float(np.mean(weigh_qini(ranked_by) * pseudo))


def estimate_mean(values: np.ndarray, cluster: np.ndarray) -> Estimate:
    """Return the mean of values with its 90 % interval by a bootstrap of clusters."""
    if not len(values):
        return Estimate(np.nan, np.nan, np.nan, 0)
    bucket = (cluster % np.uint64(BUCKETS)).astype(np.int64)
    weights = draw_weights(REPLICATES)
    sums = weights @ np.bincount(bucket, values, BUCKETS)
    sizes = weights @ np.bincount(bucket, minlength=BUCKETS)
    low, high = find_interval(sums / np.where(sizes > 0, sizes, np.nan))
    return Estimate(float(values.mean()), float(low), float(high), len(values))
