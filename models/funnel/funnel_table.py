"""The funnel: per segment and stage, what became of the visits, and what will of the open ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from features.contracts import INSTANT
from features.paths.visits import OPEN
from features.tools.instants import US_PER_DAY
from models.funnel.history import (
    DAYS,
    SHARES,
    Estimates,
    FunnelHistory,
    Segmentation,
    estimate_groups,
)
from models.funnel.schemas import FUNNEL
from models.survival.bootstrap import find_interval, widen_at_bounds

MATURE_DAYS = 30
# Long enough for visits to follow in, and the quarter in which sales teams count.
COHORT_US = 90 * US_PER_DAY
AT_30D, MEDIAN, P80 = DAYS.index(30), SHARES.index(0.5), SHARES.index(0.8)


@dataclass(frozen=True)
class StageEstimates:
    """Estimates of the visits of each segment and stage.

    Attributes:
        group: Group of each visit, int64: the segment's number times the stages, and the stage.
        estimates: Estimates of the groups; the exits are the states.
    """

    group: np.ndarray
    estimates: Estimates


def estimate_stages(history: FunnelHistory, segments: Segmentation) -> StageEstimates:
    """Return the estimates of each segment and stage."""
    visits, stages = history.paths.visits, len(history.states.stages)
    group = segments.codes[visits.lead] * stages + visits.stage
    groups, kinds = len(segments.names) * stages, len(history.states.names)
    return StageEstimates(group, estimate_groups(history.list_visit_stays(group), groups, kinds))


def build_funnel_table(
    history: FunnelHistory, segments: Segmentation, staged: StageEstimates
) -> pa.Table:
    """Return FUNNEL: one row per segment and stage with a visit, in their order."""
    stages, group = history.states.stages, staged.group
    groups = len(segments.names) * len(stages)
    stage = np.tile(np.arange(len(stages)), len(segments.names))
    p80 = _pick_exits(staged.estimates.point.quantile[..., P80], stage + 1)
    counts = _count_ends(history, group, groups) | _count_open(history, group, groups, p80)
    columns = {
        "as_of": pa.array(np.full(groups, history.as_of)).cast(INSTANT),
        "segment_by": pa.repeat(segments.by, groups),
        "segment": pa.array(np.repeat(np.array(segments.names, object), len(stages)), pa.string()),
        "stage": pa.array([stages[place] for place in stage], pa.string()),
        **counts,
        **_estimate_advances(staged.estimates, stage),
        "p80_days": p80,
        **_compare_cohorts(history, group, stage),
    }
    arrays = [pa.array(columns[name], from_pandas=True) for name in FUNNEL.names]
    table = pa.table(arrays, schema=FUNNEL)
    return table.filter(pa.array(counts["entered"] > 0))


def find_stuck_visits(history: FunnelHistory, group: np.ndarray, p80: np.ndarray) -> np.ndarray:
    """Return a mask of the open visits that have lasted longer than their group's ``p80`` days."""
    visits = history.paths.visits
    age = (history.as_of - visits.start) / US_PER_DAY
    return (visits.exit == OPEN) & (age > p80[group])


def _pick_exits(values: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """Return the value of one exit of each group; groups and exits are the last two axes."""
    return values[..., np.arange(len(kind)), kind]


def _count_ends(history: FunnelHistory, group: np.ndarray, groups: int) -> dict[str, np.ndarray]:
    """Return the number of visits of each group by how they ended."""
    visits, won = history.paths.visits, history.states.won
    following, stage, ended = visits.exit, visits.stage, visits.exit != OPEN
    masks = {
        "entered": np.ones(len(group), bool),
        "advanced": following == stage + 1,
        "skipped": (following > stage + 1) & (following <= won),
        "lost": following > won,
        "returned": ended & (following < stage),
        "open": ~ended,
    }
    return {name: np.bincount(group[mask], minlength=groups) for name, mask in masks.items()}


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
    """Return the sum of known amounts of each group, NaN if no amount is set."""
    if history.value is None:
        return np.full(groups, np.nan)
    # In the order of the amounts, so that the order of the leads changes no bit of a sum.
    amount = np.nan_to_num(history.value[lead])
    order = np.argsort(amount, kind="stable")
    return np.bincount(group[order], weights=amount[order], minlength=groups)


def _estimate_advances(estimates: Estimates, stage: np.ndarray) -> dict[str, np.ndarray]:
    """Return the columns of the share that advances."""
    point = _pick_exits(estimates.point.within[:, AT_30D], stage + 1)
    ends = find_interval(_pick_exits(estimates.replicates.within[:, :, AT_30D], stage + 1))
    low, high = widen_at_bounds(point, *ends, estimates.size)
    return {
        "advanced_30d": point,
        "advanced_30d_low": low,
        "advanced_30d_high": high,
        "advanced_eventually": _pick_exits(estimates.point.final, stage + 1),
        "median_days": _pick_exits(estimates.point.quantile[..., MEDIAN], stage + 1),
    }


def _compare_cohorts(
    history: FunnelHistory, group: np.ndarray, stage: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the change of the share that advances within 30 days, against the cohort before."""
    groups, cohort, visits = len(stage), number_cohorts(history), history.paths.visits
    stays = history.list_visit_stays(group + groups * cohort)
    stays = stays.merge_exits(visits.exit == visits.stage + 1)
    estimates = estimate_groups(stays.take((cohort >= 0) & (cohort < 2)), 2 * groups, 2)
    point = estimates.point.within[:, AT_30D, 0]
    drawn = estimates.replicates.within[:, :, AT_30D, 0]
    low, high = find_interval(drawn[:, :groups] - drawn[:, groups:])
    # Where a cohort has no visit there is nothing to compare.
    change = point[:groups] - point[groups:]
    name = "change_vs_previous_cohort"
    known = ~np.isnan(change)
    return {
        name: change,
        f"{name}_low": np.where(known, low, np.nan),
        f"{name}_high": np.where(known, high, np.nan),
    }


def number_cohorts(history: FunnelHistory) -> np.ndarray:
    """Return the cohort of each visit by its begin: 0 for the last 90 observed days, 1 before …

    It is negative for visits that began after the observed time.
    """
    return (history.observed_until - 1 - history.paths.visits.start) // COHORT_US
