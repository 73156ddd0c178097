"""What can be learnt from at an instant: rows whose horizon is over, and younger ones as far as they were followed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import DataError
from features.contracts import SPINE
from models.learners.hazard import Followed
from models.scorer import spine_of

NEVER = np.iinfo(np.int64).max
IMMATURE = -1


@dataclass(frozen=True)
class Rows:
    """Rows side by side: number in ``matrix``, entity_id (text), cutoff (int64 microseconds UTC), label and outcome.

    The matrix is that of all rows; only columns are ever taken from it, as it may be large. ``label`` is 0 or 1,
    IMMATURE where it cannot be known; ``outcome`` the time of the first outcome known at or after the cutoff (int64
    microseconds UTC), NEVER where there is none.
    """

    matrix: pa.Table
    number: np.ndarray
    entity_id: np.ndarray
    cutoff: np.ndarray
    label: np.ndarray
    outcome: np.ndarray

    @classmethod
    def of(cls, matrix: pa.Table, labels: pa.Table) -> Rows:
        """Put a matrix and its LABELS table side by side; raises DataError if they are not of the same rows."""
        spine, expected = spine_of(matrix), spine_of(labels)
        if any(not a.equals(b) for a, b in zip(spine, expected, strict=True)):
            raise DataError(
                "features and labels are not of the same rows",
                found=f"{matrix.num_rows} rows of features, {labels.num_rows} of labels, or another order",
                fix="compute both from one spine",
            )
        return cls(
            matrix,
            np.arange(matrix.num_rows),
            spine[0].to_numpy(),
            spine[1].cast(pa.int64()).to_numpy(),
            pc.fill_null(labels["label"], IMMATURE).to_numpy().astype(np.int64),
            pc.fill_null(labels["outcome_at"].cast(pa.int64()), NEVER).to_numpy(),
        )

    def take(self, index: np.ndarray) -> Rows:
        """Return the rows of an index."""
        columns = self.number, self.entity_id, self.cutoff, self.label, self.outcome
        return Rows(self.matrix, *(column[index] for column in columns))

    @property
    def mature(self) -> np.ndarray:
        """Positions of the rows that have a label."""
        return np.flatnonzero(self.label != IMMATURE)

    @property
    def features(self) -> list[str]:
        """Names of the feature columns."""
        return [name for name in self.matrix.column_names if name not in SPINE.names]


@dataclass(frozen=True)
class Known:
    """``mature`` rows and their labels, and ``young`` rows, of which is known what happened before ``end``.

    ``end`` and ``horizon`` in microseconds. There are no young rows where outcomes have no times.
    """

    mature: Rows
    young: Rows
    end: int
    horizon: int

    @classmethod
    def at(cls, whole: Rows, train: np.ndarray, end: int | None, horizon: int) -> Known:
        """Return what is known at ``end`` (int64 microseconds UTC), None where rows are not followed.

        ``train`` are the positions of the mature rows. Young are the rows with a cutoff before ``end`` whose horizon
        reaches beyond it.
        """
        if end is None:
            return cls(whole.take(train), whole.take(np.empty(0, np.int64)), 0, 0)
        young = np.flatnonzero((whole.cutoff < end) & (whole.cutoff > end - horizon))
        return cls(whole.take(train), whole.take(young), end, horizon)

    @property
    def follows(self) -> bool:
        """Whether it is known when outcomes came."""
        return self.horizon > 0 and bool(self.followed().happened.any())

    def followed(self) -> Followed:
        """Return how long each row was followed, the mature ones first."""
        cutoff = np.concatenate([self.mature.cutoff, self.young.cutoff])
        outcome = np.concatenate([self.mature.outcome, self.young.outcome])
        return Followed.until(cutoff, outcome, self.end, self.horizon)
