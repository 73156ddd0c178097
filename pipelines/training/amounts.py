"""Realised amounts of outcomes, and the model of the amounts to expect."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.targets import Target
from features.contracts import SPINE, Dataset
from features.labels import find_outcome_values
from features.tools.instants import column_to_microseconds, duration_to_microseconds
from models.clusters import CLUSTER
from models.encoding import Encoding
from models.learners.amount_model import AmountModel, AmountRows
from models.training.folds import mask_train_rows
from pipelines.training_data import Snapshot, TrainingRows
from serve.scoring.scoring import PREDICT_BATCH_ROWS, look_up_amounts


def compute_realised_amounts(
    dataset: Dataset, target_config: Target, rows: pa.Table
) -> np.ndarray | None:
    """Return the realised amount of each row, NaN where unknown, None if the target has no amount.

    ``rows`` has entity_id, cutoff and a known label. A predicted amount is realised as the value of
    the outcome event, and as 0 without the outcome. Raises DataError for an amount that is no
    number.
    """
    if target_config.learns_amount:
        return np.where(
            rows["label"].to_numpy() == 1, find_outcome_values(dataset, rows, target_config), 0.0
        )
    lead = pa.array(dataset.find_leads(rows["entity_id"]))
    amounts = look_up_amounts(dataset, target_config, lead)
    return None if amounts is None else amounts.to_numpy(zero_copy_only=False)


def fit_amount_model(
    snapshot: Snapshot, target: str, rows: TrainingRows, encoding: Encoding
) -> AmountModel | None:
    """Return the amount model, fitted on all mature rows with the outcome and an amount.

    None if the target does not predict its amount, or if no row has one.
    """
    if not snapshot.project.target_config(target).learns_amount:
        return None
    amount_rows = _RowsWithAmount.from_snapshot(snapshot, target, rows)
    return amount_rows.fit_model(rows.matrix, amount_rows.row_number, encoding)


def predict_fold_amounts(
    snapshot: Snapshot, target: str, rows: TrainingRows, out_of_time: pa.Table
) -> np.ndarray | None:
    """Return the expected amount of each out-of-time row, by a model of its fold's train rows.

    None if the target does not predict its amount, NaN where the fold has no amount to fit on. The
    model of a fold uses all features of its train rows; the final model uses those of the scorer.
    """
    target_config = snapshot.project.target_config(target)
    if not target_config.learns_amount or target_config.horizon is None:
        return None
    amount_rows = _RowsWithAmount.from_snapshot(snapshot, target, rows)
    # The gap is that of the folds: a later value was not yet known when the fold was predicted.
    gap = duration_to_microseconds(target_config.horizon + snapshot.project.evaluation.embargo)
    cutoff = column_to_microseconds(rows.matrix["cutoff"])
    place = find_matrix_rows(rows.matrix, out_of_time, snapshot.dataset)
    features = [name for name in rows.matrix.column_names if name not in SPINE.names]
    fold, expected = out_of_time["fold"].to_numpy(), np.full(out_of_time.num_rows, np.nan)
    for number in np.unique(fold):
        test = np.flatnonzero(fold == number)
        train = mask_train_rows(cutoff, int(cutoff[place[test]].min()), gap)
        mature = np.flatnonzero(train & rows.labels["label"].is_valid().to_numpy())
        encoding = Encoding.fit(rows.matrix, features, mature)
        train_rows = amount_rows.row_number[train[amount_rows.row_number]]
        model = amount_rows.fit_model(rows.matrix, train_rows, encoding)
        if model is not None:
            # In batches, since encoding all rows of a fold at the same time would take memory for
            # nothing: no prediction depends on another row.
            for batch in np.array_split(test, len(test) // PREDICT_BATCH_ROWS + 1):
                expected[batch] = model.predict_amounts(encoding.encode(rows.matrix, place[batch]))
    return expected


def find_matrix_rows(matrix: pa.Table, rows: pa.Table, dataset: Dataset) -> np.ndarray:
    """Return the row number in ``matrix`` of each row, by entity_id and cutoff.

    Each row must be in the matrix.
    """
    dates = np.unique(column_to_microseconds(matrix["cutoff"]))

    def make_keys(table: pa.Table) -> np.ndarray:
        date = np.searchsorted(dates, column_to_microseconds(table["cutoff"]))
        # A pair of date and lead as one number, so that a binary search finds it without a join.
        return date * dataset.leads.num_rows + dataset.find_leads(table["entity_id"])

    matrix_keys = make_keys(matrix)
    order = np.argsort(matrix_keys)
    return order[np.searchsorted(matrix_keys, make_keys(rows), sorter=order)]


@dataclass(frozen=True)
class _RowsWithAmount:
    """The mature rows with the outcome and a known amount.

    Attributes:
        row_number: Row in the matrix of each of them, ascending.
        amount: Amount of each of them.
        cluster: Key (text) of those that depend on each other.
    """

    row_number: np.ndarray
    amount: np.ndarray
    cluster: np.ndarray

    @classmethod
    def from_snapshot(cls, snapshot: Snapshot, target: str, rows: TrainingRows) -> _RowsWithAmount:
        target_config = snapshot.project.target_config(target)
        values = find_outcome_values(snapshot.dataset, rows.labels, target_config)
        has_outcome = pc.fill_null(pc.equal(rows.labels["label"], 1), False).to_numpy()
        # An outcome without a value teaches nothing about amounts, and is not a zero either.
        row_number = np.flatnonzero(has_outcome & np.isfinite(values))
        cluster = rows.labels[CLUSTER].take(pa.array(row_number))
        return cls(row_number, values[row_number], cluster.to_numpy(zero_copy_only=False))

    def fit_model(
        self, matrix: pa.Table, row_number: np.ndarray, encoding: Encoding
    ) -> AmountModel | None:
        """Fit the model on some of the rows, given by their ascending numbers."""
        spine = matrix.select(SPINE.names).take(pa.array(row_number))
        rows = AmountRows(
            encoding.encode(matrix, row_number),
            self.amount[np.searchsorted(self.row_number, row_number)],
            spine["entity_id"].to_numpy(),
            column_to_microseconds(spine["cutoff"]),
            self.cluster[np.searchsorted(self.row_number, row_number)],
        )
        return AmountModel.fit(rows, encoding.categorical)
