"""Where an entity stands on its way, and since when."""

from __future__ import annotations

import numba as nb
import numpy as np

from features.contracts import US_PER_DAY
from features.windows import History


def stage_now(
    history: History, entity: np.ndarray, cutoff: np.ndarray, rank: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's stage and the days since it was entered, from events with ``available < cutoff``.

    ``rank`` gives the place of each event type among the stages, -1 if it is none. The stage is that of the newest
    stage event; of several at one instant the furthest. An entity that has seen none has stage -1 and NaN days.
    """
    start = np.searchsorted(history.group, entity, "left")
    end = np.searchsorted(history.group, entity, "right")
    stage, age = np.full(len(entity), -1), np.full(len(entity), np.nan)
    _latest((history.time, history.available, history.kind), start, end, cutoff, rank, stage, age)
    return stage, age


@nb.njit(cache=True, nogil=True)
def _latest(
    events: tuple,
    starts: np.ndarray,
    ends: np.ndarray,
    cutoffs: np.ndarray,
    rank: np.ndarray,
    stage: np.ndarray,
    age: np.ndarray,
) -> None:
    time, available, kind = events
    for row in range(len(cutoffs)):
        entered = np.int64(0)
        for event in range(ends[row] - 1, starts[row] - 1, -1):
            known = time[event] < cutoffs[row] and available[event] < cutoffs[row]
            if not known or kind[event] < 0 or rank[kind[event]] < 0:
                continue
            if stage[row] >= 0 and time[event] < entered:
                break
            entered = time[event]
            stage[row] = max(stage[row], rank[kind[event]])
            age[row] = (cutoffs[row] - entered) / US_PER_DAY
