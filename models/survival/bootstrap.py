"""Intervals of incidences by a bootstrap of whole clusters.

A cluster belongs to one of BUCKETS by its hash, and each replicate gives every bucket a weight from
a Poisson distribution with mean one. So a cluster has the same weights in each shard, in any order
of the rows and next to any others, and counts by bucket of shards add up. Buckets are random groups
of clusters: the variance among them is that among clusters, estimated from fewer numbers.

A replicate takes ages in steps, so that its cost does not depend on the number of stays: an exit
counts at the end of its step. What begins or ends being observed within a step counts by half among
those at risk in it. With at most MAX_STEPS different ages there is no difference to the estimate
itself; otherwise shares of replicates are moved by that of the whole sample.

Sources: Chamandy, Muralidharan, Najmi and Naidu, "Estimating uncertainty for massive data streams"
(Google, 2012); for the halves, the actuarial estimate: Cutler and Ederer, *Journal of Chronic
Diseases* 8 (1958).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy.stats import poisson
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from features.engine.lead_index import sort_by_code
from features.tools.jit import jit_kernel
from features.tools.parallel import parallel_map
from models.survival.incidence import ROUNDING, IncidenceSummary, summarize_incidence
from models.survival.stays import BEGIN, AgeCounts, Stays

REPLICATES = 200
# They add an error of 4 % to the length of an interval, 200 replicates themselves one of 5 %.
BUCKETS = 256
# A step holds about 0.4 % of what happens in a group.
MAX_STEPS = 250
# Ends of the 90 % interval, as everywhere in the project.
LOW, HIGH = 0.05, 0.95
# Whole numbers up to it are exact as float32; those in float64 never reach its limit.
EXACT_IN_FLOAT32 = 2**24
# Columns of counts by step: begins and ends of observations at a step's end, and within the step.
# The exits follow.
BEGIN_AT, BEGIN_IN, CENSORED_AT, CENSORED_IN, EXITS = range(5)


@dataclass(frozen=True)
class StepCounts:
    """Numbers of stays of one group by bucket, step of age, and what happened.

    Attributes:
        ages: Last age of each step, ascending, int64.
        counts: int32 (buckets, steps, columns).
    """

    ages: np.ndarray
    counts: np.ndarray


def choose_steps(counts: AgeCounts, group: int, ages: np.ndarray) -> np.ndarray:
    """Return the last age of each step of a group; ``ages`` that it reached are among them."""
    rows = slice(*np.searchsorted(counts.group, [group, group + 1]))
    own = counts.age[rows]
    distinct = own[np.flatnonzero(np.diff(own, prepend=-1))]
    if len(distinct) > MAX_STEPS:
        # By the ends of stays, since most begin at age 0.
        is_end = counts.kind[rows] != BEGIN
        own, total = own[is_end], np.cumsum(counts.count[rows][is_end])
        shares = np.arange(1, MAX_STEPS + 1) * total[-1] // MAX_STEPS
        distinct = own[np.searchsorted(total, shares)]
    return np.unique(np.concatenate([distinct, ages[ages < own.max(initial=-1)]]))


def count_steps(
    stays: Stays, steps: np.ndarray, kinds: int, rows: np.ndarray | None = None
) -> StepCounts:
    """Return the counts of stays of one group, whose ages lie in the steps; shards add up.

    ``rows`` are those of the group, by default all.
    """
    counts = np.zeros((BUCKETS, len(steps), EXITS + kinds), np.int32)
    rows = np.arange(len(stays)) if rows is None else rows
    _add_stays((stays.cluster, stays.begin, stays.end, stays.exit), rows, steps, counts)
    return StepCounts(steps, counts)


def summarize_replicates(
    stays: Stays,
    counts: AgeCounts,
    groups: int,
    kinds: int,
    ages: np.ndarray,
    shares: np.ndarray,
    replicates: int = REPLICATES,
) -> IncidenceSummary:
    """Return the summaries of all replicates, with the replicate as the first axis.

    ``counts`` are those of all stays.
    """
    # The first row is the whole sample.
    weights = np.concatenate([np.ones((1, BUCKETS)), draw_weights(replicates)])
    point = summarize_incidence(counts, groups, kinds, ages, shares)
    observed = stays.select_observed()
    order = sort_by_code(observed.group, groups)
    edges = np.searchsorted(observed.group[order], np.arange(groups + 1))

    def summarize(group: int) -> IncidenceSummary:
        own = order[edges[group] : edges[group + 1]]
        if not len(own):
            return _make_empty_summary(replicates, kinds, len(ages), len(shares))
        steps = count_steps(observed, choose_steps(counts, group, ages), kinds, own)
        drawn = summarize_steps(steps, weights, ages, shares)
        return _move_to_point(drawn, point, group)

    # Threads of the linear algebra would wait for each other within those of the groups.
    with threadpool_limits(1):
        parts = list(parallel_map(summarize, range(groups)))
    return IncidenceSummary(*(np.stack(column, axis=1) for column in _list_columns(parts)))


def summarize_steps(
    steps: StepCounts, weights: np.ndarray, ages: np.ndarray, shares: np.ndarray
) -> IncidenceSummary:
    """Return the summary of one group under each row of ``weights``; the last axis has no group.

    The shapes are (rows, ages, kinds), (rows, kinds) and (rows, kinds, shares). Without ``shares``
    ``final`` is that of the last of ``ages``.
    """
    # Without a share of the final incidence, nothing after the last age is asked for.
    last = len(steps.ages) if len(shares) else np.searchsorted(steps.ages, ages.max(), "right")
    size = (BUCKETS, int(last), steps.counts.shape[2])
    used = steps.counts[:, : size[1]].reshape(BUCKETS, -1)
    counts = _multiply_exactly(weights, used).reshape(-1, *size[1:])
    exits = counts[..., EXITS:]
    gone = exits.sum(axis=-1)
    at_risk = np.maximum(_count_at_risk(counts, gone), gone)
    share = np.divide(1.0, at_risk, out=np.zeros_like(gone), where=gone > 0)
    staying = np.cumprod(1.0 - gone * share, axis=1)
    before = np.concatenate([np.ones_like(staying[:, :1]), staying[:, :-1]], axis=1)
    incidence = np.cumsum(exits * (before * share)[..., None], axis=1)
    final = incidence[:, -1]
    place = np.searchsorted(steps.ages, ages, side="right") - 1
    within = np.where((place >= 0)[:, None], incidence[:, np.maximum(place, 0)], 0.0)
    empty = weights @ steps.counts.any(axis=(1, 2)) == 0
    within[empty], final[empty] = np.nan, np.nan
    return IncidenceSummary(within, final, _find_quantiles(steps.ages, incidence, shares))


def draw_weights(replicates: int) -> np.ndarray:
    """Return the weight of each bucket in each replicate, float64 (replicates, buckets)."""
    return _draw_all_weights(replicates).copy()


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


@cache
def _draw_all_weights(replicates: int) -> np.ndarray:
    """Draw weights by the finalizer of SplitMix64 (Steele, Lea and Flood 2014)."""
    word = np.arange(1, replicates * BUCKETS + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        word = (word ^ (word >> np.uint64(shift))) * np.uint64(factor)
    word ^= word >> np.uint64(31)
    uniform = (word >> np.uint64(11)) * 2.0**-53
    # A weight above 12 has a probability below 1e-10.
    weight = np.searchsorted(poisson.cdf(np.arange(13), 1.0), uniform, side="right")
    return weight.reshape(replicates, BUCKETS).astype(float)


@jit_kernel
def _add_stays(stays: Any, rows: np.ndarray, steps: np.ndarray, counts: np.ndarray) -> None:
    """Count the begin and the end of each stay in its bucket and step."""
    cluster, begin, end, ending = stays
    for stay in rows:
        bucket = cluster[stay] % np.uint64(BUCKETS)
        # What is observed from the start is at risk in the whole first step.
        step, is_at = 0, True
        if begin[stay] > 0:
            step = np.searchsorted(steps, begin[stay])
            is_at = steps[step] == begin[stay]
        counts[bucket, step, BEGIN_AT if is_at else BEGIN_IN] += 1
        step = np.searchsorted(steps, end[stay])
        if ending[stay] >= 0:
            counts[bucket, step, EXITS + ending[stay]] += 1
        else:
            is_at = steps[step] == end[stay]
            counts[bucket, step, CENSORED_AT if is_at else CENSORED_IN] += 1


def _multiply_exactly(weights: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the product of whole numbers; it is exact, in any order of its sums."""
    # No sum exceeds this one. Half the bits take half the time.
    largest = weights.max(initial=0.0) * counts.sum(axis=0).max(initial=0.0)
    if largest > EXACT_IN_FLOAT32:
        return weights @ counts.astype(float)
    return (weights.astype(np.float32) @ counts.astype(np.float32)).astype(float)


