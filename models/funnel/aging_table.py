"""Aging: how many of the open leads are young for their stage, and how many are stuck."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from features.paths.visits import OPEN
from features.tools.instants import US_PER_DAY
from models.funnel.funnel_table import (
    MEDIAN,
    P80,
    StageEstimates,
    find_stuck_visits,
    sum_values,
)
from models.funnel.history import FunnelHistory
from models.funnel.schemas import AGING

# Classes of age from young to old; UNKNOWN where no visit has moved on yet.
AGE_CLASSES = ("up_to_median", "up_to_p80", "stuck", "unknown")
YOUNG, SLOW, STUCK, UNKNOWN = range(len(AGE_CLASSES))


def build_aging_table(history: FunnelHistory, staged: StageEstimates) -> pa.Table:
    """Return AGING: the classes of each stage with a visit; ``staged`` are those of all leads."""
    visits, stages = history.paths.visits, np.arange(len(history.states.stages))
    median, p80 = (staged.moves.quantile[:, place] for place in (MEDIAN, P80))
    age = (history.as_of - visits.start) / US_PER_DAY
    age_class = np.where(age > median[visits.stage], SLOW, YOUNG)
    age_class[find_stuck_visits(history, visits.stage, p80)] = STUCK
    age_class[np.isnan(p80)[visits.stage]] = UNKNOWN
    classes, groups = len(AGE_CLASSES), len(stages) * len(AGE_CLASSES)
    group, is_open = visits.stage * classes + age_class, visits.exit == OPEN
    counts = np.bincount(group[is_open], minlength=groups)
    values = sum_values(history, visits.lead[is_open], group[is_open], groups)
    # Classes without a lead are shown too, so that the rows of the stages compare.
    is_known = np.isin(stages, visits.stage)[:, None] & (
        np.isnan(p80)[:, None] == (np.arange(classes) == UNKNOWN)
    )
    rows = np.flatnonzero(is_known.ravel())
    columns = [
        pa.array([history.states.stages[place] for place in rows // classes], pa.string()),
        pa.array([AGE_CLASSES[place] for place in rows % classes], pa.string()),
        pa.array(counts[rows]),
        pa.array(values[rows], from_pandas=True),
    ]
    return pa.table(columns, schema=AGING)
