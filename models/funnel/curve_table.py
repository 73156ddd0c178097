"""Curves: which share of a stage's visits has left it by each age, and how."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from features.paths.states import FunnelStates
from features.tools.instants import US_PER_DAY
from models.funnel.history import Estimates
from models.funnel.schemas import CURVES
from models.survival.incidence import IncidenceCurve, estimate_curve
from models.survival.stays import AgeCounts

# How a visit ends, by the number of its exit here.
ENDINGS = ("advanced", "skipped", "lost", "returned")
ADVANCED, SKIPPED, LOST, RETURNED = range(len(ENDINGS))
# Points of a curve, with that of age 0: enough for a chart, and few enough for each night.
MAX_POINTS = 60


def build_curve_table(states: FunnelStates, estimates: Estimates) -> pa.Table:
    """Return CURVES: the ages of each stage of all leads, in the order of the stages.

    ``estimates`` are those of the stages of all leads.
    """
    counts = _merge_kinds(estimates.counts, states)
    tables = [CURVES.empty_table()]
    for stage, name in enumerate(states.stages):
        curve = estimate_curve(counts, stage, len(ENDINGS))
        if len(curve.age):
            tables.append(_list_points(name, curve))
    return pa.concat_tables(tables)


def _merge_kinds(counts: AgeCounts, states: FunnelStates) -> AgeCounts:
    """Return counts by stage whose exits are ENDINGS and no longer states."""
    stage, state = counts.group, counts.kind
    ending = np.select(
        [state < 0, state == stage + 1, state > states.won, state < stage],
        [state, ADVANCED, LOST, RETURNED],
        SKIPPED,
    )
    return replace(counts, kind=ending)


def _list_points(stage: str, curve: IncidenceCurve) -> pa.Table:
    """Return CURVES of one stage: age 0, and the ages at which the curve has risen enough."""
    rows = _choose_rows(1 - curve.staying)
    age, shares = curve.age[rows] / US_PER_DAY, curve.incidence[rows]
    if age[0] > 0:
        age, shares = np.append(0.0, age), np.vstack([np.zeros(len(ENDINGS)), shares])
    columns = {
        "stage": pa.array([stage] * len(age), pa.string()),
        "age_days": age,
        **{name: shares[:, place] for place, name in enumerate(ENDINGS)},
    }
    return pa.table([columns[name] for name in CURVES.names], schema=CURVES)


def _choose_rows(left: np.ndarray) -> np.ndarray:
    """Return places of a curve between which about the same share leaves, with the last one."""
    steps = left[-1] * np.arange(1, MAX_POINTS) / (MAX_POINTS - 1)
    # A step that is not reached for rounding is reached at the end.
    return np.unique(np.minimum(np.searchsorted(left, steps), len(left) - 1))
