"""Intervals of incidences by a bootstrap of whole clusters.

Each replicate gives every cluster a weight drawn from a Poisson distribution with mean one, by a
hash of the cluster and the number of the replicate. So a cluster has the same weights in each
shard, in any order of the rows, and next to any others, and weighted counts of shards add up.
Source: Chamandy, Muralidharan, Najmi and Naidu, "Estimating uncertainty for massive data streams"
(Google, 2012).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import poisson

from features.tools.jit import jit_kernel
from features.tools.parallel import parallel_map
from models.survival.incidence import IncidenceSummary, summarize_rows
from models.survival.stays import BEGIN, AgeCounts, Stays

REPLICATES = 200
# Ends of the 90 % interval, as everywhere in the project.
LOW, HIGH = 0.05, 0.95
# A weight above 12 has a probability below 1e-10.
_THRESHOLDS = poisson.cdf(np.arange(13), 1.0)


@dataclass(frozen=True)
class WeightedRows:
    """Stays as rows of age and kind, ordered for replicates that only change their weights.

    Attributes:
        first: First row of each group, and the end of the last.
        age: Age of each row.
        kind: BEGIN, CENSORED or the kind of the exit of each row.
        begin_row: Row of each stay's begin.
        end_row: Row of each stay's end.
        cluster: Cluster of each stay.
    """

    first: np.ndarray
    age: np.ndarray
    kind: np.ndarray
    begin_row: np.ndarray
    end_row: np.ndarray
    cluster: np.ndarray

    def weigh(self, replicate: int) -> np.ndarray:
        """Return the weighted count of each row in a replicate, int64."""
        counts = np.zeros(len(self.age), np.int64)
        _add_weights(self.cluster, self.begin_row, self.end_row, replicate, _THRESHOLDS, counts)
        return counts


def arrange_rows(stays: Stays, groups: int) -> WeightedRows:
    """Return the rows of stays in groups ``0 … groups - 1``; equal begins and ends share a row."""
    observed = stays.select_observed()
    # Stays in the order of their rows, so that a replicate walks memory from front to back.
    observed = observed.take(np.lexsort((observed.exit, observed.end, observed.group)))
    group = np.concatenate([observed.group, observed.group])
    age = np.concatenate([observed.begin, observed.end])
    kind = np.concatenate([np.full(len(observed), BEGIN, np.int64), observed.exit])
    order = np.lexsort((kind, age, group))
    keys = [column[order] for column in (group, age, kind)]
    new = np.ones(len(order), bool)
    new[1:] = np.any([key[1:] != key[:-1] for key in keys], axis=0)
    row = np.empty(len(order), np.int64)
    row[order] = np.cumsum(new) - 1
    begin_row, end_row = row[: len(observed)], row[len(observed) :]
    first = np.searchsorted(keys[0][new], np.arange(groups + 1))
    return WeightedRows(first, keys[1][new], keys[2][new], begin_row, end_row, observed.cluster)


def count_replicate(stays: Stays, replicate: int) -> AgeCounts:
    """Return the weighted counts of stays in a replicate; those of shards add up."""
    groups = int(stays.group.max(initial=-1)) + 1
    rows = arrange_rows(stays, groups)
    counts = rows.weigh(replicate)
    group = np.repeat(np.arange(groups), np.diff(rows.first))
    keep = np.flatnonzero(counts)
    return AgeCounts(group[keep], rows.age[keep], rows.kind[keep], counts[keep])


def summarize_replicates(
    stays: Stays,
    groups: int,
    kinds: int,
    ages: np.ndarray,
    shares: np.ndarray,
    replicates: int = REPLICATES,
) -> IncidenceSummary:
    """Return the summaries of all replicates, with the replicate as the first axis."""
    rows = arrange_rows(stays, groups)

    def summarize(replicate: int) -> IncidenceSummary:
        counts = rows.weigh(replicate)
        return summarize_rows(rows.first, (rows.age, rows.kind, counts), kinds, ages, shares)

    results = list(parallel_map(summarize, range(replicates)))
    return IncidenceSummary(*(np.stack(column) for column in _list_columns(results)))


def find_interval(replicates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the 90 % interval over the first axis; NaN where no replicate has one.

    They are the nearest order statistics, which need no arithmetic between two values.
    """
    ordered = np.sort(replicates, axis=0)
    known = np.count_nonzero(~np.isnan(ordered), axis=0)
    ends = []
    for share, nearest in ((LOW, np.floor), (HIGH, np.ceil)):
        place = np.clip(nearest(share * (known - 1)), 0, None).astype(np.int64)
        ends.append(np.take_along_axis(ordered, place[None], axis=0)[0])
    return ends[0], ends[1]


def widen_at_bounds(
    value: np.ndarray, low: np.ndarray, high: np.ndarray, size: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of intervals of shares, wider where all or none of ``size`` stays left.

    Every replicate repeats a share of zero or one. Its other end is the exact binomial one (Clopper
    and Pearson, *Biometrika* 26, 1934).
    """
    rest = LOW ** (1 / np.maximum(size, 1))
    high = np.where(value <= 0, np.maximum(high, 1 - rest), high)
    low = np.where(value >= 1, np.minimum(low, rest), low)
    return low, high


def _list_columns(results: list[IncidenceSummary]) -> Iterator[list[np.ndarray]]:
    for name in ("within", "final", "quantile"):
        yield [getattr(result, name) for result in results]


@jit_kernel
def _add_weights(
    cluster: Any, begin_row: Any, end_row: Any, replicate: int, thresholds: Any, counts: Any
) -> None:
    """Add the weight of each stay to the rows of its begin and its end."""
    seed = np.uint64(replicate + 1) * np.uint64(0x9E3779B97F4A7C15)
    for stay in range(len(cluster)):
        # The finalizer of SplitMix64 (Steele, Lea and Flood 2014).
        word = cluster[stay] + seed
        word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        word ^= word >> np.uint64(31)
        uniform = (word >> np.uint64(11)) * 2.0**-53
        weight = 0
        while weight < len(thresholds) and uniform >= thresholds[weight]:
            weight += 1
        counts[begin_row[stay]] += weight
        counts[end_row[stay]] += weight
