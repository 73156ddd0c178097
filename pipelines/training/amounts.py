"""What the outcomes of a target were worth, and what is learnt from it of those to come."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.targets import Target
from features.contracts import SPINE, Dataset
from features.labels import find_outcome_values
from features.tools.instants import column_to_microseconds, duration_to_microseconds
from models.encoding import Encoding
from models.learners.amount_model import AmountModel, AmountRows
from models.training.folds import mask_train_rows
from pipelines.training_data import Snapshot, TrainingRows
from serve.scoring.scoring import PREDICT_BATCH_ROWS, look_up_amounts


def compute_realised_amounts(dataset: Dataset, target: Target, rows: pa.Table) -> np.ndarray | None:
    """Return what the outcome of each row (entity_id, cutoff and a label that is known) is worth, NaN where unknown.

    A learnt amount is known afterwards: the value of the outcome event, and nothing where the outcome did not come.
    None where the target has no amount; raises DataError for one that is no number.
    """
    if target.learns_amount:
        return np.where(
            rows["label"].to_numpy() == 1, find_outcome_values(dataset, rows, target), 0.0
        )
    found = look_up_amounts(dataset, target, pa.array(dataset.find_leads(rows["entity_id"])))
    return None if found is None else found.to_numpy(zero_copy_only=False)


def fit_amount_model(
    now: Snapshot, name: str, rows: TrainingRows, encoding: Encoding
) -> AmountModel | None:
    """Return what all mature rows with the outcome teach; None where the target does not ask, or none has a value."""
    if not now.project.target_config(name).learns_amount:
        return None
    known = _AmountRows.of(now, name, rows)
    return known.learn(rows.matrix, known.number, encoding)


def predict_fold_amounts(
    now: Snapshot, name: str, rows: TrainingRows, out_of_time: pa.Table
) -> np.ndarray | None:
    """Return the amount that the outcome of each tested row was expected to have by what its fold knew.

    None where the target does not learn it, NaN where the fold knew no amount. Each fold learns from all features of
    the rows that it knew; the final model reads those that the scorer reads.
    """
    target = now.project.target_config(name)
    if not target.learns_amount or target.horizon is None:
        return None
    known, gap = (
        _AmountRows.of(now, name, rows),
        duration_to_microseconds(target.horizon + now.project.evaluation.embargo),
    )
    cutoff, place = (
        column_to_microseconds(rows.matrix["cutoff"]),
        find_matrix_rows(rows.matrix, out_of_time, now.dataset),
    )
    fold, expected = out_of_time["fold"].to_numpy(), np.full(out_of_time.num_rows, np.nan)
    for each in np.unique(fold):
        tested = np.flatnonzero(fold == each)
        before = mask_train_rows(cutoff, int(cutoff[place[tested]].min()), gap)
        mature = np.flatnonzero(before & rows.labels["label"].is_valid().to_numpy())
        encoding = Encoding.fit(
            rows.matrix, [n for n in rows.matrix.column_names if n not in SPINE.names], mature
        )
        worth = known.learn(rows.matrix, known.number[before[known.number]], encoding)
        if worth is not None:
            for some in np.array_split(tested, len(tested) // PREDICT_BATCH_ROWS + 1):
                expected[some] = worth.predict_amounts(encoding.encode(rows.matrix, place[some]))
    return expected


def find_matrix_rows(matrix: pa.Table, rows: pa.Table, dataset: Dataset) -> np.ndarray:
    """Return the row number in ``matrix`` of each row, which must be there, by entity_id and cutoff."""
    dates = np.unique(column_to_microseconds(matrix["cutoff"]))

    def key(table: pa.Table) -> np.ndarray:
        date = np.searchsorted(dates, column_to_microseconds(table["cutoff"]))
        return date * dataset.leads.num_rows + dataset.find_leads(table["entity_id"])

    of_matrix = key(matrix)
    order = np.argsort(of_matrix)
    return order[np.searchsorted(of_matrix, key(rows), sorter=order)]


@dataclass(frozen=True)
class _AmountRows:
    """The ``number`` in the matrix of each row with the outcome and an amount that is known, and that ``amount``."""

    number: np.ndarray
    amount: np.ndarray

    @classmethod
    def of(cls, now: Snapshot, name: str, rows: TrainingRows) -> _AmountRows:
        values = find_outcome_values(now.dataset, rows.labels, now.project.target_config(name))
        happened = pc.fill_null(pc.equal(rows.labels["label"], 1), False).to_numpy()
        number = np.flatnonzero(happened & np.isfinite(values))
        return cls(number, values[number])

    def learn(self, matrix: pa.Table, number: np.ndarray, encoding: Encoding) -> AmountModel | None:
        """Learn from some of the rows, by their ascending numbers."""
        spine = matrix.select(SPINE.names).take(pa.array(number))
        amount = self.amount[np.searchsorted(self.number, number)]
        rows = AmountRows(
            encoding.encode(matrix, number),
            amount,
            spine["entity_id"].to_numpy(),
            column_to_microseconds(spine["cutoff"]),
        )
        return AmountModel.fit(rows, encoding.categorical)
