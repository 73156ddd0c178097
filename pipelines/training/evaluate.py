"""Metrics of one target's out-of-time predictions: all rows, baselines and slices."""

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
    snapshot: Snapshot, target: str, rows: TrainingRows, result: BacktestResult
) -> Evaluation:
    """Return the metrics of a training's out-of-time rows.

    Raises what ``build_evaluation_rows`` raises.
    """
    table = result.out_of_time
    test_rows = build_evaluation_rows(snapshot, target, rows, table)
    everything = np.ones(table.num_rows, bool)
    baselines = {
        learner: evaluate_slices(
            _select_predictions(table, learner, test_rows), {"all": everything}
        )["all"]
        for learner in MODELS_BY_NAME
        if learner in table.column_names
    }
    challenger = _select_predictions(table, "probability", test_rows)
    parts = compute_sliced_metrics(
        challenger, dict(_yield_masks(test_rows, table, snapshot.project.features.stages))
    )
    # The predictions of the challenger are those of the learner that was chosen, so the metrics of
    # that learner are not computed again.
    return Evaluation(
        metrics=baselines.get(result.learner)
        or evaluate_slices(challenger, {"all": everything})["all"],
        baselines=baselines,
        unseen=_select_slices(parts, "unseen"),
        folds=_select_slices(parts, "fold"),
        segments={
            column: _select_slices(parts, f"segment {column}") for column in test_rows.segments
        },
        stages=_select_slices(parts, "stage"),
        reliability=compute_reliability(
            challenger.label, challenger.probability, challenger.clusters
        ),
        rows=test_rows,
    )


def _select_predictions(table: pa.Table, column: str, test_rows: EvaluationRows) -> PredictedRows:
    # Rows are ranked within their fold, whose model is its own.
    label, probability, fold = (table[name].to_numpy() for name in ("label", column, "fold"))
    value = None if test_rows.expected is None else probability * test_rows.expected
    return PredictedRows(
        label,
        probability,
        test_rows.entity,
        fold,
        test_rows.batch,
        test_rows.capacity,
        test_rows.amount,
        value,
        test_rows.cluster,
    )


def _yield_masks(
    test_rows: EvaluationRows, table: pa.Table, stages: tuple[str, ...]
) -> Iterator[tuple[SliceKey, np.ndarray]]:
    for kind, mask in test_rows.unseen.items():
        yield ("unseen", kind), mask
    fold = table["fold"].to_numpy()
    for number in np.unique(fold):
        yield ("fold", str(number)), fold == number
    for column, values in test_rows.segments.items():
        for value, mask in mask_by_value(values.to_pylist()).items():
            yield (f"segment {column}", value), mask
    if test_rows.stage is not None:
        for value, mask in mask_by_value(test_rows.stage.to_pylist(), stages).items():
            yield ("stage", value), mask


def _select_slices(parts: dict[SliceKey, SliceMetrics], kind: str) -> dict[str, SliceMetrics]:
    return {name: part for (slice_kind, name), part in parts.items() if slice_kind == kind}
