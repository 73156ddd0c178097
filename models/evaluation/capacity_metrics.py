"""Which rows a limited number of hands would work, and what they hold of the outcomes and of the money."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from models.evaluation.grouped import before, ends, ratio

NO_CAPACITY_SHARE = 0.1
"""Share of the rows of a batch that stands for the capacity where none is given."""


@dataclass(frozen=True)
class Held:
    """Rows taken, of how many, and the amount of the outcomes among them, of how much; without amounts, outcomes."""

    taken: float
    rows: float
    worth: float
    whole: float

    @property
    def work(self) -> tuple[float, float]:
        """The share of rows taken, and the share of the amount that they hold; NaN of nothing."""
        return _share(self.taken, self.rows), _share(self.worth, self.whole)

    @property
    def precision(self) -> float:
        """The amount for each row taken; without amounts, the share of rows with the outcome."""
        return _share(self.worth, self.taken)

    @property
    def lift(self) -> float:
        """The precision against that of all rows."""
        return _share(self.precision, _share(self.whole, self.rows))


@dataclass(frozen=True)
class Ranking:
    """Rows by batch of work and, within, by score descending.

    ``level`` of each row: rows of one batch, score and amount are one level. Levels of one batch and score are a
    ``tie``, in which none comes before another. ``amount`` of levels, ``batch`` of ties; ``first`` is the first tie
    of each tie's batch.
    """

    level: np.ndarray
    tie: np.ndarray
    amount: np.ndarray
    batch: np.ndarray
    first: np.ndarray
    capacity: int | None

    @classmethod
    def of(
        cls, score: np.ndarray, batch: Any = None, capacity: int | None = None, amount: Any = 1.0
    ) -> Self:
        """Sort rows once; ``score`` and ``amount`` are numbers, ``batch`` any key a row, without it all are of one."""
        key = np.zeros(len(score)) if batch is None else np.asarray(batch)
        code = np.unique(key, return_inverse=True)[1]
        amount = np.broadcast_to(np.asarray(amount, dtype=float), score.shape)
        order = np.lexsort((amount, -score, code))
        new_tie = _changes(code[order]) | _changes(score[order])
        new_level = new_tie | _changes(amount[order])
        level = np.empty(len(order), int)
        level[order] = np.cumsum(new_level) - 1
        tie = (np.cumsum(new_tie) - 1)[new_level]
        batches = code[order][new_tie]
        return cls(level, tie, amount[order][new_level], batches, ends(batches)[0], capacity)

    def taken(self, weight: np.ndarray, share: float | None = None) -> np.ndarray:
        """Return the share of each level's rows that lies in the top ``share`` of its batch, or in the capacity.

        Of rows that tie for the last places each is taken in part, as drawing lots would on average.
        """
        total = np.bincount(
            self.tie, np.bincount(self.level, weight, minlength=len(self.tie)), len(self.batch)
        )
        rows = np.bincount(self.batch, total)
        if share is None and self.capacity is not None:
            room: Any = self.capacity
        else:
            room = (NO_CAPACITY_SHARE if share is None else share) * rows[self.batch]
        return ratio(np.clip(room - before(total, self.first), 0, total), total)[self.tie]

    def held(
        self, taken: np.ndarray, rows: np.ndarray, label: np.ndarray, weight: np.ndarray
    ) -> Held:
        """Return what lies among those taken of some rows: their index, and their ``label`` and ``weight``."""
        total = np.bincount(self.level[rows], weight, minlength=len(self.tie))
        worth = np.bincount(self.level[rows], weight * label, minlength=len(self.tie)) * self.amount
        sums = ((taken * total).sum(), total.sum(), (taken * worth).sum(), worth.sum())
        return Held(*(float(x) for x in sums))


def _changes(column: np.ndarray) -> np.ndarray:
    """Return for each element whether it is the first or differs from the one before."""
    return np.concatenate([np.ones(min(1, len(column)), bool), column[1:] != column[:-1]])


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else np.nan
