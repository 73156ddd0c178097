"""Entries: the stage in which leads begin, and what becomes of those that begin there."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from models.funnel.cycle_table import LOSS, WIN
from models.funnel.history import FunnelHistory, estimate_groups
from models.funnel.schemas import ENTRIES
from models.funnel.win_times import number_spells
from models.survival.bootstrap import find_interval, widen_at_bounds

DAYS, SHARES = (30,), (0.5,)


def build_entry_table(history: FunnelHistory) -> pa.Table:
    """Return ENTRIES: one row per stage in which a spell began, in their order."""
    stages, entry = history.states.stages, find_entry_stages(history)
    count = np.bincount(entry, minlength=len(stages))
    stays = history.list_spell_stays(entry)
    estimates = estimate_groups(stays, len(stages), LOSS + 1, DAYS, SHARES)
    point, drawn = estimates.point, estimates.replicates
    columns: dict[str, object] = {
        "stage": pa.array(stages, pa.string()),
        "n": count,
        "share": count / max(count.sum(), 1),
        "median_days": point.quantile[:, WIN, 0],
    }
    for name, value, replicates in (
        ("win_by_30", point.within[:, 0, WIN], drawn.within[:, :, 0, WIN]),
        ("win_eventually", point.final[:, WIN], drawn.final[..., WIN]),
    ):
        low, high = widen_at_bounds(value, *find_interval(replicates), estimates.size)
        # Without an observed spell there is neither a share nor an interval.
        low, high = (np.where(np.isnan(value), np.nan, end) for end in (low, high))
        columns |= {name: value, f"{name}_low": low, f"{name}_high": high}
    arrays = [pa.array(columns[name], from_pandas=True) for name in ENTRIES.names]
    return pa.table(arrays, schema=ENTRIES).filter(pa.array(count > 0))


def find_entry_stages(history: FunnelHistory) -> np.ndarray:
    """Return the stage in which each spell began, int64."""
    spell = number_spells(history)
    is_first = np.diff(spell, prepend=-1) > 0
    return history.paths.visits.stage[is_first]
