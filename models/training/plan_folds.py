"""Folds of a training: mature rows only, and only folds with enough outcomes to fit on."""

from __future__ import annotations

import numpy as np

from configs.errors import DataError
from models.training.folds import Fold, split_by_entity, split_rolling_origin
from models.training.settings import MIN_CLASS_ROWS, TrainingSettings
from models.training.training_rows import TrainingTable


def plan_folds(table: TrainingTable, settings: TrainingSettings) -> list[Fold]:
    """Return the folds of a training, as positions in the table.

    Only mature rows are in a fold. Folds with too few outcomes among their train rows are left
    out: the first folds of a young history often hold no outcome yet.

    Raise DataError, with counts, if there are too few mature rows or outcomes, or if the history
    is too short.
    """
    mature = table.mature_rows
    label = table.label[mature]
    _require_both_classes(label, len(table.label))
    evaluation = settings.evaluation
    if settings.ordered:
        folds = split_rolling_origin(
            table.cutoff[mature],
            settings.horizon,
            evaluation.embargo,
            evaluation.folds,
            evaluation.share,
        )
    else:
        # One part alone would leave no rows to fit on.
        folds = split_by_entity(table.entity_id[mature], max(evaluation.folds, 2), settings.seed)
    return [
        Fold(mature[fold.train], mature[fold.test]) for fold in _keep_trainable_folds(folds, label)
    ]


def count_rarer_class(label: np.ndarray) -> int:
    """Return the number of rows with the rarer of the labels 0 and 1."""
    return int(min(label.sum(), (1 - label).sum()))


def _require_both_classes(label: np.ndarray, all_rows: int) -> None:
    found = (
        f"{len(label)} of {all_rows} rows are mature, {int(label.sum())} of them with the outcome"
    )
    if not len(label):
        raise DataError(
            "no rows are mature",
            found=found,
            fix="provide a longer history, choose a shorter horizon, or wait for outcomes",
        )
    if count_rarer_class(label) < MIN_CLASS_ROWS:
        raise DataError(
            "too few outcomes to train on"
            if label.mean() < 0.5
            else "nearly every row has the outcome",
            found=found,
            fix=f"at least {MIN_CLASS_ROWS} rows with and {MIN_CLASS_ROWS} without the outcome are "
            "needed; check outcome and population",
        )


def _keep_trainable_folds(folds: list[Fold], label: np.ndarray) -> list[Fold]:
    counts = [count_rarer_class(label[fold.train]) for fold in folds]
    if max(counts) < MIN_CLASS_ROWS:
        raise DataError(
            "too few outcomes before the test window to train on",
            where="evaluation",
            found=f"{int(label.sum())} outcomes in all, but at most {max(counts)} train rows of "
            f"the rarer class in each of {len(folds)} folds",
            fix="provide more history, or choose a smaller evaluation.share or a shorter horizon",
        )
    return [fold for fold, count in zip(folds, counts, strict=True) if count >= MIN_CLASS_ROWS]
