"""Refit: the final scorer, from all mature rows and the out-of-time predictions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.calibration import ProbabilityBand, to_probability
from models.learners.blend import Blend
from models.learners.hazard import Hazard
from models.learners.lightgbm import LightGbm
from models.learners.logistic import Logistic
from models.learners.protocol import Model
from models.scorer import Scorer, ScoreScale
from models.training.blending import build_blend, fit_blend_shares
from models.training.calibrate import calibrate_margin
from models.training.fit import fit_models
from models.training.predict import OutOfTimePredictions
from models.training.settings import TrainingSettings
from models.training.training_rows import AvailableRows, TrainingTable


def refit_scorer(
    table: TrainingTable,
    predictions: OutOfTimePredictions,
    learner: type[Model],
    settings: TrainingSettings,
) -> Scorer:
    """Return the scorer of the chosen learner, fitted on all mature rows.

    Calibrator, band and scale come from the pooled out-of-time predictions. Band and scale belong
    to the calibrator that the scorer applies.
    """
    mature = table.mature_rows
    settings.log(f"{learner.name}: training on all {len(mature):,} mature rows")
    disagreement = _measure_disagreement(predictions)
    raw, rows = predictions.raw[learner.name], predictions.rows
    calibrator = calibrate_margin(raw, rows, settings)
    probability = to_probability(calibrator.apply(raw))
    shares = (
        fit_blend_shares(predictions.raw, rows.label) if learner is Blend else {learner.name: 1.0}
    )
    # The hazard model is fitted with any learner: it also predicts when the outcome comes.
    names = {name for name, share in shares.items() if share > 0} | {Hazard.name}
    known_until = settings.known_until(None)
    available = AvailableRows.from_cutoff(table, mature, known_until, settings.horizon_us)
    fitted = fit_models(available, names, settings)
    metadata = settings.metadata
    if fitted.search:
        settings.log(fitted.search["report"]["sentence"])
        metadata = replace(metadata, search=fitted.search)
    timing = fitted.models.get(Hazard.name)
    return Scorer(
        target=settings.target,
        model=build_blend(fitted.models, shares)
        if learner is Blend
        else fitted.models[learner.name],
        encoding=fitted.encoding,
        calibrator=calibrator,
        band=ProbabilityBand.fit(probability, rows.label, rows.cluster, disagreement),
        scale=ScoreScale.fit(probability),
        metadata=metadata,
        timing=timing if isinstance(timing, Hazard) else None,
    )


def _measure_disagreement(predictions: OutOfTimePredictions) -> np.ndarray:
    """Return the distance in log-odds (rows,) between LightGBM and the logistic regression.

    It is 0 where only one of them was tried.
    """
    margins = [
        predictions.calibrated[learner.name]
        for learner in (LightGbm, Logistic)
        if learner.name in predictions.calibrated
    ]
    return np.abs(margins[0] - margins[1]) if len(margins) == 2 else np.zeros(len(predictions.fold))
