"""Whether the next state depends on the stage before, or on the stage of the lead alone.

Two tables of chances compete: one by the stage (first order), one by the stage and the one before
(second order). Both are fitted on visits that had been followed for 30 days before a split of the
time, and judged by their log loss on visits that began after it. What follows within 30 days is the
next state, or none: so no visit counts for how soon it ended.
"""

from __future__ import annotations

import numpy as np

from features.tools.instants import US_PER_DAY
from models.funnel.history import FunnelHistory
from models.funnel.result import OrderTest
from models.funnel.win_times import number_spells
from models.survival.bootstrap import REPLICATES, draw_weights, find_interval
from models.survival.stays import BUCKETS, CENSORED

WITHIN_US = 30 * US_PER_DAY
# Share of the visits, the earliest ones, before the split.
FIT_SHARE = 0.7
# From fewer visits on either side of the split nothing is said.
MIN_VISITS = 200
# A smaller part of the log loss changes no decision, even where it is more than chance.
MIN_GAIN = 0.01


def compare_orders(history: FunnelHistory) -> OrderTest | None:
    """Return how well both orders predict later visits, None with too few of them."""
    visits, stages = history.paths.visits, len(history.states.stages)
    stays = history.list_visit_stays(visits.stage)
    none_yet = len(history.states.names)
    following = np.where((stays.exit != CENSORED) & (stays.end <= WITHIN_US), stays.exit, none_yet)
    # Visits that were not observed from their begin on are known because they lasted.
    rows = np.flatnonzero((visits.start + WITHIN_US < history.observed_until) & (stays.begin == 0))
    if not len(rows):
        return None
    start = visits.start[rows]
    split = np.sort(start)[int(FIT_SHARE * len(rows))]
    before, after = rows[start + WITHIN_US < split], rows[start >= split]
    if min(len(before), len(after)) < MIN_VISITS:
        return None
    shape = (stages + 1, stages, none_yet + 1)
    columns = (find_previous_stages(history), visits.stage, following)
    cell = np.ravel_multi_index(columns, shape)
    fitted = np.bincount(cell[before], minlength=np.prod(shape)).reshape(shape)
    bucket = (history.cluster[visits.lead[after]] % np.uint64(BUCKETS)).astype(np.int64)
    size = BUCKETS * np.prod(shape)
    tested = np.bincount(bucket * np.prod(shape) + cell[after], minlength=size)
    return _judge_orders(fitted, tested.reshape(BUCKETS, *shape))


def find_previous_stages(history: FunnelHistory) -> np.ndarray:
    """Return the stage before each visit; for the first of a spell, the number of stages."""
    visits, spell = history.paths.visits, number_spells(history)
    previous = np.full(len(spell), len(history.states.stages), np.int64)
    follows = np.flatnonzero(np.diff(spell, prepend=-1) == 0)
    previous[follows] = visits.stage[follows - 1]
    return previous


def smooth_chances(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the chances of the next state by the stage, and by the stage before as well.

    ``counts`` have the axes previous stage, stage, next state. To both, one visit is added in equal
    parts of all next states. To a pair of stages, as many visits as there are next states are added
    in the parts of the stage, so that a rare pair is predicted by the stage alone.
    """
    kinds = counts.shape[-1]
    single = counts.sum(axis=0)
    size = single.sum(axis=-1, keepdims=True)
    first = (single + 1 / kinds) / (size + 1)
    parts = np.divide(kinds * single, size, out=np.zeros(single.shape), where=size > 0)
    pairs = counts + parts + 1 / kinds
    return first, pairs / pairs.sum(axis=-1, keepdims=True)


def _judge_orders(fitted: np.ndarray, tested: np.ndarray) -> OrderTest:
    """Return the log losses of the counts of tested visits, which have the bucket as first axis."""
    first, second = (-np.log(chances) for chances in smooth_chances(fitted))
    total = tested.sum(axis=0)
    visits = int(total.sum())
    by_one, by_two = (float((total * loss).sum() / visits) for loss in (first, second))
    gain = (tested * (first - second)).reshape(BUCKETS, -1).sum(axis=1)
    size = tested.reshape(BUCKETS, -1).sum(axis=1)
    weights = draw_weights(REPLICATES)
    low, high = find_interval((weights @ gain) / np.maximum(weights @ size, 1))
    difference = by_one - by_two
    is_needed = bool(low > 0 and difference >= MIN_GAIN * by_one)
    return OrderTest(by_one, by_two, difference, float(low), float(high), is_needed, visits)
