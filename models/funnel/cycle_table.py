"""The cycle: how long leads take to be won, counted from their creation or reopening.

The leads won so far are the fast ones: their median is too short. So is, to a lesser degree, that
of all who win within the longest time observed, which the quantiles here refer to.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from features.tools.instants import US_PER_DAY
from models.funnel.history import DAYS, SHARES, FunnelHistory, Segmentation, estimate_groups
from models.funnel.schemas import CYCLE
from models.survival.bootstrap import find_interval, widen_at_bounds

WIN, LOSS = 0, 1


def build_cycle_table(history: FunnelHistory, segments: Segmentation) -> pa.Table:
    """Return CYCLE: one row per segment that has a lead."""
    spells = history.paths.spells
    group, groups = segments.codes[spells.lead], len(segments.names)
    estimates = estimate_groups(history.list_spell_stays(group), groups, LOSS + 1)
    point, drawn = estimates.point, estimates.replicates
    columns: dict[str, object] = {
        "segment_by": pa.repeat(segments.by, groups),
        "segment": pa.array(segments.names, pa.string()),
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
    naive = compute_naive_medians(history, group, groups)
    columns["bias_of_naive"] = naive / point.quantile[:, WIN, SHARES.index(0.5)] - 1
    arrays = [pa.array(columns[name], from_pandas=True) for name in CYCLE.names]
    has_leads = np.bincount(group, minlength=groups) > 0
    return pa.table(arrays, schema=CYCLE).filter(pa.array(has_leads))


def compute_naive_medians(history: FunnelHistory, group: np.ndarray, groups: int) -> np.ndarray:
    """Return the median days of the spells of each group that were won so far, NaN without any."""
    spells = history.paths.spells
    won = np.flatnonzero(spells.exit == history.states.won)
    days, own = (spells.end - spells.start)[won] / US_PER_DAY, group[won]
    medians = np.full(groups, np.nan)
    order = np.lexsort((days, own))
    edges = np.searchsorted(own[order], np.arange(groups + 1))
    for place in np.flatnonzero(np.diff(edges)):
        medians[place] = np.median(days[order][edges[place] : edges[place + 1]])
    return medians
