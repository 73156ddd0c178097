"""The cycle: how long leads take to be won, counted from their creation or reopening.

The leads won so far are the fast ones: their median is too short. So is, to a lesser degree, that
of all who win within the longest time observed, which the quantiles here refer to.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from features.engine.lead_index import sort_by_code
from features.tools.instants import US_PER_DAY
from models.funnel.history import DAYS, SHARES, FunnelHistory, Segmentation, estimate_groups
from models.funnel.schemas import CYCLE
from models.survival.bootstrap import find_interval, widen_at_bounds
from models.survival.stays import Stays

WIN, LOSS = 0, 1


def build_cycle_table(history: FunnelHistory, segments: Segmentation) -> pa.Table:
    """Return CYCLE: one row per segment that has a lead."""
    spells = history.paths.spells
    group, groups = segments.codes[spells.lead], len(segments.names)
    naive = compute_naive_medians(history, group, groups)
    return list_cycle_rows(history.list_spell_stays(group), segments.names, segments.by, naive)


def list_cycle_rows(stays: Stays, names: Sequence[str], by: str, naive: np.ndarray) -> pa.Table:
    """Return CYCLE of stays whose exits are WIN and LOSS: one row per group that has any.

    ``names`` are those of the groups, ``naive`` the median days of those won so far.
    """
    estimates = estimate_groups(stays, len(names), LOSS + 1)
    point, drawn = estimates.point, estimates.replicates
    columns: dict[str, object] = {
        "segment_by": pa.repeat(by, len(names)),
        "segment": pa.array(names, pa.string()),
    }
    for place, share in enumerate(SHARES):
        low, high = find_interval(drawn.quantile[..., WIN, place])
        name = f"p{share * 100:.0f}"
        columns |= {name: point.quantile[:, WIN, place], f"{name}_low": low, f"{name}_high": high}
    for place, days in enumerate(DAYS):
        value = point.within[:, place, WIN]
        ends = find_interval(drawn.within[:, :, place, WIN])
        low, high = widen_at_bounds(value, *ends, estimates.size)
        name = f"win_by_{days}"
        columns |= {name: value, f"{name}_low": low, f"{name}_high": high}
        columns[f"lost_by_{days}"] = point.within[:, place, LOSS]
    columns["bias_of_naive"] = naive / point.quantile[:, WIN, SHARES.index(0.5)] - 1
    arrays = [pa.array(columns[name], from_pandas=True) for name in CYCLE.names]
    has_any = np.bincount(stays.group, minlength=len(names)) > 0
    return pa.table(arrays, schema=CYCLE).filter(pa.array(has_any))


def compute_naive_medians(history: FunnelHistory, group: np.ndarray, groups: int) -> np.ndarray:
    """Return the median days of the spells of each group that were won so far, NaN without any."""
    spells = history.paths.spells
    won = np.flatnonzero(spells.exit == history.states.won)
    return compute_medians((spells.end - spells.start)[won] / US_PER_DAY, group[won], groups)


def compute_medians(values: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """Return the median of the values of each group, NaN without any."""
    medians = np.full(groups, np.nan)
    edges = np.concatenate([[0], np.cumsum(np.bincount(group, minlength=groups))])
    ordered = values[sort_by_code(group, groups)]
    for place in np.flatnonzero(np.diff(edges)):
        medians[place] = np.median(ordered[edges[place] : edges[place + 1]])
    return medians
