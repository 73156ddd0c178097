"""Columns of out-of-time rows that metrics need: batch of work, amount, and slices.

No model sees them. A segment has the value known at the cutoff if the attribute has a history,
and the current value of the lead if it has none.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import ConfigError
from configs.suggestions import did_you_mean
from configs.targets import Target
from features.contracts import Dataset
from features.definitions.attributes import as_of_join, infer_attribute_kinds
from features.tools.instants import WEEK, column_to_microseconds, duration_to_microseconds
from models.clusters import number_clusters
from models.training.folds import RowKeys, mask_unseen_keys
from pipelines.results.evaluation import EvaluationRows
from pipelines.training.amounts import (
    compute_realised_amounts,
    find_matrix_rows,
    predict_fold_amounts,
)
from pipelines.training_data import Snapshot, TrainingRows
from serve.scoring.weekly_lists import total_weekly_capacity

# Feature that holds the stage of a lead at the cutoff.
STAGE = "stage_now"


def build_evaluation_rows(
    snapshot: Snapshot, target: str, rows: TrainingRows, out_of_time: pa.Table
) -> EvaluationRows:
    """Return the columns that metrics need, one element per row of an OUT_OF_TIME table.

    Raises ConfigError for a segment that is no category attribute, and DataError for an amount that
    is no number.
    """
    target_config, dataset = snapshot.project.target_config(target), snapshot.dataset
    lead, cutoff = (
        dataset.find_leads(out_of_time["entity_id"]),
        column_to_microseconds(out_of_time["cutoff"]),
    )
    batch, capacity = _assign_batches(
        out_of_time,
        target_config,
        total_weekly_capacity(dataset, snapshot.project.capacity_config),
        dataset.timed,
    )
    return EvaluationRows(
        lead,
        number_clusters(out_of_time),
        batch,
        capacity,
        compute_realised_amounts(dataset, target_config, out_of_time),
        predict_fold_amounts(snapshot, target, rows, out_of_time),
        _flag_unseen(snapshot, rows.labels, out_of_time),
        {
            column: _look_up_segment(snapshot, column, lead, cutoff)
            for column in snapshot.project.evaluation.segments
        },
        _look_up_stage(dataset, rows.matrix, out_of_time),
    )


def check_segments(snapshot: Snapshot) -> None:
    """Raise ConfigError for a segment of the config that is no category attribute of the data."""
    segments = snapshot.project.evaluation.segments
    if not segments:
        return
    known = list_category_attributes(snapshot)
    invalid = next((name for name in segments if name not in known), None)
    if invalid is not None:
        raise ConfigError(
            "a segment is not a category attribute",
            where=f"{snapshot.project.path}: evaluation.segments",
            found=f"{invalid!r}; there are {', '.join(known) or 'none'}",
            fix=did_you_mean(invalid, known) or "name one of them, or leave it out",
        )


def list_category_attributes(snapshot: Snapshot) -> list[str]:
    """Return the attributes that are categories: those of the leads, then those with a history."""
    dataset = snapshot.dataset
    static = [name for name in dataset.attributes if pa.types.is_string(dataset.leads[name].type)]
    kinds = infer_attribute_kinds(dataset.values, dataset.readings.columns)
    return [*static, *(name for name, kind in kinds.items() if kind == "category")]


def _assign_batches(
    out_of_time: pa.Table, target_config: Target, capacity: int | None, timed: bool
) -> tuple[np.ndarray, int | None]:
    """Return the batch of work of each row, and the number of leads that can be worked in a batch.

    ``capacity`` is that of a week. On a grid of cutoffs a batch is the rows of one cutoff, and the
    capacity is in proportion to the grid's step. Where each entity has its own cutoff, a batch is
    the rows of one week. Without times each fold is one batch.
    """
    if not timed:
        return out_of_time["fold"].to_numpy(), capacity
    cutoff, step = (
        column_to_microseconds(out_of_time["cutoff"]),
        target_config.cutoffs.every if target_config.cutoffs else None,
    )
    if step is None:
        return cutoff // duration_to_microseconds(WEEK), capacity
    # At least 1: the capacity of a short step must not be rounded down to no lead.
    return cutoff, max(1, round(capacity * (step / WEEK))) if capacity else None


def _flag_unseen(
    snapshot: Snapshot, labels: pa.Table, out_of_time: pa.Table
) -> dict[str, np.ndarray]:
    """Return whether the entity, and the account if any, of each row is new to its fold."""
    leads = snapshot.dataset.leads
    # Rows of data with times are trained on before they are mature, as far as they were followed:
    # right-censored rows count as seen.
    known_rows, fold = labels.filter(labels["label"].is_valid()), out_of_time["fold"].to_numpy()
    known_rows = labels if snapshot.dataset.timed else known_rows
    known, test = (
        snapshot.dataset.find_leads(table["entity_id"]) for table in (known_rows, out_of_time)
    )
    keys = {"entities": np.arange(leads.num_rows)}
    if leads["account_id"].null_count < leads.num_rows:
        keys["accounts"] = _number_accounts(leads["account_id"])
    gap = snapshot.project.evaluation.embargo if snapshot.dataset.ordered else None
    return {
        kind: mask_unseen_keys(
            RowKeys(known, column_to_microseconds(known_rows["cutoff"]), key[known]),
            RowKeys(test, column_to_microseconds(out_of_time["cutoff"]), key[test]),
            fold,
            gap,
        )
        for kind, key in keys.items()
    }


def _number_accounts(account: pa.ChunkedArray) -> np.ndarray:
    """Return the number of each lead's account; a lead without one is an account of its own."""
    code = pc.rank(account, tiebreaker="dense").to_numpy().astype(np.int64)
    # Negative numbers, which no account has, since ranks are positive.
    return np.where(account.is_null().to_numpy(), -1 - np.arange(len(code)), code)


def _look_up_segment(
    snapshot: Snapshot, column: str, lead: np.ndarray, cutoff: np.ndarray
) -> pa.Array:
    check_segments(snapshot)
    leads = snapshot.dataset.leads
    if column in snapshot.dataset.attributes:
        return leads[column].combine_chunks().take(pa.array(lead))
    return as_of_join(snapshot.dataset.values, column, "category", lead, cutoff, leads)


def _look_up_stage(dataset: Dataset, matrix: pa.Table, out_of_time: pa.Table) -> pa.Array | None:
    if STAGE not in matrix.column_names:
        return None
    return (
        matrix[STAGE]
        .combine_chunks()
        .take(pa.array(find_matrix_rows(matrix, out_of_time, dataset)))
    )
