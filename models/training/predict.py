"""Out-of-time predictions: each fold is fitted, calibrated and predicted on its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from features.progress.report import report_progress
from models.encoding import Encoding
from models.learners.blend import Blend
from models.training.blending import Margins, blend_margins, list_models_to_fit
from models.training.calibrate import (
    FoldCalibration,
    calibrate_on_other_folds,
    fit_fold_calibration,
    select_calibration_rows,
)
from models.training.fit import predict_held_out
from models.training.folds import Fold
from models.training.settings import BASELINES, TrainingSettings
from models.training.training_rows import TrainingTable


@dataclass(frozen=True)
class OutOfTimePredictions:
    """Out-of-time log-odds of the test rows of all folds, ordered by fold and row.

    Attributes:
        rows: Test rows.
        fold: Fold number of each row, from 1.
        raw: Log-odds (rows,) of each model.
        calibrated: Log-odds (rows,) of each model, calibrated where it is a candidate.
        as_shipped: Whether the calibrator of the row's fold is fitted as the scorer's is: on
            out-of-time rows of other folds. Else it is fitted inside the fold's train rows.
        encodings: Features that the models of each fold read.
        shares: Share of each part of the blend in each fold; empty where no blend is tried.
    """

    rows: TrainingTable
    fold: np.ndarray
    raw: Margins
    calibrated: Margins
    as_shipped: np.ndarray
    encodings: tuple[Encoding, ...]
    shares: tuple[Mapping[str, float], ...]


def predict_folds(
    table: TrainingTable, folds: list[Fold], settings: TrainingSettings
) -> OutOfTimePredictions:
    """Run the whole procedure on each fold's train rows and predict its test rows."""
    raw, encodings, calibrations = [], [], []
    for margins, encoding, calibration in _run_folds(table, folds, settings):
        if Blend in settings.learners:
            margins[Blend.name] = blend_margins(margins, calibration.shares)
        raw.append(margins)
        encodings.append(encoding)
        calibrations.append(calibration)
    rows = table.take(np.concatenate([fold.test for fold in folds]))
    number = np.repeat(np.arange(1, len(folds) + 1), [fold.test.size for fold in folds])
    all_raw = _concatenate_margins(raw)
    calibrated, as_shipped = _calibrate_folds(rows, number, all_raw, calibrations, settings)
    shares = tuple(calibration.shares for calibration in calibrations)
    return OutOfTimePredictions(
        rows, number, all_raw, calibrated, as_shipped, tuple(encodings), shares
    )


def _calibrate_folds(
    rows: TrainingTable,
    fold: np.ndarray,
    raw: Margins,
    inner: list[FoldCalibration],
    settings: TrainingSettings,
) -> tuple[Margins, np.ndarray]:
    """Calibrate each fold on the out-of-time rows of others; ``inner`` where these are too few.

    Return calibrated log-odds, and whether each row's calibrator is of the first kind.
    """
    calibrated = {name: np.empty(len(fold)) for name in raw}
    as_shipped = np.zeros(len(fold), bool)
    for number, calibration in enumerate(inner, 1):
        test = np.flatnonzero(fold == number)
        other = select_calibration_rows(rows, fold, number, settings)
        if other.size:
            calibration = calibrate_on_other_folds(raw, rows, other, settings)
            as_shipped[test] = True
        margins = calibration.apply({name: margin[test] for name, margin in raw.items()})
        for name, margin in margins.items():
            calibrated[name][test] = margin
    return calibrated, as_shipped


def _run_folds(
    table: TrainingTable, folds: list[Fold], settings: TrainingSettings
) -> Iterator[tuple[Margins, Encoding, FoldCalibration]]:
    """Yield each fold's log-odds, encoding and calibration, in order.

    Folds run in parallel on all cores.
    """
    names = list_models_to_fit((*settings.learners, *BASELINES))
    # More threads in one matrix product add up in another order: the last bits of the result
    # would depend on the number of cores.
    with threadpool_limits(1):
        pool = Parallel(n_jobs=-1, prefer="threads", return_as="generator")
        jobs = (
            job
            for fold in folds
            for job in (
                delayed(predict_held_out)(table, fold, names, settings),
                delayed(fit_fold_calibration)(table, fold.train, settings),
            )
        )
        results = pool(jobs)
        for number, fold in enumerate(folds, 1):
            (margins, encoding), calibration = next(results), next(results)
            report_progress("training folds", number, len(folds))
            settings.log(
                f"fold {number} of {len(folds)}: trained on {fold.train.size:,} rows, "
                f"tested on {fold.test.size:,}"
            )
            yield margins, encoding, calibration


def _concatenate_margins(folds: list[Margins]) -> Margins:
    """Join the folds' log-odds; a model that is absent from one fold is left out of all."""
    common = [name for name in folds[0] if all(name in margins for margins in folds)]
    return {name: np.concatenate([margins[name] for margins in folds]) for name in common}
