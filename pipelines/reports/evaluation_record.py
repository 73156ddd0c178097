"""Builds the evaluation that is stored beside a scorer of what the training's report holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from features.definitions.feature_groups import find_feature_group
from features.tools.json_values import to_json_values
from features.wording.composition import name_only_type
from features.wording.wording import load_wording
from models.evaluation.gate import GateVerdict
from models.evaluation.metrics import Estimate
from models.evaluation.record import (
    EvaluationRecord,
    RecordedCause,
    RecordedEstimate,
    RecordedFold,
    RecordedGate,
    RecordedImportance,
    RecordedSegment,
    RecordedSuspect,
    RecordedTest,
    ReliabilityBin,
)
from models.segments.segment_rows import SegmentRow
from pipelines.reports.training_report import ReportInput
from pipelines.results.evaluation import Metrics

# Base values of one model differ by rounding at most, those of another kind by far more.
BASE_VALUE_TOLERANCE = 1e-9
Curve = Sequence[tuple[float, float]]


def build_evaluation_record(
    inputs: ReportInput, base_values: np.ndarray, curve: Curve, point: tuple[float, float]
) -> EvaluationRecord:
    """Return the evaluation of a training.

    ``base_values`` is the last column of ``Scorer.explain`` for some rows, ``curve`` and ``point``
    are the result of ``compute_gain_curve``.
    """
    scorer, evaluation = inputs.trained.scorer, inputs.evaluation
    return EvaluationRecord(
        target=scorer.target,
        learner=scorer.learner,
        trained_as_of=scorer.metadata.trained_as_of,
        observation_date=scorer.metadata.observation_date,
        horizon=scorer.metadata.horizon,
        language=inputs.snapshot.project.publish.language,
        **inputs.rows,
        used_features=len(scorer.encoding.names),
        offered_features=len(scorer.catalog.features),
        capacity=evaluation.rows.capacity,
        metrics=_record_metrics(evaluation.metrics),
        baselines={name: _record_metrics(part) for name, part in evaluation.baselines.items()},
        folds=_record_folds(inputs),
        reliability=tuple(
            _record_bin(predicted, observed) for predicted, observed in evaluation.reliability
        ),
        gain=tuple((_to_share(x), _to_share(y)) for x, y in curve),
        gain_at_capacity=(_to_share(point[0]), _to_share(point[1])),
        importance=_record_importance(inputs),
        gate=_record_gate(inputs.verdict),
        suspects=tuple(
            RecordedSuspect(suspect.column, suspect.allowed, suspect.evidence)
            for suspect in inputs.suspects
        ),
        base_value=find_base_value(base_values),
        segment_by=inputs.snapshot.project.learning.segment_by,
        segments=tuple(_record_segment(row) for row in inputs.trained.segments),
    )


def find_base_value(base_values: np.ndarray) -> float | None:
    """Return the base value of all rows; None where it differs by row."""
    first = float(base_values[0])
    return first if np.abs(base_values - first).max() <= BASE_VALUE_TOLERANCE else None


def _record_metrics(metrics: Metrics) -> dict[str, RecordedEstimate]:
    return {name: RecordedEstimate.from_estimate(part) for name, part in metrics.items()}


def _record_folds(inputs: ReportInput) -> tuple[RecordedFold, ...]:
    return tuple(
        RecordedFold(
            inputs.fold_labels[number],
            part.rows,
            part.entities,
            part.outcomes,
            _record_metrics(part.estimates),
        )
        for number, part in inputs.evaluation.folds.items()
    )


def _record_bin(predicted: float, observed: Estimate) -> ReliabilityBin:
    rate = RecordedEstimate.from_estimate(observed)
    return ReliabilityBin(min(predicted, 1.0), rate.value, rate.low, rate.high, rate.n)


def _record_importance(inputs: ReportInput) -> tuple[RecordedImportance, ...]:
    catalog, snapshot = inputs.trained.scorer.catalog, inputs.snapshot
    wording = name_only_type(load_wording(snapshot.project), catalog, snapshot.dataset)
    features = {feature.name: feature for feature in catalog.features}
    return tuple(
        RecordedImportance(
            name,
            wording.noun_phrase(features[name].meaning),
            find_feature_group(features[name]),
            weight,
        )
        for name, _, weight in inputs.importance
        if weight > 0
    )


def _record_segment(row: SegmentRow) -> RecordedSegment:
    return RecordedSegment(
        row.segment,
        row.model,
        row.reason,
        **asdict(row.size),
        alternative=row.alternative,
        gain=RecordedEstimate.from_estimate(row.gain),
        test_gain=RecordedEstimate.from_estimate(row.test_gain),
    )


def _record_gate(verdict: GateVerdict) -> RecordedGate:
    tests = tuple(
        RecordedTest(
            test.name,
            test.passed,
            RecordedEstimate.from_estimate(test.estimate),
            _finite_or_none(test.bound[0]),
            _finite_or_none(test.bound[1]),
            test.sentence,
        )
        for test in verdict.tests
    )
    causes = tuple(RecordedCause(**cause.to_json()) for cause in verdict.causes)
    return RecordedGate(verdict.passed, tests, causes)


def _to_share(number: float) -> float | None:
    # The sum of all shares may lie above 1 in its last bit.
    return min(float(number), 1.0) if np.isfinite(number) else None


def _finite_or_none(number: float) -> float | None:
    value: float | None = to_json_values(float(number))
    return value
