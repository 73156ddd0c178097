"""Calibration of each fold: from out-of-time rows of other folds, or inside its own train rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from configs.errors import DataError
from features.tools.instants import duration_to_microseconds
from models.calibration import MIN_CALIBRATION_ROWS, AffineCalibrator, fit_calibrator
from models.learners.blend import Blend
from models.learners.logistic import Logistic
from models.training.blending import (
    Margins,
    blend_margins,
    fit_blend_shares,
    list_models_to_fit,
)
from models.training.fit import predict_held_out
from models.training.folds import (
    Fold,
    count_rarer_class,
    hash_entities,
    mask_train_rows,
    split_by_cluster,
    split_latest_rows,
)
from models.training.settings import MIN_CLASS_ROWS, TrainingSettings
from models.training.training_rows import TrainingTable

# Share of a fold's train rows, the latest ones, that the inner models leave for the calibrators.
CALIBRATION_SHARE = 0.25
# The same share where the order of the rows means nothing: one of four parts of the clusters.
CALIBRATION_PARTS = 4


@dataclass(frozen=True)
class FoldCalibration:
    """Calibrators of the candidates and shares of the blend, from one fold's train rows.

    Attributes:
        calibrators: Calibrator of each model by name; a model without one stays as it is.
        shares: Share of each part of the blend; empty where no blend is tried.
    """

    calibrators: Mapping[str, AffineCalibrator]
    shares: Mapping[str, float]

    def apply(self, margins: Margins) -> Margins:
        """Return calibrated log-odds of each model."""
        identity = AffineCalibrator()
        return {
            name: self.calibrators.get(name, identity).apply(margin)
            for name, margin in margins.items()
        }


def fit_fold_calibration(
    table: TrainingTable, train: np.ndarray, settings: TrainingSettings
) -> FoldCalibration:
    """Return calibrators and blend shares, fitted on rows that the inner models were not fitted on.

    These rows are the latest slice of the rows at the positions ``train``; inner models are fitted
    on the earlier rows. Where the slice or the earlier rows hold too few outcomes, there is no
    calibrator, which means identity, and the logistic regression is the whole blend: its prior
    makes it the best with few outcomes.
    """
    fold = _split_calibration_rows(table, train, settings)
    if fold is None:
        return FoldCalibration({}, {Logistic.name: 1.0})
    margins, _ = predict_held_out(table, fold, list_models_to_fit(settings.learners), settings)
    rows = table.take(fold.test)
    shares: dict[str, float] = {}
    if Blend in settings.learners:
        shares = fit_blend_shares(margins, rows.label)
        margins[Blend.name] = blend_margins(margins, shares)
    return FoldCalibration(_calibrate_margins(margins, rows, settings), shares)


def calibrate_on_other_folds(
    margins: Margins, rows: TrainingTable, other: np.ndarray, settings: TrainingSettings
) -> FoldCalibration:
    """Return calibrators of the candidates, fitted on out-of-time log-odds of some rows.

    ``margins`` are those of all out-of-time rows, ``other`` the positions to fit on.
    """
    names = {
        *list_models_to_fit(settings.learners),
        *(learner.name for learner in settings.learners),
    }
    fitted = {name: margin[other] for name, margin in margins.items() if name in names}
    return FoldCalibration(_calibrate_margins(fitted, rows.take(other), settings), {})


def _calibrate_margins(
    margins: Margins, rows: TrainingTable, settings: TrainingSettings
) -> dict[str, AffineCalibrator]:
    return {name: calibrate_margin(margin, rows, settings) for name, margin in margins.items()}


def calibrate_margin(
    margin: np.ndarray, rows: TrainingTable, settings: TrainingSettings
) -> AffineCalibrator:
    """Return the calibrator of one model's out-of-time log-odds of the rows."""
    # Without an order, two random halves of the clusters stand for earlier and later rows.
    order = rows.cutoff if settings.ordered else hash_entities(rows.cluster, settings.seed + 2)
    return fit_calibrator(margin, rows.label, order, rows.cluster)


def select_calibration_rows(
    rows: TrainingTable, fold: np.ndarray, number: int, settings: TrainingSettings
) -> np.ndarray:
    """Return the positions of the out-of-time rows that may calibrate the fold ``number``.

    ``rows`` are the test rows of all folds, ``fold`` their fold numbers. In rows with an order they
    are those of earlier windows whose outcome was known at the start of this one, purged as train
    rows are; else all of the other folds. The scorer's calibrator is fitted on such rows too, so
    predictions calibrated on them show how it does on rows that it was not fitted on. There are
    none where they hold too few outcomes for a calibrator.
    """
    is_usable = fold != number
    if settings.ordered:
        start = int(rows.cutoff[fold == number].min())
        gap = settings.horizon_us + duration_to_microseconds(settings.evaluation.embargo)
        is_usable &= mask_train_rows(rows.cutoff, start, gap)
    usable = np.flatnonzero(is_usable)
    few = count_rarer_class(rows.label[usable]) < MIN_CALIBRATION_ROWS
    return usable[:0] if few else usable


def _split_calibration_rows(
    table: TrainingTable, train: np.ndarray, settings: TrainingSettings
) -> Fold | None:
    """Return inner train and calibration rows, None if either holds too few outcomes."""
    try:
        if settings.ordered:
            embargo = settings.evaluation.embargo
            inner = split_latest_rows(
                table.cutoff[train], settings.horizon, embargo, 1, CALIBRATION_SHARE
            )[0]
        else:
            # Seeds next to the one of the outer folds, so that the parts are independent of them.
            inner = split_by_cluster(table.cluster[train], CALIBRATION_PARTS, settings.seed + 1)[0]
    except DataError:
        return None
    fold = Fold(train[inner.train], train[inner.test])
    enough = (
        count_rarer_class(table.label[fold.train]) >= MIN_CLASS_ROWS
        and count_rarer_class(table.label[fold.test]) >= MIN_CALIBRATION_ROWS
    )
    return fold if enough else None
