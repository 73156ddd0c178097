"""Training of one target: plan folds, predict them, choose a learner, refit.

Each fold runs the whole procedure on its train rows, encoding, feature selection, search and
calibration included, and predicts its test rows. So the out-of-time predictions leak nothing. The
final scorer is then fitted on all mature rows and calibrated on the pooled predictions.
"""

from __future__ import annotations

import pyarrow as pa

from models.training.choose import choose_learner
from models.training.folds import plan_folds
from models.training.predict import OutOfTimePredictions, predict_folds
from models.training.refit import refit_scorer
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
    loss is chosen; LightGBM stays unless another is better beyond noise.

    Raise DataError, with counts, for tables that do not match, too few mature rows or outcomes, or
    too short a history.
    """
    table = TrainingTable.from_tables(matrix, labels)
    folds = plan_folds(table, settings)
    predictions = predict_folds(table, folds, settings)
    # Chosen before the refit, so that only the chosen learner is fitted on all rows.
    learner = choose_learner(predictions, settings)
    scorer = refit_scorer(table, predictions, learner, settings)
    out_of_time = tabulate_predictions(predictions, learner.name)
    return TrainResult(out_of_time, describe_folds(table, folds), learner.name, scorer)


def backtest_learners(
    matrix: pa.Table, labels: pa.Table, settings: TrainingSettings
) -> BacktestResult:
    """Return what ``train_scorer`` returns, without the scorer; raise the same errors."""
    table = TrainingTable.from_tables(matrix, labels)
    folds = plan_folds(table, settings)
    predictions = predict_folds(table, folds, settings)
    learner = choose_learner(predictions, settings)
    out_of_time = tabulate_predictions(predictions, learner.name)
    return BacktestResult(out_of_time, describe_folds(table, folds), learner.name)


def predict_out_of_time(
    matrix: pa.Table, labels: pa.Table, settings: TrainingSettings
) -> OutOfTimePredictions:
    """Return the out-of-time predictions of ``settings.learners`` and the baselines alone.

    Tables, folds, procedure and errors are those of ``train_scorer``.
    """
    table = TrainingTable.from_tables(matrix, labels)
    return predict_folds(table, plan_folds(table, settings), settings)