def _count_at_risk(counts: np.ndarray, gone: np.ndarray) -> np.ndarray:
    """Return the number at risk in each step, just before its exits."""
    within = (counts[..., BEGIN_IN] - counts[..., CENSORED_IN]) / 2
    change = counts[..., BEGIN_AT] - counts[..., CENSORED_AT] + within
    # The other half of those within a step, and its exits, count from the next step on.
    change[:, 1:] += within[:, :-1] - gone[:, :-1]
    return np.cumsum(change, axis=1)


def _find_quantiles(ages: np.ndarray, incidence: np.ndarray, shares: np.ndarray) -> np.ndarray:
    final = incidence[:, -1]
    quantile = np.full((*final.shape, len(shares)), np.nan)
    for place, share in enumerate(shares):
        reached = incidence >= ((share - ROUNDING) * final)[:, None]
        quantile[..., place] = np.where(final > 0, ages[reached.argmax(axis=1)], np.nan)
    return quantile


def _move_to_point(
    drawn: IncidenceSummary, point: IncidenceSummary, group: int
) -> IncidenceSummary:
    """Return replicates without the first, which is the whole sample, moved by its error."""
    within, final = (
        np.clip(values[1:] + (own[group] - values[0]), 0.0, 1.0)
        for values, own in ((drawn.within, point.within), (drawn.final, point.final))
    )
    return IncidenceSummary(within, final, drawn.quantile[1:])


def _make_empty_summary(replicates: int, kinds: int, ages: int, shares: int) -> IncidenceSummary:
    shapes = ((replicates, ages, kinds), (replicates, kinds), (replicates, kinds, shares))
    return IncidenceSummary(*(np.full(shape, np.nan) for shape in shapes))


def _list_columns(results: list[IncidenceSummary]) -> Iterator[list[np.ndarray]]:
    for name in ("within", "final", "quantile"):
        yield [getattr(result, name) for result in results]
