"""The evaluation that is stored beside a scorer, so that a page can show it without MLflow.

Each class is both what a training writes and the bounds of what is read: a stored file is not
trusted, even if its hash fits. A key that no class names is ignored, since later versions may store
more.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, TypeAdapter, ValidationError

from features.definitions.feature_groups import FeatureGroup
from features.tools.json_values import format_json
from models.evaluation.metrics import Estimate
from models.evaluation.segment_kinds import SegmentModel, SegmentReason
from models.serialization import (
    DamagedModelError,
    read_json,
    unreadable_model_error,
    write_json,
)
from models.stored_json import (
    MAX_FEATURES,
    Amount,
    Count,
    Instant,
    Length,
    Log,
    Name,
    Share,
    describe_first_violation,
)

EVALUATION_FILE = "evaluation.json"
FORMAT_VERSION = 1
MAX_GAIN_POINTS, MAX_RELIABILITY_BINS = 200, 50
MAX_METRICS, MAX_PARTS = 100, 1_000
# Numbers in order are sums, of which neighbours that are equal may differ in the last bits.
ROUNDING = 1e-9

ShareOrNone = Share | None
Point = tuple[ShareOrNone, ShareOrNone]


@dataclass(frozen=True)
class RecordedEstimate:
    """A number with its 90 % interval; None where it is not defined.

    Attributes:
        value: Point estimate.
        low: Lower end of the interval.
        high: Upper end of the interval.
        n: Number of rows that the estimate is made of.
    """

    value: Amount | None
    low: Amount | None
    high: Amount | None
    n: Count

    def __post_init__(self) -> None:
        """Raise ValueError if the ends of the interval are in the wrong order."""
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError("the low end lies above the high end")

    @classmethod
    def from_estimate(cls, estimate: Estimate) -> Self:
        """Return the estimate with None for a number that is not finite."""
        return cls(**estimate.to_json())  # type: ignore[arg-type]


RecordedMetrics = Annotated[dict[Name, RecordedEstimate], Field(max_length=MAX_METRICS)]


@dataclass(frozen=True)
class RecordedFold:
    """Metrics of the challenger in one fold.

    Attributes:
        label: First test day of the fold (``2024-05-06``); its number where the data has no times.
        rows: Number of tested rows.
        entities: Number of distinct tested entities.
        outcomes: Number of tested rows with the outcome.
        metrics: Metrics by name; empty where the fold is too small.
    """

    label: Name
    rows: Count
    entities: Count
    outcomes: Count
    metrics: RecordedMetrics


@dataclass(frozen=True)
class ReliabilityBin:
    """Tested rows of about the same predicted probability.

    Attributes:
        predicted: Their mean predicted probability.
        observed: Share of them with the outcome.
        low: Lower end of its 90 % interval, None where undefined.
        high: Upper end of its 90 % interval, None where undefined.
        n: Number of rows.
    """

    predicted: Share
    observed: ShareOrNone
    low: ShareOrNone
    high: ShareOrNone
    n: Count


@dataclass(frozen=True)
class RecordedImportance:
    """How much the model uses one feature.

    Attributes:
        feature: Name of the feature.
        meaning: What it measures, in the language of the record.
        group: Its group, see ``find_feature_group``.
        mean_absolute_log_odds: Mean absolute contribution to a row's log-odds, above 0.
    """

    feature: Name
    meaning: Name
    group: FeatureGroup
    mean_absolute_log_odds: Annotated[Log, Field(gt=0)]


@dataclass(frozen=True)
class RecordedTest:
    """Result of one test of the gate.

    Attributes:
        name: Name of the test.
        passed: Whether the challenger passed it.
        estimate: The estimate that was tested.
        bound_low: Lower end of the accepted range, None where open.
        bound_high: Upper end of the accepted range, None where open.
        sentence: Estimate and bound in words, in English.
    """

    name: Name
    passed: bool
    estimate: RecordedEstimate
    bound_low: Amount | None
    bound_high: Amount | None
    sentence: Name


@dataclass(frozen=True)
class RecordedCause:
    """A likely cause of a refusal, in English.

    Attributes:
        name: The cause in a few words.
        evidence: What the data shows, with counts.
        fix: Advice how to resolve it.
    """

    name: Name
    evidence: Name
    fix: Name


@dataclass(frozen=True)
class RecordedGate:
    """Decision of the gate.

    Attributes:
        passed: Whether the challenger may be promoted.
        tests: Result of each test.
        causes: Likely causes of a refusal, the most likely first.
    """

    passed: bool
    tests: Annotated[tuple[RecordedTest, ...], Field(max_length=MAX_PARTS)]
    causes: Annotated[tuple[RecordedCause, ...], Field(max_length=MAX_PARTS)]

    def __post_init__(self) -> None:
        """Raise ValueError if the decision is not that of the tests."""
        if self.passed != all(test.passed for test in self.tests):
            raise ValueError("the decision contradicts the tests")


@dataclass(frozen=True)
class RecordedSuspect:
    """A column that seems to know the outcome.

    Attributes:
        column: Name of the source column.
        allowed: Whether the config lets features use it all the same.
        evidence: Evidence in words and numbers, in English.
    """

    column: Name
    allowed: bool
    evidence: Name


@dataclass(frozen=True)
class RecordedSegment:
    """The model of one segment of ``learning.segment_by``.

    Attributes:
        segment: Value of the attribute, or in parentheses which rows these are.
        model: ``global``, ``recalibrated`` or ``own``.
        reason: Why, as in ``SegmentRow``.
        n: Mature training rows.
        n_pos: Those with the outcome.
        n_validation: Rows of earlier test windows that the choice saw.
        n_pos_validation: Those with the outcome.
        alternative: The model that ``gain`` is of; None where none was compared.
        gain: Log loss of the global model minus that of the alternative, in nats a row, with the
            interval that decided.
        test_gain: Gain of the chosen model in the last test window, with its own 90 % interval.
    """

    segment: Name
    model: SegmentModel
    reason: SegmentReason
    n: Count
    n_pos: Count
    n_validation: Count
    n_pos_validation: Count
    alternative: SegmentModel | None
    gain: RecordedEstimate
    test_gain: RecordedEstimate


@dataclass(frozen=True)
class EvaluationRecord:
    """The evaluation of one training: everything that a page shows of a model.

    All metrics are of out-of-time rows. The record holds no ids and no values of leads, and the
    same training gives the same bytes.

    Attributes:
        target: Name of the target.
        learner: Name of the chosen learner, such as ``lightgbm``.
        trained_as_of: As-of of the training, ISO 8601 with offset.
        observation_date: Instant through which outcomes were complete, ISO 8601 with offset.
        horizon: Prediction horizon such as ``30d``; None where the target has none.
        language: Code of the language of the meanings of features, such as ``en``.
        rows: Number of training rows, mature and immature.
        mature: Number of rows whose outcome is final.
        immature: Number of rows that were followed for a part of the horizon only.
        positive: Number of mature rows with the outcome.
        used_features: Number of features that the model reads.
        offered_features: Number of features that were offered to the training.
        capacity: Leads that can be worked in a batch (the leads of one cutoff, or of one week where
            each has its own cutoff); None for the best tenth.
        metrics: Metrics of the challenger by name, as in ``evaluate_slices``.
        baselines: The same of each learner that was tried on the same rows, the chosen one too.
        folds: Metrics of the challenger by fold, in the order of the folds.
        reliability: Bins of the predicted probability, ascending.
        gain: Points (share of rows worked, share of outcomes among them), ascending; the most
            probable rows of every batch are worked.
        gain_at_capacity: The point at the capacity.
        importance: Features that contribute, the strongest first.
        gate: Decision of the gate.
        suspects: Columns that seem to know the outcome, among those that the config offers.
        base_value: The part of a row's log-odds that belongs to no feature: the last column of
            ``Scorer.explain``. It is the same for every row of each kind of model (trees, hazard,
            logistic, blend, by segment, naive Bayes, base rate); None for a kind whose part
            differs by row.
        segment_by: Attribute by which models were chosen; None without one.
        segments: The model of each segment; empty without any, as in records of earlier versions.
    """

    target: Name
    learner: Name
    trained_as_of: Instant
    observation_date: Instant
    horizon: Length | None
    language: Name
    rows: Count
    mature: Annotated[Count, Field(gt=0)]
    immature: Count
    positive: Count
    used_features: Count
    offered_features: Count
    capacity: Count | None
    metrics: RecordedMetrics
    baselines: Annotated[dict[Name, RecordedMetrics], Field(max_length=MAX_PARTS)]
    folds: Annotated[tuple[RecordedFold, ...], Field(max_length=MAX_PARTS)]
    reliability: Annotated[tuple[ReliabilityBin, ...], Field(max_length=MAX_RELIABILITY_BINS)]
    gain: Annotated[tuple[Point, ...], Field(max_length=MAX_GAIN_POINTS)]
    gain_at_capacity: Point
    importance: Annotated[tuple[RecordedImportance, ...], Field(max_length=MAX_FEATURES)]
    gate: RecordedGate
    suspects: Annotated[tuple[RecordedSuspect, ...], Field(max_length=MAX_FEATURES)]
    base_value: Log | None
    segment_by: Name | None = None
    segments: Annotated[tuple[RecordedSegment, ...], Field(max_length=MAX_PARTS)] = ()

    def __post_init__(self) -> None:
        """Raise ValueError for counts that contradict each other, and for lists out of order."""
        if self.mature + self.immature != self.rows or self.positive > self.mature:
            raise ValueError("the numbers of rows contradict each other")
        if self.used_features > self.offered_features:
            raise ValueError("more features are used than were offered")
        _require_order([bin_.predicted for bin_ in self.reliability], "reliability")
        _require_order([-part.mean_absolute_log_odds for part in self.importance], "importance")
        for axis in range(2):
            _require_order([share for p in self.gain if (share := p[axis]) is not None], "gain")

    @property
    def outcome_rate(self) -> float:
        """Return the share of mature training rows with the outcome."""
        return self.positive / self.mature

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; ``from_json`` restores an equal record."""
        return {"format": FORMAT_VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, data: Any) -> EvaluationRecord:
        """Return the record of stored values; raise DamagedModelError for anything else."""
        version = data.get("format") if isinstance(data, dict) else None
        if type(version) is not int:
            raise DamagedModelError("it has no format number")
        if version != FORMAT_VERSION:
            raise DamagedModelError(f"format {version}, this version reads {FORMAT_VERSION}")
        try:
            # As JSON text, in which a list may be a tuple although nothing else is converted.
            return _RECORD.validate_json(format_json(data), strict=True)
        except ValidationError as error:
            raise describe_first_violation(error) from error


_RECORD = TypeAdapter(EvaluationRecord)


def write_evaluation(directory: Path, record: EvaluationRecord) -> None:
    """Write the record beside a scorer; the same bytes for the same record."""
    write_json(directory / EVALUATION_FILE, record.to_json())


def read_evaluation(directory: Path) -> EvaluationRecord | None:
    """Return the evaluation in a scorer's directory; None if its training stored none.

    Raise DataError for a file that is damaged or is no evaluation.
    """
    path = directory / EVALUATION_FILE
    if not path.exists():
        return None
    data = read_json(path)
    try:
        return EvaluationRecord.from_json(data)
    except DamagedModelError as error:
        raise unreadable_model_error(path, error) from error


def _require_order(numbers: list[float], name: str) -> None:
    if any(later < earlier - ROUNDING for earlier, later in pairwise(numbers)):
        raise ValueError(f"{name} is out of order")
