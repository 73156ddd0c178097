"""Refit: the final scorer, from all mature rows and the out-of-time predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow.compute as pc

from models.calibration import AffineCalibrator, ProbabilityBand, to_probability
from models.learners.blend import Blend
from models.learners.hazard import Hazard
from models.learners.lightgbm import LightGbm
from models.learners.logistic import Logistic
from models.learners.protocol import Model
from models.learners.segmented import (
    ModelOfSegment,
    Segmented,
    SegmentedPart,
    require_segmented_part,
)
from models.scorer import Scorer, ScoreScale
from models.segments.choice import OWN
from models.training.blending import build_blend, fit_blend_shares
from models.training.by_segment import SegmentComposition, fit_segment_lines
from models.training.calibrate import calibrate_margin
from models.training.fit import OwnModel, fit_models
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
    shares = _fit_shares(predictions, learner)
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
        model=_select_model(fitted.models, learner, shares),
        encoding=fitted.encoding,
        calibrator=calibrator,
        band=ProbabilityBand.fit(probability, rows.label, rows.cluster, disagreement),
        scale=ScoreScale.fit(probability),
        metadata=metadata,
        timing=timing if isinstance(timing, Hazard) else None,
    )


def refit_segments(
    scorer: Scorer,
    table: TrainingTable,
    composition: SegmentComposition,
    settings: TrainingSettings,
) -> Scorer:
    """Return the scorer with the chosen model of each segment, fitted on all mature rows.

    ``scorer`` is the refitted global one. Calibrators, band and scale come from the pooled
    out-of-time predictions.
    """
    candidates, predictions = composition.candidates, composition.predictions
    rows, raw = predictions.rows, predictions.raw[composition.learner.name]
    everything = np.arange(len(raw))
    lines = fit_segment_lines(
        predictions, composition.learner, candidates.own, candidates.code, everything, settings
    )
    column = scorer.encoding.names.index(settings.segment_column)
    categories = scorer.encoding.features[column].categories
    margin, parts = scorer.calibrator.apply(raw), []
    for segment, (name, decision) in enumerate(composition.decisions.items()):
        line = lines[segment].select_line(decision.model)
        if line is None:
            continue
        is_own = decision.model == OWN
        predicted = candidates.own if is_own else margin
        place = (candidates.code == segment) & np.isfinite(predicted)
        margin[place] = line.apply(predicted[place])
        own = _refit_own(scorer, table, composition, name, settings) if is_own else None
        parts.append(ModelOfSegment(categories.index(name), line, own))
    parts.sort(key=lambda part: part.code)
    probability = to_probability(margin)
    return replace(
        scorer,
        model=Segmented(
            column, require_segmented_part(scorer.model), scorer.calibrator, tuple(parts)
        ),
        # The model itself calibrates each segment.
        calibrator=AffineCalibrator(),
        band=ProbabilityBand.fit(
            probability, rows.label, rows.cluster, _measure_disagreement(predictions)
        ),
        scale=ScoreScale.fit(probability),
    )


def _refit_own(
    scorer: Scorer,
    table: TrainingTable,
    composition: SegmentComposition,
    name: str,
    settings: TrainingSettings,
) -> SegmentedPart:
    """Return the own model of a segment, fitted on all of its mature rows."""
    learner = composition.learner
    column = table.matrix[settings.segment_column].take(table.row_number)
    is_member = pc.fill_null(pc.equal(column, name), False).to_numpy()
    segment = table.take(np.flatnonzero(is_member))
    settings.log(f"{name}: training on its {len(segment.mature_rows):,} mature rows alone")
    own = OwnModel(learner, scorer.encoding, _fit_shares(composition.predictions, learner))
    known_until = settings.known_until(None)
    models = own.fit_models(segment, segment.mature_rows, known_until, settings).models
    return require_segmented_part(_select_model(models, learner, own.shares))


def _fit_shares(predictions: OutOfTimePredictions, learner: type[Model]) -> dict[str, float]:
    """Return the share of each part of a blend; any other learner is its only part."""
    if learner is Blend:
        return fit_blend_shares(predictions.raw, predictions.rows.label)
    return {learner.name: 1.0}


def _select_model(
    models: Mapping[str, Model], learner: type[Model], shares: Mapping[str, float]
) -> Model:
    return build_blend(models, shares) if learner is Blend else models[learner.name]


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
