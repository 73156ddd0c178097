"""Models by segment: candidates of each segment out of time, their choice, and the final model.

The choice of a fold sees only rows of earlier test windows whose outcomes were known when its own
window began. The final model takes the choice of the last fold: so the last window, on which the
gate judges the composed model, had no part in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from models.calibration import MIN_CALIBRATION_ROWS, AffineCalibrator
from models.evaluation.metrics import Estimate
from models.evaluation.segment_kinds import SegmentModel
from models.learners.protocol import Model
from models.learners.segmented import Segmented
from models.segments.choice import (
    GLOBAL,
    OWN,
    RECALIBRATED,
    SegmentDecision,
    SegmentEvidence,
    choose_segment_models,
    compare_models,
)
from models.segments.members import SegmentMembers
from models.segments.segment_rows import (
    ALL,
    MODEL_WORDS,
    SegmentLabels,
    SegmentRow,
    list_segment_rows,
)
from models.training.calibrate import calibrate_margin, select_calibration_rows
from models.training.fit import OwnModel
from models.training.folds import Fold, count_rarer_class
from models.training.predict import OutOfTimePredictions
from models.training.settings import TrainingSettings
from models.training.training_rows import TrainingTable


@dataclass(frozen=True)
class SegmentCandidates:
    """Out-of-time log-odds (rows,) of the candidates of each row's segment.

    Attributes:
        names: Compared segments.
        code: Place of each row's segment among ``names``; -1 for all others.
        own: Raw log-odds of the segment's own model; NaN where there is none.
        calibrated: Calibrated log-odds of each candidate; NaN where there is none. Calibrators
            come from earlier windows, as those of the learners do.
    """

    names: tuple[str, ...]
    code: np.ndarray
    own: np.ndarray
    calibrated: Mapping[SegmentModel, np.ndarray]

    def gather_evidence(
        self, predictions: OutOfTimePredictions, seen: np.ndarray
    ) -> dict[str, SegmentEvidence]:
        """Return the evidence of each segment, among the out-of-time rows at ``seen``."""
        rows = predictions.rows
        parts = {name: seen[self.code[seen] == code] for code, name in enumerate(self.names)}
        return {
            name: SegmentEvidence(
                rows.label[part],
                rows.cluster[part],
                predictions.fold[part],
                {model: margin[part] for model, margin in self.calibrated.items()},
            )
            for name, part in parts.items()
        }


@dataclass(frozen=True)
class SegmentComposition:
    """The choice of each segment's model, and the predictions that it leads to.

    Attributes:
        learner: Learner of the global model and of the segments' own.
        candidates: Out-of-time log-odds of the candidates.
        decisions: Decision of each compared segment that the final model takes.
        predictions: Out-of-time predictions, those of ``Segmented`` too unless all segments have
            the global model.
        rows: Rows of the table ``segments``.
    """

    learner: type[Model]
    candidates: SegmentCandidates
    decisions: Mapping[str, SegmentDecision]
    predictions: OutOfTimePredictions
    rows: tuple[SegmentRow, ...]

    @property
    def is_global(self) -> bool:
        """Whether every segment has the global model."""
        return all(decision.model == GLOBAL for decision in self.decisions.values())

    @property
    def sentence(self) -> str:
        """Summary for the log."""
        other = [
            f"{name} ({MODEL_WORDS[decision.model]})"
            for name, decision in self.decisions.items()
            if decision.model != GLOBAL
        ]
        compared = f"{len(self.decisions)} segments compared"
        return f"{compared}; {', '.join(other) or 'none'} left the global model"


def compose_by_segment(
    table: TrainingTable,
    folds: list[Fold],
    predictions: OutOfTimePredictions,
    learner: type[Model],
    settings: TrainingSettings,
) -> SegmentComposition:
    """Fit the candidates of each segment in each fold, and choose among them.

    Compared are the segments with enough outcomes among the train rows of the last fold. A matrix
    without the column of segments gives the global model and a row that says so.
    """
    if settings.segment_column not in table.matrix.column_names:
        rows = (SegmentRow(ALL, GLOBAL, "no_column"),)
        empty = SegmentCandidates((), np.empty(0, np.int64), np.empty(0), {})
        return SegmentComposition(learner, empty, {}, predictions, rows)
    column = table.matrix[settings.segment_column].take(table.row_number)
    members = SegmentMembers.from_column(column, table.mature_rows)
    minimum = settings.learning.segment_min_outcomes
    names = members.list_large(table.label, folds[-1].train, minimum)
    candidates = _predict_candidates(
        table, folds, predictions, learner, members.find_codes(names), names, settings
    )
    validation = _list_validation_rows(predictions, settings)
    decisions = {
        number: choose_segment_models(
            candidates.gather_evidence(predictions, seen), minimum, settings.seed
        )
        for number, seen in validation.items()
    }
    final = decisions[len(folds)]
    tested = np.concatenate([fold.test for fold in folds])
    labels = SegmentLabels(members, table.label, tested[validation[len(folds)]])
    gains = _measure_test_gains(candidates, predictions, final, settings)
    composition = SegmentComposition(
        learner, candidates, final, predictions, list_segment_rows(labels, final, gains)
    )
    if composition.is_global:
        return composition
    composed = _compose_margins(candidates, decisions, predictions, learner)
    return replace(composition, predictions=composed)


def _list_validation_rows(
    predictions: OutOfTimePredictions, settings: TrainingSettings
) -> dict[int, np.ndarray]:
    """Return for each fold the positions of the out-of-time rows that its choice may see."""
    return {
        int(number): select_calibration_rows(
            predictions.rows, predictions.fold, int(number), settings
        )
        for number in np.unique(predictions.fold)
    }


def _measure_test_gains(
    candidates: SegmentCandidates,
    predictions: OutOfTimePredictions,
    decisions: Mapping[str, SegmentDecision],
    settings: TrainingSettings,
) -> dict[str, Estimate]:
    """Return the gain over the global model in the last window, where another was chosen."""
    last = np.flatnonzero(predictions.fold == predictions.fold.max())
    evidence = candidates.gather_evidence(predictions, last)
    return {
        name: compare_models(evidence[name], decision.model, GLOBAL, settings.seed)
        for name, decision in decisions.items()
        if decision.model != GLOBAL
    }


def _compose_margins(
    candidates: SegmentCandidates,
    decisions: Mapping[int, Mapping[str, SegmentDecision]],
    predictions: OutOfTimePredictions,
    learner: type[Model],
) -> OutOfTimePredictions:
    """Add the log-odds of the models that each fold chose, under the name of ``Segmented``."""
    raw = predictions.raw[learner.name].copy()
    calibrated = predictions.calibrated[learner.name].copy()
    for number, of_fold in decisions.items():
        for code, name in enumerate(candidates.names):
            model = of_fold[name].model
            chosen = candidates.calibrated[model]
            rows = (predictions.fold == number) & (candidates.code == code) & np.isfinite(chosen)
            calibrated[rows] = chosen[rows]
            raw[rows] = candidates.own[rows] if model == OWN else raw[rows]
    return replace(
        predictions,
        raw={**predictions.raw, Segmented.name: raw},
        calibrated={**predictions.calibrated, Segmented.name: calibrated},
    )


def _predict_candidates(
    table: TrainingTable,
    folds: list[Fold],
    predictions: OutOfTimePredictions,
    learner: type[Model],
    code: np.ndarray,
    names: tuple[str, ...],
    settings: TrainingSettings,
) -> SegmentCandidates:
    """Return the candidates of the segments; ``code`` is that of each row of ``table``."""
    own = _predict_own(table, folds, predictions, learner, code, settings)
    code = code[np.concatenate([fold.test for fold in folds])]
    base = predictions.calibrated[learner.name]
    recalibrated, own_calibrated = np.full(len(code), np.nan), np.full(len(code), np.nan)
    for number, seen in _list_validation_rows(predictions, settings).items():
        lines = fit_segment_lines(predictions, learner, own, code, seen, settings)
        for segment, line in enumerate(lines):
            test = (predictions.fold == number) & (code == segment)
            if line.recalibration is not None:
                recalibrated[test] = line.recalibration.apply(base[test])
            own_calibrated[test] = line.own.apply(own[test])
    calibrated = {GLOBAL: base, RECALIBRATED: recalibrated, OWN: own_calibrated}
    return SegmentCandidates(names, code, own, calibrated)


@dataclass(frozen=True)
class SegmentLines:
    """Calibrators of one segment.

    Attributes:
        recalibration: Map of the calibrated log-odds of the global model; None where too few rows
            are known to fit it.
        own: Map of the raw log-odds of the own model.
    """

    recalibration: AffineCalibrator | None
    own: AffineCalibrator

    def select_line(self, model: SegmentModel) -> AffineCalibrator | None:
        """Return the calibrator of a chosen model; None for the global one."""
        return {GLOBAL: None, RECALIBRATED: self.recalibration, OWN: self.own}[model]


def fit_segment_lines(
    predictions: OutOfTimePredictions,
    learner: type[Model],
    own: np.ndarray,
    code: np.ndarray,
    seen: np.ndarray,
    settings: TrainingSettings,
) -> list[SegmentLines]:
    """Return the calibrators of each segment, fitted on the out-of-time rows at ``seen``.

    A recalibration is shrunk towards the calibrator of all rows, by the prior of
    ``AffineCalibrator.fit``. An own model is calibrated as any model is, where that is proven.
    """
    rows, raw = predictions.rows, predictions.raw[learner.name]
    base = calibrate_margin(raw[seen], rows.take(seen), settings)
    lines = []
    for segment in range(code.max(initial=-1) + 1):
        known = seen[code[seen] == segment]
        label = rows.label[known]
        recalibration = None
        if count_rarer_class(label) >= MIN_CALIBRATION_ROWS:
            recalibration = AffineCalibrator.fit(base.apply(raw[known]), label)
        has_own = known[np.isfinite(own[known])]
        calibrator = calibrate_margin(own[has_own], rows.take(has_own), settings)
        lines.append(SegmentLines(recalibration, calibrator))
    return lines


def _predict_own(
    table: TrainingTable,
    folds: list[Fold],
    predictions: OutOfTimePredictions,
    learner: type[Model],
    code: np.ndarray,
    settings: TrainingSettings,
) -> np.ndarray:
    """Return the log-odds of each out-of-time row by a model of its segment's train rows alone.

    ``code`` is that of each row of ``table``. NaN where the train rows of the segment hold too few
    outcomes.
    """
    ends = np.cumsum([fold.test.size for fold in folds])
    margin = np.full(ends[-1], np.nan)
    jobs, places = [], []
    for number, fold in enumerate(folds):
        for segment in range(code.max(initial=-1) + 1):
            train = fold.train[code[fold.train] == segment]
            test = np.flatnonzero(code[fold.test] == segment)
            few = count_rarer_class(table.label[train]) < settings.learning.segment_min_outcomes
            if few or not test.size:
                continue
            own = OwnModel(learner, predictions.encodings[number], predictions.shares[number])
            rows = np.flatnonzero(code == segment)
            jobs.append(delayed(own.predict_fold)(table, rows, fold, settings))
            places.append(ends[number] - fold.test.size + test)
    # As for the folds: one thread a model, models in parallel.
    with threadpool_limits(1):
        for place, part in zip(places, Parallel(n_jobs=-1, prefer="threads")(jobs), strict=True):
            margin[place] = part
    return margin
