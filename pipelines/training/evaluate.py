"""What the out-of-time predictions of one target say: figures of all rows, of each baseline, and of the rows' parts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from models.evaluation.metrics import PredictedRows, compute_reliability, evaluate_slices
from models.evaluation.sliced_metrics import SliceMetrics, compute_sliced_metrics, mask_by_value
from models.learners.kinds import MODELS_BY_NAME
from models.training.results import BacktestResult
from pipelines.results.evaluation import Evaluation, EvaluationRows
from pipelines.training.evaluation_rows import build_evaluation_rows
from pipelines.training_data import Snapshot, TrainingRows

SliceKey = tuple[str, str]


def evaluate_predictions(
    now: Snapshot, name: str, rows: TrainingRows, tried: BacktestResult
) -> Evaluation:
    """Return the figures of a training's out-of-time rows; raises what ``tested_rows`` raises."""
    table = tried.out_of_time
    tested = build_evaluation_rows(now, name, rows, table)
    everything = np.ones(table.num_rows, bool)
    baselines = {
        learner: evaluate_slices(_select_predictions(table, learner, tested), {"all": everything})[
            "all"
        ]
        for learner in MODELS_BY_NAME
        if learner in table.column_names
    }
    challenger = _select_predictions(table, "probability", tested)
    parts = compute_sliced_metrics(
        challenger, dict(_yield_masks(tested, table, now.project.features.stages))
    )
    return Evaluation(
        metrics=baselines.get(tried.learner)
        or evaluate_slices(challenger, {"all": everything})["all"],
        baselines=baselines,
        unseen=_select_slices(parts, "unseen"),
        folds=_select_slices(parts, "fold"),
        segments={column: _select_slices(parts, f"segment {column}") for column in tested.segments},
        stages=_select_slices(parts, "stage"),
        reliability=compute_reliability(
            challenger.label, challenger.probability, challenger.entity_id
        ),
        rows=tested,
    )


def _select_predictions(table: pa.Table, column: str, tested: EvaluationRows) -> PredictedRows:
    # Rows are ranked within their fold, whose model is its own.
    label, probability, fold = (table[name].to_numpy() for name in ("label", column, "fold"))
    value = None if tested.expected is None else probability * tested.expected
    return PredictedRows(
        label, probability, tested.entity, fold, tested.batch, tested.capacity, tested.amount, value
    )


def _yield_masks(
    tested: EvaluationRows, table: pa.Table, stages: tuple[str, ...]
) -> Iterator[tuple[SliceKey, np.ndarray]]:
    for of, mask in tested.unseen.items():
        yield ("unseen", of), mask
    fold = table["fold"].to_numpy()
    for number in np.unique(fold):
        yield ("fold", str(number)), fold == number
    for column, values in tested.segments.items():
        for value, mask in mask_by_value(values.to_pylist()).items():
            yield (f"segment {column}", value), mask
    if tested.stage is not None:
        for value, mask in mask_by_value(tested.stage.to_pylist(), stages).items():
            yield ("stage", value), mask


def _select_slices(parts: dict[SliceKey, SliceMetrics], kind: str) -> dict[str, SliceMetrics]:
    return {name: part for (of, name), part in parts.items() if of == kind}
