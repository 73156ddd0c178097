"""The biggest leak: the stage whose best past conversion would add most wins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa

from features.tools.instants import from_microseconds
from models.funnel.cohorts import COHORT_US
from models.funnel.funnel_table import StageEstimates
from models.funnel.history import FunnelHistory
from models.funnel.moves import MOVED
from models.funnel.schemas import LEAKS
from models.survival.bootstrap import find_interval

# Visits of a cohort from which its conversion is compared: fewer have a best quarter by chance.
MIN_COHORT = 50


@dataclass(frozen=True)
class StageLeak:
    """What a stage would add if it moved on as many visits as in its best cohort of 90 days.

    Attributes:
        stage: Name of the stage.
        now: Share of the visits of the last 90 days that move on, to any later state, in 30 days.
        best: That share in the best cohort.
        now_from: Begin of the last 90 days, in UTC.
        best_from: Begin of the best cohort, in UTC.
        added: Wins to expect in addition from the visits of the last 90 days.
        added_low: Lower end of its 90 % interval.
        added_high: Upper end of its 90 % interval.
    """

    stage: str
    now: float
    best: float
    now_from: datetime
    best_from: datetime
    added: float
    added_low: float
    added_high: float


def find_leaks(staged: StageEstimates) -> list[StageLeak]:
    """Return the stages that once moved on more visits, the one that would add most wins first.

    ``staged`` are the estimates of the stages of all leads. An additional visit that moves on is
    valued by the chance of a win of those that moved on so far, less that of all visits.
    """
    history, final = staged.history, staged.estimates.point.final
    states, stages, cohorts = history.states, len(history.states.stages), staged.cohorts
    estimates = staged.by_cohort
    now = estimates.point.within[:, 0, MOVED].reshape(cohorts, stages)
    drawn = estimates.replicates.within[:, :, 0, MOVED].reshape(-1, cohorts, stages)
    size = estimates.size.reshape(cohorts, stages)
    value = compute_move_values(final, states.won)
    replicates = staged.estimates.replicates.final
    drawn_value = np.stack([compute_move_values(f, states.won) for f in replicates])
    leaks = []
    for stage in range(stages):
        enough = np.flatnonzero(size[:, stage] >= MIN_COHORT)
        if len(enough) < 2 or enough[0] != 0:
            continue
        best = enough[np.argmax(now[enough, stage])]
        gain = (drawn[:, best, stage] - drawn[:, 0, stage]) * drawn_value[:, stage]
        low, high = find_interval(gain * size[0, stage])
        leaks.append(
            StageLeak(
                states.stages[stage],
                float(now[0, stage]),
                float(now[best, stage]),
                _find_begin(history, 0),
                _find_begin(history, int(best)),
                float((now[best, stage] - now[0, stage]) * value[stage] * size[0, stage]),
                float(low),
                float(high),
            )
        )
    return sorted((leak for leak in leaks if leak.added > 0), key=lambda leak: -leak.added)


def compute_win_chances(final: np.ndarray, won: int) -> np.ndarray:
    """Return the chance of a win from each stage, float64 (stages,).

    ``final`` is the share that leaves each stage for each state in the end, (stages, states). Where
    a lead goes depends on its stage alone here.
    """
    shares = np.nan_to_num(final)
    stages = shares[:, :won]
    # What never leaves a stage is not won; the small rest keeps the equations solvable.
    return np.linalg.solve(np.eye(won) * (1 + 1e-12) - stages, shares[:, won])


def compute_move_values(final: np.ndarray, won: int) -> np.ndarray:
    """Return by how much a move forward raises the chance of a win, float64 (stages,)."""
    chances = np.append(compute_win_chances(final, won), 1.0)
    shares = np.nan_to_num(final[:, : won + 1])
    forward = np.triu(shares, 1)
    total = forward.sum(axis=1)
    after = np.divide(forward @ chances, total, out=np.zeros(won), where=total > 0)
    return np.maximum(after - chances[:won], 0.0)


def build_leak_table(leaks: Sequence[StageLeak]) -> pa.Table:
    """Return LEAKS, in the order of the leaks."""
    rows = [astuple(leak) for leak in leaks]
    columns = zip(*rows, strict=True) if rows else [()] * len(LEAKS)
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, LEAKS, strict=True)], LEAKS)


def _find_begin(history: FunnelHistory, cohort: int) -> datetime:
    return from_microseconds(history.observed_until - (cohort + 1) * COHORT_US)
