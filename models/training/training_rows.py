"""Training rows: all rows of a target, and those available at a cutoff.

Available are mature rows, and right-censored recent rows as far as they were followed up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import DataError
from features.contracts import ACTIVITY, SPINE
from features.tools.instants import NEVER_US
from models.clusters import CLUSTER
from models.learners.hazard import FollowUp
from models.scorer import select_spine

IMMATURE = -1


@dataclass(frozen=True)
class TrainingTable:
    """Columns of training rows, each of one length. Grain: one row per entity and cutoff.

    Attributes:
        matrix: Feature matrix of all rows. It may be large, so it is shared by every selection of
            rows, and only columns are taken from it.
        row_number: Row of ``matrix``.
        entity_id: Entity (text).
        cluster: Key (text) of the rows that depend on each other: those of an account, or of rows
            that repeat each other; the entity where there is neither.
        cutoff: Cutoff (int64 microseconds UTC).
        label: 0 or 1; IMMATURE where it is not known yet.
        outcome_at: First outcome known at or after the cutoff (int64 microseconds UTC); NEVER_US
            where there is none.
        activity: Events of the ACTIVITY_SPAN after the cutoff, float64; None if not counted.
    """

    matrix: pa.Table
    row_number: np.ndarray
    entity_id: np.ndarray
    cluster: np.ndarray
    cutoff: np.ndarray
    label: np.ndarray
    outcome_at: np.ndarray
    activity: np.ndarray | None = None

    @classmethod
    def from_tables(cls, matrix: pa.Table, labels: pa.Table) -> TrainingTable:
        """Join a matrix and its LABELS table row by row; raise DataError if their rows differ.

        The labels may have a column ``cluster``; without one, each entity is a cluster of its own.
        They may also have a column ``activity``.
        """
        spine, expected = select_spine(matrix), select_spine(labels)
        if any(not a.equals(b) for a, b in zip(spine, expected, strict=True)):
            raise DataError(
                "features and labels have different rows",
                found=f"{matrix.num_rows} rows of features, {labels.num_rows} rows of labels, or "
                "another order",
                fix="compute both from one spine",
            )
        has_clusters = CLUSTER in labels.column_names
        return cls(
            matrix,
            np.arange(matrix.num_rows),
            spine[0].to_numpy(),
            labels[CLUSTER].to_numpy() if has_clusters else spine[0].to_numpy(),
            spine[1].cast(pa.int64()).to_numpy(),
            pc.fill_null(labels["label"], IMMATURE).to_numpy().astype(np.int64),
            pc.fill_null(labels["outcome_at"].cast(pa.int64()), NEVER_US).to_numpy(),
            activity=labels[ACTIVITY].to_numpy() if ACTIVITY in labels.column_names else None,
        )

    def take(self, index: np.ndarray) -> TrainingTable:
        """Return the rows at these positions."""
        return replace(
            self,
            row_number=self.row_number[index],
            entity_id=self.entity_id[index],
            cluster=self.cluster[index],
            cutoff=self.cutoff[index],
            label=self.label[index],
            outcome_at=self.outcome_at[index],
            activity=None if self.activity is None else self.activity[index],
        )

    @property
    def mature_rows(self) -> np.ndarray:
        """Positions of the rows that have a label."""
        return np.flatnonzero(self.label != IMMATURE)

    @property
    def feature_names(self) -> list[str]:
        """Names of the feature columns."""
        return [name for name in self.matrix.column_names if name not in SPINE.names]


@dataclass(frozen=True)
class AvailableRows:
    """Rows that a model may be fitted on at an instant.

    Attributes:
        mature: Mature rows with their labels.
        all_rows: Mature rows first, then right-censored rows; there are none where outcomes have
            no times.
        follow_up: Follow-up of all rows up to the instant; None where outcomes have no times.
    """

    mature: TrainingTable
    all_rows: TrainingTable
    follow_up: FollowUp | None

    @classmethod
    def from_cutoff(
        cls, table: TrainingTable, train: np.ndarray, known_until: int | None, horizon: int
    ) -> AvailableRows:
        """Return the rows available at ``known_until`` (int64 microseconds UTC).

        ``train`` are the positions of the mature rows, ``horizon`` is in microseconds.
        Right-censored are the rows with a cutoff before ``known_until`` whose horizon reaches
        beyond it. A ``known_until`` of None means that rows are not followed up.
        """
        mature = table.take(train)
        if known_until is None or not horizon:
            return cls(mature, mature, None)
        cutoff = table.cutoff
        # Without the row whose horizon ends exactly at known_until: its whole horizon is known.
        censored = np.flatnonzero((cutoff < known_until) & (cutoff > known_until - horizon))
        # Mature rows first: models that need labels are fitted on the first rows of the encoding.
        rows = table.take(np.concatenate([train, censored]))
        follow_up = FollowUp.from_times(
            rows.cutoff, rows.outcome_at, known_until, horizon, rows.activity
        )
        return cls(mature, rows, follow_up)

    @property
    def censored(self) -> TrainingTable:
        """Right-censored rows."""
        rows = self.all_rows
        return rows.take(np.arange(len(self.mature.label), len(rows.label)))
