"""The funnel: per segment and stage, what became of the visits, and what will of the open ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from features.contracts import INSTANT
from features.paths.visits import OPEN
from features.tools.instants import US_PER_DAY
from models.funnel.cohorts import estimate_cohorts, number_cohorts
from models.funnel.history import (
    SHARES,
    Estimates,
    FunnelHistory,
    Segmentation,
    estimate_groups,
)
from models.funnel.moves import MOVED, StageMoves, mark_moves, summarize_moves
from models.funnel.schemas import FUNNEL
from models.funnel.win_times import WinTimes, estimate_win_times
from models.survival.bootstrap import find_interval, widen_at_bounds

MATURE_DAYS = 30
MEDIAN, P80 = SHARES.index(0.5), SHARES.index(0.8)


@dataclass(frozen=True)
class StageEstimates:
    """Estimates of the visits of each segment and stage.

    Attributes:
        history: The visits.
        group: Group of each visit, int64: the segment's number times the stages, and the stage.
        estimates: Estimates of the groups; the exits are the states.
        cohorts: Number of cohorts that are looked at, the latest ones.
    """

    history: FunnelHistory
    group: np.ndarray
    estimates: Estimates
    cohorts: int

    @property
    def stage(self) -> np.ndarray:
        """Stage of each group, int64."""
        return np.arange(len(self.estimates.size)) % len(self.history.states.stages)

    @cached_property
    def moves(self) -> StageMoves:
        """Return how many visits of each group move on, and how soon."""
        return summarize_moves(self.estimates, self.stage, self.history.states.won)

    @cached_property
    def win_times(self) -> WinTimes:
        """Return how likely and how soon leads of each stage and age are won."""
        return estimate_win_times(self.history)

    @cached_property
    def by_cohort(self) -> Estimates:
        """Return the estimates of the groups by cohort; the exits are those of cohorts."""
        return estimate_cohorts(self.history, self.group, len(self.estimates.size), self.cohorts)


def estimate_stages(history: FunnelHistory, segments: Segmentation) -> StageEstimates:
    """Return the estimates of each segment and stage."""
    visits, stages = history.paths.visits, len(history.states.stages)
    group = segments.codes[visits.lead] * stages + visits.stage
    groups, kinds = len(segments.names) * stages, len(history.states.names)
    estimates = estimate_groups(history.list_visit_stays(group), groups, kinds)
    # Of all leads every cohort, of segments those that are compared.
    every = int(number_cohorts(history).max(initial=-1)) + 1
    cohorts = max(every, 2) if len(segments.names) == 1 else 2
    return StageEstimates(history, group, estimates, cohorts)


def build_funnel_table(
    history: FunnelHistory, segments: Segmentation, staged: StageEstimates
) -> pa.Table:
    """Return FUNNEL: one row per segment and stage with a visit, in their order."""
    stages, group = history.states.stages, staged.group
    groups = len(segments.names) * len(stages)
    p80 = staged.moves.quantile[:, P80]
    counts = _count_ends(history, group, groups) | _count_open(history, group, groups, p80)
    columns = {
        "as_of": pa.array(np.full(groups, history.as_of)).cast(INSTANT),
        "segment_by": pa.repeat(segments.by, groups),
        "segment": pa.array(np.repeat(np.array(segments.names, object), len(stages)), pa.string()),
        "stage": pa.array([stages[place] for place in staged.stage], pa.string()),
        **counts,
        **_estimate_moves(staged),
        "p80_days": p80,
        **_compare_cohorts(staged.by_cohort, groups),
    }
    arrays = [pa.array(columns[name], from_pandas=True) for name in FUNNEL.names]
    table = pa.table(arrays, schema=FUNNEL)
    return table.filter(pa.array(counts["entered"] > 0))


def find_stuck_visits(history: FunnelHistory, group: np.ndarray, p80: np.ndarray) -> np.ndarray:
    """Return a mask of the open visits that have lasted longer than their group's ``p80`` days."""
    visits = history.paths.visits
    age = (history.as_of - visits.start) / US_PER_DAY
    return (visits.exit == OPEN) & (age > p80[group])


def _count_ends(history: FunnelHistory, group: np.ndarray, groups: int) -> dict[str, np.ndarray]:
    """Return the number of visits of each group by how they ended."""
    visits, states = history.paths.visits, history.states
    following = np.arange(OPEN, len(states.names))
    stage = (np.arange(groups) % len(states.stages))[:, None]
    cells = group * len(following) + (visits.exit - OPEN)
    counts = np.bincount(cells, minlength=groups * len(following)).reshape(groups, -1)
    masks = {
        "entered": following >= OPEN,
        "advanced": following == stage + 1,
        "skipped": mark_moves(stage + 1, following, states.won),
        "lost": following > states.won,
        "returned": (following != OPEN) & (following < stage),
        "open": following == OPEN,
    }
    return {name: np.where(mask, counts, 0).sum(axis=1) for name, mask in masks.items()}


def _count_open(
    history: FunnelHistory, group: np.ndarray, groups: int, p80: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the number of visits of each group by age, and the amounts of the open ones."""
    visits = history.paths.visits
    is_open = visits.exit == OPEN
    is_mature = history.as_of - visits.start >= MATURE_DAYS * US_PER_DAY
    is_stuck = find_stuck_visits(history, group, p80)
    masks = {"mature": is_mature, "open_too_young": is_open & ~is_mature, "stuck": is_stuck}
    counts = {name: np.bincount(group[mask], minlength=groups) for name, mask in masks.items()}
    for name, mask in (("value_open", is_open), ("value_stuck", is_stuck)):
        counts[name] = sum_values(history, visits.lead[mask], group[mask], groups)
    return counts


def sum_values(
    history: FunnelHistory, lead: np.ndarray, group: np.ndarray, groups: int
) -> np.ndarray:
    """Return the sum of known amounts of each group, NaN if none can be known."""
    if history.value is None:
        return np.full(groups, np.nan)
    # In the order of the amounts, so that the order of the leads changes no bit of a sum.
    amount = np.nan_to_num(history.value[lead])
    order = np.argsort(amount, kind="stable")
    return np.bincount(group[order], weights=amount[order], minlength=groups)


def _estimate_moves(staged: StageEstimates) -> dict[str, np.ndarray]:
    """Return the columns of the share that moves on."""
    moves = staged.moves
    ends = find_interval(moves.drawn)
    low, high = widen_at_bounds(moves.within, *ends, staged.estimates.size)
    return {
        "advanced_30d": moves.within,
        "advanced_30d_low": low,
        "advanced_30d_high": high,
        "advanced_eventually": moves.final,
        "median_days": moves.quantile[:, MEDIAN],
    }


def _compare_cohorts(cohorts: Estimates, groups: int) -> dict[str, np.ndarray]:
    """Return the change of the share that moves on within 30 days, against the cohort before."""
    point = cohorts.point.within[:, 0, MOVED]
    drawn = cohorts.replicates.within[:, :, 0, MOVED]
    now, before = slice(groups), slice(groups, 2 * groups)
    low, high = find_interval(drawn[:, now] - drawn[:, before])
    # Where a cohort has no visit there is nothing to compare.
    change = point[now] - point[before]
    name = "change_vs_previous_cohort"
    known = ~np.isnan(change)
    return {
        name: change,
        f"{name}_low": np.where(known, low, np.nan),
        f"{name}_high": np.where(known, high, np.nan),
    }
