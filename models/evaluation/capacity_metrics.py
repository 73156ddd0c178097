"""Metrics at capacity: precision, lift and captured value of the highest-ranked rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from models.evaluation.grouped import divide_or_zero, find_group_ends, sum_before

# Without a configured capacity, the top tenth of each batch is worked.
DEFAULT_CAPACITY_SHARE = 0.1


@dataclass(frozen=True)
class CapacityCounts:
    """Weighted counts of the worked rows and of all rows; without amounts, an outcome counts 1.

    Attributes:
        rows_worked: Rows that are worked.
        rows_total: All rows.
        amount_worked: Amount of the outcomes among the worked rows.
        amount_total: Amount of all outcomes.
    """

    rows_worked: float
    rows_total: float
    amount_worked: float
    amount_total: float

    @property
    def gain_point(self) -> tuple[float, float]:
        """Share of rows worked, and their share of the amount; NaN where the total is 0."""
        return _divide_or_nan(self.rows_worked, self.rows_total), _divide_or_nan(
            self.amount_worked, self.amount_total
        )

    @property
    def precision(self) -> float:
        """Amount per worked row; without amounts, the outcome rate of the worked rows."""
        return _divide_or_nan(self.amount_worked, self.rows_worked)

    @property
    def lift(self) -> float:
        """Precision divided by the amount per row of all rows."""
        return _divide_or_nan(self.precision, _divide_or_nan(self.amount_total, self.rows_total))


@dataclass(frozen=True)
class Ranking:
    """Rows sorted by batch of work and, within a batch, by score descending.

    Rows of the same batch, score and amount form a level. Levels of the same batch and score form a
    tie, in which no row comes before another.

    Attributes:
        row_level: Level of each row.
        level_tie: Tie of each level.
        level_amount: Amount of each level.
        tie_batch: Batch of each tie.
        batch_start: First tie of each tie's batch.
        capacity: Rows that can be worked in each batch; None for the default share.
    """

    row_level: np.ndarray
    level_tie: np.ndarray
    level_amount: np.ndarray
    tie_batch: np.ndarray
    batch_start: np.ndarray
    capacity: int | None

    @classmethod
    def from_scores(
        cls, score: np.ndarray, batch: Any = None, capacity: int | None = None, amount: Any = 1.0
    ) -> Self:
        """Sort the rows once.

        ``score`` and ``amount`` hold one number a row, ``batch`` any key; without ``batch`` all
        rows are in the same one.
        """
        key = np.zeros(len(score)) if batch is None else np.asarray(batch)
        code = np.unique(key, return_inverse=True)[1]
        amount = np.broadcast_to(np.asarray(amount, dtype=float), score.shape)
        # lexsort sorts by its last key first; the amount decides last, so levels are contiguous.
        order = np.lexsort((amount, -score, code))
        new_tie = _mark_changes(code[order]) | _mark_changes(score[order])
        new_level = new_tie | _mark_changes(amount[order])
        level = np.empty(len(order), int)
        level[order] = np.cumsum(new_level) - 1
        tie = (np.cumsum(new_tie) - 1)[new_level]
        tie_batch = code[order][new_tie]
        starts = find_group_ends(tie_batch)[0]
        return cls(level, tie, amount[order][new_level], tie_batch, starts, capacity)

    def worked_shares(self, weight: np.ndarray, share: float | None = None) -> np.ndarray:
        """Return the share of each level's rows that is worked.

        Worked are the top ``share`` of each batch, or without it the capacity. Rows that tie for
        the last places each count in part, as a random choice among them would on average.
        """
        total = np.bincount(
            self.level_tie,
            np.bincount(self.row_level, weight, minlength=len(self.level_tie)),
            len(self.tie_batch),
        )
        rows = np.bincount(self.tie_batch, total)
        if share is None and self.capacity is not None:
            room: Any = self.capacity
        else:
            room = (DEFAULT_CAPACITY_SHARE if share is None else share) * rows[self.tie_batch]
        worked = np.clip(room - sum_before(total, self.batch_start), 0, total)
        return divide_or_zero(worked, total)[self.level_tie]

    def count_worked(
        self, shares: np.ndarray, rows: np.ndarray, label: np.ndarray, weight: np.ndarray
    ) -> CapacityCounts:
        """Return the counts of some rows, given by their index, ``label`` and ``weight``.

        ``shares`` is the result of ``worked_shares`` for all rows.
        """
        total = np.bincount(self.row_level[rows], weight, minlength=len(self.level_tie))
        amount = (
            np.bincount(self.row_level[rows], weight * label, minlength=len(self.level_tie))
            * self.level_amount
        )
        sums = ((shares * total).sum(), total.sum(), (shares * amount).sum(), amount.sum())
        return CapacityCounts(*(float(x) for x in sums))


def _mark_changes(column: np.ndarray) -> np.ndarray:
    """Return for each element whether it is the first, or differs from the previous one."""
    return np.concatenate([np.ones(min(1, len(column)), bool), column[1:] != column[:-1]])


def _divide_or_nan(part: float, total: float) -> float:
    return part / total if total > 0 else np.nan
