"""The cycle from each stage: how long leads that come to a stage take from there to a win."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from configs.goals.goals import STAGE
from features.tools.instants import US_PER_DAY
from models.funnel.cycle_table import compute_medians, list_cycle_rows
from models.funnel.history import FunnelHistory
from models.funnel.win_times import list_win_stays, number_spells


def build_stage_cycle(history: FunnelHistory) -> pa.Table:
    """Return CYCLE: one row per stage, in their order; the days count from each visit's begin.

    A lead that comes to a stage twice counts twice.
    """
    visits, spells, stages = history.paths.visits, history.paths.spells, history.states.stages
    spell = number_spells(history)
    won = np.flatnonzero(spells.exit[spell] == history.states.won)
    days = (spells.end[spell] - visits.start)[won] / US_PER_DAY
    naive = compute_medians(days, visits.stage[won], len(stages))
    return list_cycle_rows(list_win_stays(history), stages, STAGE, naive)
