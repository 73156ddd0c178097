"""Moves: the visits that go on from a stage, to the next one, to a later one or to the win.

A stage that is skipped more often has lost nobody, so all moves forward count alike.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from features.tools.instants import US_PER_DAY
from models.funnel.history import DAYS, SHARES, Estimates
from models.survival.incidence import summarize_incidence

AT_30D = DAYS.index(30)
MOVED, OTHERS = 0, 1


@dataclass(frozen=True)
class StageMoves:
    """How many visits of each group move on, and how soon.

    Attributes:
        within: Share that moves on within 30 days, float64 (groups,); NaN without a visit.
        drawn: The same of each bootstrap replicate, float64 (replicates, groups).
        final: Share that moves on within the longest time observed, float64 (groups,).
        quantile: Days by which shares of those that move on have, float64 (groups, shares); NaN
            where none does.
    """

    within: np.ndarray
    drawn: np.ndarray
    final: np.ndarray
    quantile: np.ndarray


def mark_moves(stage: np.ndarray, exits: np.ndarray, won: int) -> np.ndarray:
    """Return whether each exit from a stage leads on, up to the win."""
    return (exits > stage) & (exits <= won)


def summarize_moves(estimates: Estimates, stage: np.ndarray, won: int) -> StageMoves:
    """Return the moves of groups of visits; ``stage`` is that of each group."""
    counts, point = estimates.counts, estimates.point
    is_move = mark_moves(stage[:, None], np.arange(point.final.shape[1]), won)
    kind = np.where(counts.kind < 0, counts.kind, OTHERS)
    kind[mark_moves(stage[counts.group], counts.kind, won)] = MOVED
    questions = np.empty(0, np.int64), np.array(SHARES)
    merged = summarize_incidence(replace(counts, kind=kind), len(stage), OTHERS + 1, *questions)
    return StageMoves(
        _add_exits(point.within[:, AT_30D], is_move),
        _add_exits(estimates.replicates.within[:, :, AT_30D], is_move),
        _add_exits(point.final, is_move),
        merged.quantile[:, MOVED] / US_PER_DAY,
    )


def _add_exits(share: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return the sum of the shares of the chosen exits, which no rounding lifts above one."""
    return np.minimum(np.where(chosen, share, 0.0).sum(axis=-1), 1.0)
