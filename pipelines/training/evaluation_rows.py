"""What is known of tested rows beside label and probability: their batch of work, amount, and the parts they are of.

Nothing of it is told to a model. A segment's value is what was known at the cutoff where the attribute has a history,
and the lead's own of today where it has none.
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
from models.training.folds import RowKeys, mask_unseen_keys
from pipelines.results.evaluation import EvaluationRows
from pipelines.training.amounts import (
    compute_realised_amounts,
    find_matrix_rows,
    predict_fold_amounts,
)
from pipelines.training_data import Snapshot, TrainingRows
from serve.scoring.weekly_lists import total_weekly_capacity

STAGE = "stage_now"


def build_evaluation_rows(
    now: Snapshot, name: str, rows: TrainingRows, out_of_time: pa.Table
) -> EvaluationRows:
    """Return what is known of the rows of an OUT_OF_TIME table.

    Raises ConfigError for a segment that is no category attribute, DataError for an amount that is no number.
    """
    target, dataset = now.project.target_config(name), now.dataset
    lead, cutoff = (
        dataset.find_leads(out_of_time["entity_id"]),
        column_to_microseconds(out_of_time["cutoff"]),
    )
    batch, capacity = _assign_batches(
        out_of_time,
        target,
        total_weekly_capacity(dataset, now.project.capacity_config),
        dataset.timed,
    )
    return EvaluationRows(
        lead,
        batch,
        capacity,
        compute_realised_amounts(dataset, target, out_of_time),
        predict_fold_amounts(now, name, rows, out_of_time),
        _flag_unseen(now, rows.labels, out_of_time),
        {
            column: _look_up_segment(now, column, lead, cutoff)
            for column in now.project.evaluation.segments
        },
        _look_up_stage(dataset, rows.matrix, out_of_time),
    )


def check_segments(now: Snapshot) -> None:
    """Raise ConfigError for a segment of the config that is no category attribute of the data."""
    static = [
        name for name in now.dataset.attributes if pa.types.is_string(now.dataset.leads[name].type)
    ]
    wanted = [name for name in now.project.evaluation.segments if name not in static]
    if not wanted:
        return
    known = [
        *static,
        *(
            name
            for name, kind in infer_attribute_kinds(now.dataset.values).items()
            if kind == "category"
        ),
    ]
    odd = next((name for name in wanted if name not in known), None)
    if odd is not None:
        raise ConfigError(
            "a segment is not a category attribute",
            where=f"{now.project.path}: evaluation.segments",
            found=f"{odd!r}; there are {', '.join(known) or 'none'}",
            fix=did_you_mean(odd, known) or "name one of them, or leave it out",
        )


def _assign_batches(
    out_of_time: pa.Table, target: Target, capacity: int | None, timed: bool
) -> tuple[np.ndarray, int | None]:
    """Return which batch of work each row belongs to, and how many leads of a batch can be worked.

    ``capacity`` is a week's: it is held against the rows of one cutoff of a grid, in proportion to the grid's step,
    and against the rows of one week where each entity has its own cutoff. Without times there are no weeks: each fold
    is one batch.
    """
    if not timed:
        return out_of_time["fold"].to_numpy(), capacity
    cutoff, step = (
        column_to_microseconds(out_of_time["cutoff"]),
        target.cutoffs.every if target.cutoffs else None,
    )
    if step is None:
        return cutoff // duration_to_microseconds(WEEK), capacity
    return cutoff, max(1, round(capacity * (step / WEEK))) if capacity else None


def _flag_unseen(now: Snapshot, labels: pa.Table, out_of_time: pa.Table) -> dict[str, np.ndarray]:
    """Rows with times are learnt from before they are mature, as far as they were followed: these too are seen."""
    leads = now.dataset.leads
    known_rows, fold = labels.filter(labels["label"].is_valid()), out_of_time["fold"].to_numpy()
    known_rows = labels if now.dataset.timed else known_rows
    known, tested = (
        now.dataset.find_leads(table["entity_id"]) for table in (known_rows, out_of_time)
    )
    keys = {"entities": np.arange(leads.num_rows)}
    if leads["account_id"].null_count < leads.num_rows:
        keys["accounts"] = _number_accounts(leads["account_id"])
    gap = now.project.evaluation.embargo if now.dataset.ordered else None
    return {
        of: mask_unseen_keys(
            RowKeys(known, column_to_microseconds(known_rows["cutoff"]), key[known]),
            RowKeys(tested, column_to_microseconds(out_of_time["cutoff"]), key[tested]),
            fold,
            gap,
        )
        for of, key in keys.items()
    }


def _number_accounts(account: pa.ChunkedArray) -> np.ndarray:
    """Number the accounts; a lead without one is an account of its own."""
    code = pc.rank(account, tiebreaker="dense").to_numpy().astype(np.int64)
    return np.where(account.is_null().to_numpy(), -1 - np.arange(len(code)), code)


def _look_up_segment(now: Snapshot, column: str, lead: np.ndarray, cutoff: np.ndarray) -> pa.Array:
    check_segments(now)
    leads = now.dataset.leads
    if column in now.dataset.attributes:
        return leads[column].combine_chunks().take(pa.array(lead))
    return as_of_join(now.dataset.values, column, "category", lead, cutoff, leads)


def _look_up_stage(dataset: Dataset, matrix: pa.Table, out_of_time: pa.Table) -> pa.Array | None:
    if STAGE not in matrix.column_names:
        return None
    return (
        matrix[STAGE]
        .combine_chunks()
        .take(pa.array(find_matrix_rows(matrix, out_of_time, dataset)))
    )
