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

from features.tools.jit import jit_kernel
from features.tools.parallel import parallel_map
from models.survival.incidence import ROUNDING, IncidenceSummary, summarize_incidence
from models.survival.stays import BEGIN, BUCKETS, AgeCounts, Stays

REPLICATES = 200
# A step holds about 0.4 % of what happens in a group.
MAX_STEPS = 250
# Ends of the 90 % interval, as everywhere in the project.
LOW, HIGH = 0.05, 0.95
# Whole numbers up to it are exact as float32; those in float64 never reach its limit.
EXACT_IN_FLOAT32 = 2**24
# Columns of counts by step: the change of the number at risk from the step before, in halves and
# without exits, and then the exits.
CHANGE, EXITS = 0, 1


@dataclass(frozen=True)
class StepCounts:
    """Numbers of stays of one group by bucket, step of age, and what happened.

    Attributes:
        ages: Last age of each step, ascending, int64.
        counts: int32 (buckets, steps, columns).
        size: Stays of each bucket, int64 (buckets,).
    """

    ages: np.ndarray
    counts: np.ndarray
    size: np.ndarray


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


def count_steps(stays: Stays, steps: np.ndarray, kinds: int, group: int = 0) -> StepCounts:
    """Return the counts of the stays of a group, whose ages lie in the steps; shards add up."""
    counts = np.zeros((BUCKETS, len(steps), EXITS + kinds), np.int32)
    ordered = stays.by_age
    if group >= len(ordered.size):
        return StepCounts(steps, counts, np.zeros(BUCKETS, np.int64))
    size = ordered.prompt[group].copy()
    # What is observed from the start is at risk in the whole first step.
    counts[:, :1, CHANGE] = 2 * size[:, None]
    rows = slice(*ordered.first[group : group + 2])
    _add_rows((ordered.age[rows], ordered.code[rows]), steps, counts, size)
    return StepCounts(steps, counts, size)


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
    ordered = stays.by_age

    def summarize(group: int) -> IncidenceSummary:
        if group >= len(ordered.size) or not ordered.size[group]:
            return _make_empty_summary(replicates, kinds, len(ages), len(shares))
        steps = count_steps(stays, choose_steps(counts, group, ages), kinds, group)
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
    used = steps.counts[:, : int(last)]
    drawn = _multiply_exactly(weights, used.reshape(BUCKETS, -1)).reshape(-1, *used.shape[1:])
    rows, kinds = len(drawn), used.shape[2] - EXITS
    within, final = np.zeros((rows, len(ages), kinds)), np.empty((rows, kinds))
    quantile = np.empty((rows, kinds, len(shares)))
    places = np.searchsorted(steps.ages, ages, side="right") - 1
    _summarize_rows(drawn, steps.ages, (places, shares), (within, final, quantile))
    empty = weights @ (steps.size > 0) == 0
    within[empty], final[empty] = np.nan, np.nan
    return IncidenceSummary(within, final, quantile)


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
def _add_rows(rows: Any, steps: np.ndarray, counts: np.ndarray, size: np.ndarray) -> None:
    """Count the begins and ends of stays, which are ordered by age, in their buckets and steps."""
    age, code = rows
    step = 0
    for row in range(len(age)):
        while steps[step] < age[row]:
            step += 1
        kind, bucket = code[row] // BUCKETS + BEGIN, code[row] % BUCKETS
        size[bucket] += kind == BEGIN
        if kind >= 0:
            counts[bucket, step, EXITS + kind] += 1
            continue
        sign = 1 if kind == BEGIN else -1
        if steps[step] == age[row]:
            counts[bucket, step, CHANGE] += 2 * sign
            continue
        # What begins or ends within a step counts by half in it, and fully from the next one on.
        counts[bucket, step, CHANGE] += sign
        if step + 1 < len(steps):
            counts[bucket, step + 1, CHANGE] += sign


def _multiply_exactly(weights: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the product of whole numbers; it is exact, in any order of its sums."""
    # No sum exceeds this one. Half the bits take half the time.
    largest = weights.max(initial=0.0) * np.abs(counts).sum(axis=0).max(initial=0.0)
    kind = np.float64 if largest > EXACT_IN_FLOAT32 else np.float32
    product: np.ndarray = weights.astype(kind) @ counts.astype(kind)
    return product


@jit_kernel
def _summarize_rows(drawn: np.ndarray, ages: np.ndarray, questions: Any, answers: Any) -> None:
    """Fill the summary of each row of counts by step."""
    places, shares = questions
    within, final, quantile = answers
    incidence = np.empty((drawn.shape[1], final.shape[1]))
    for row in range(len(drawn)):
        _fill_incidence(drawn[row], incidence)
        final[row] = incidence[-1]
        for place in range(len(places)):
            if places[place] >= 0:
                within[row, place] = incidence[places[place]]
        for kind in range(final.shape[1]):
            for place in range(len(shares)):
                least = (shares[place] - ROUNDING) * final[row, kind]
                step = np.searchsorted(incidence[:, kind], least)
                quantile[row, kind, place] = ages[step] if final[row, kind] > 0 else np.nan


@jit_kernel
def _fill_incidence(counts: np.ndarray, incidence: np.ndarray) -> None:
    """Fill the share that has left by each exit at the end of each step."""
    staying, halves = 1.0, 0.0
    left = np.zeros(incidence.shape[1])
    for step in range(len(counts)):
        halves += counts[step, CHANGE]
        gone = counts[step, EXITS:].sum()
        if gone > 0:
            share = 1.0 / max(halves / 2, gone)
            for kind in range(len(left)):
                left[kind] += counts[step, EXITS + kind] * (staying * share)
            staying *= 1.0 - gone * share
            halves -= 2 * gone
        incidence[step] = left


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
