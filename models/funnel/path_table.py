"""Paths: which state follows which stage, how often and how soon."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from features.paths.visits import OPEN
from models.funnel.funnel_table import MEDIAN, sum_values
from models.funnel.history import Estimates, FunnelHistory
from models.funnel.moves import AT_30D
from models.funnel.schemas import PATHS
from models.survival.bootstrap import find_interval, widen_at_bounds


def build_path_table(history: FunnelHistory, estimates: Estimates) -> pa.Table:
    """Return PATHS: one row per transition that happened, ordered by its states.

    ``estimates`` are those of the stages of all leads.
    """
    visits, names = history.paths.visits, history.states.names
    stages, kinds = len(history.states.stages), len(names)
    ended = np.flatnonzero(visits.exit != OPEN)
    step = visits.stage[ended] * kinds + visits.exit[ended]
    count = np.bincount(step, minlength=stages * kinds)
    value = sum_values(history, visits.lead[ended], step, stages * kinds)
    point = estimates.point.within[:, AT_30D].ravel()
    low, high = find_interval(estimates.replicates.within[:, :, AT_30D].reshape(-1, stages * kinds))
    low, high = widen_at_bounds(point, low, high, np.repeat(estimates.size, kinds))
    median = estimates.point.quantile[..., MEDIAN].ravel()
    rows = np.flatnonzero(count)
    columns = [
        pa.array([names[place] for place in rows // kinds], pa.string()),
        pa.array([names[place] for place in rows % kinds], pa.string()),
        *(
            pa.array(column[rows], from_pandas=True)
            for column in (count, point, low, high, median, value)
        ),
    ]
    return pa.table(columns, schema=PATHS)
