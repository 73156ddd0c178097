"""Training of one target: plan folds, predict them, choose a learner, refit.

Each fold runs the whole procedure on its train rows, encoding, feature selection, search and
calibration included, and predicts its test rows. So the out-of-time predictions leak nothing. The
final scorer is then fitted on all mature rows and calibrated on the pooled predictions.
"""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from models.learners.protocol import Model
from models.learners.segmented import Segmented
from models.learners.target_encoding import TargetEncodedTrees, has_many_levels
from models.training.by_segment import SegmentComposition, compose_by_segment
from models.training.choose import choose_learner
from models.training.folds import Fold, plan_folds
from models.training.predict import OutOfTimePredictions, predict_folds
from models.training.refit import refit_scorer, refit_segments
from models.training.results import (
    BacktestResult,
    TrainResult,
    describe_folds,
    tabulate_predictions,
)
from models.training.settings import TrainingSettings
from models.training.training_rows import TrainingTable


def train_scorer(matrix: pa.Table, labels: pa.Table, settings: TrainingSettings) -> TrainResult:
    """Train, evaluate out of time, and return the scorer that is fitted on all mature rows.

    ``matrix`` holds SPINE and feature columns (float64 or string), ``labels`` is a LABELS table in
    the same row order. Rows without a label are right-censored: they are trained on as far as they
    were followed up, and never tested on. The candidate with the lowest pooled out-of-time log
    loss is chosen; LightGBM stays unless another is better beyond noise, and with few outcomes the
    logistic regression does.

    Raise DataError, with counts, for tables that do not match, too few mature rows or outcomes, or
    too short a history.
    """
    table = TrainingTable.from_tables(matrix, labels)
    settings = drop_idle_learners(table, settings)
    folds = plan_folds(table, settings)
    predictions = predict_folds(table, folds, settings)
    # Chosen before the refit, so that only the chosen learner is fitted on all rows.
    learner = choose_learner(table, predictions, settings)
    composition = _compose_segments(table, folds, predictions, learner, settings)
    scorer = refit_scorer(table, predictions, learner, settings)
    if composition is not None and not composition.is_global:
        scorer = refit_segments(scorer, table, composition, settings)
    result = _describe_result(table, folds, predictions, learner, composition)
    return TrainResult(**vars(result), scorer=scorer)


def backtest_learners(
    matrix: pa.Table, labels: pa.Table, settings: TrainingSettings
) -> BacktestResult:
    """Return what ``train_scorer`` returns, without the scorer; raise the same errors."""
    table = TrainingTable.from_tables(matrix, labels)
    settings = drop_idle_learners(table, settings)
    folds = plan_folds(table, settings)
    predictions = predict_folds(table, folds, settings)
    learner = choose_learner(table, predictions, settings)
    composition = _compose_segments(table, folds, predictions, learner, settings)
    return _describe_result(table, folds, predictions, learner, composition)


def _compose_segments(
    table: TrainingTable,
    folds: list[Fold],
    predictions: OutOfTimePredictions,
    learner: type[Model],
    settings: TrainingSettings,
) -> SegmentComposition | None:
    """Return the choice of each segment's model; None where the config names no segment."""
    if not settings.segment_column:
        return None
    composition = compose_by_segment(table, folds, predictions, learner, settings)
    settings.log(f"by {settings.segment_column}: {composition.sentence}")
    return composition


def _describe_result(
    table: TrainingTable,
    folds: list[Fold],
    predictions: OutOfTimePredictions,
    learner: type[Model],
    composition: SegmentComposition | None,
) -> BacktestResult:
    """Return the result of the learner, or of the models that its segments have."""
    rows = describe_folds(table, folds)
    if composition is None or composition.is_global:
        out_of_time = tabulate_predictions(predictions, learner.name)
        segments = composition.rows if composition else ()
        return BacktestResult(out_of_time, rows, learner.name, segments=segments)
    name = Segmented.name
    return BacktestResult(
        tabulate_predictions(composition.predictions, name),
        rows,
        name,
        global_learner=learner.name,
        segments=composition.rows,
    )


def predict_out_of_time(
    matrix: pa.Table, labels: pa.Table, settings: TrainingSettings
) -> OutOfTimePredictions:
    """Return the out-of-time predictions of ``settings.learners`` and the baselines alone.

    Tables, folds, procedure and errors are those of ``train_scorer``.
    """
    table = TrainingTable.from_tables(matrix, labels)
    settings = drop_idle_learners(table, settings)
    return predict_folds(table, plan_folds(table, settings), settings)


def drop_idle_learners(table: TrainingTable, settings: TrainingSettings) -> TrainingSettings:
    """Return the settings without target encoding where no feature has many categories.

    It would cost as much time as LightGBM, and have little to add.
    """
    columns = [table.matrix[name] for name in table.feature_names]
    counts = [pc.count_distinct(c).as_py() for c in columns if pa.types.is_string(c.type)]
    if any(has_many_levels(count) for count in counts):
        return settings
    learners = tuple(kind for kind in settings.learners if kind is not TargetEncodedTrees)
    return replace(settings, learners=learners)
