"""Bounds of everything that is stored of a model as JSON.

A stored model is not trusted, even if its hash fits: sizes, orders and ranges are tested before any
computation uses them. Each schema describes what `to_json` of one class returns; a key that no
schema names is ignored, since later versions may store more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from configs.durations import MAX_DURATION, parse_duration
from models.serialization import DamagedModelError

# Log-odds, and logs of factors, lie within a few dozens.
MAX_LOG = 1e6
MAX_COUNT = 2**53
MAX_AMOUNT = 1e300
MAX_FEATURES = 100_000
# Categories of a feature that have a code.
MAX_CATEGORY_CODES = 1_000
# Limits of what training stores: see the constants of the classes that write the parts.
MAX_BAND_BINS, MAX_SCALE_KNOTS, MAX_BASELINE_KNOTS = 20, 101, 210
MAX_BINS, MAX_SUBJECTS, MAX_WEEKS = 50, 400, 53
MAX_TYPES, MAX_LENGTHS = 60, 1_000
MAX_ACTIVITY_WEIGHT = 3.0
MAX_RATE_KEYS = 20_000
# The CRM's clip of naive Bayes, as log-odds.
MAX_BAYES_LOG_ODDS = 9.2103
MAX_DAYS = MAX_DURATION.days


class Stored(BaseModel):
    """Base of the schemas: no value is converted, and no number may be NaN or infinite."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False, frozen=True)


def check_stored(schema: type[Stored], data: Any) -> None:
    """Raise DamagedModelError, which names the first field that breaks the schema."""
    try:
        schema.model_validate(data)
    except ValidationError as error:
        raise describe_first_violation(error) from error


def describe_first_violation(error: ValidationError) -> DamagedModelError:
    """Return the error that names the first field that breaks a schema."""
    # Without the value: it may be of any size, and a category may be personal.
    first = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(str(part)[:80] for part in first["loc"])
    return DamagedModelError(f"{place or 'the whole file'}: {first['msg'][:300]}")


def _require_rising(numbers: list[float]) -> list[float]:
    if any(later < earlier for earlier, later in pairwise(numbers)):
        raise ValueError("the numbers do not rise")
    return numbers


def _require_distinct(texts: list[str]) -> list[str]:
    if len(set(texts)) < len(texts):
        raise ValueError("a text occurs twice")
    return texts


def _require_duration(text: str) -> str:
    if not parse_duration(text):
        raise ValueError("the duration is 0")
    return text


def _require_instant(text: str) -> str:
    if text and datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("the instant has no offset")
    return text


def _require_timezone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (KeyError, OSError) as error:
        raise ValueError("not a time zone") from error
    return text


def _require_numbers(text: str) -> str:
    numbers = [float(part) for part in text.split()[: MAX_BINS + 1]]
    if len(numbers) > MAX_BINS or not all(abs(number) <= MAX_AMOUNT for number in numbers):
        raise ValueError(f"not up to {MAX_BINS} finite numbers")
    return text


Name = Annotated[str, Field(max_length=10_000)]
Log = Annotated[float, Field(ge=-MAX_LOG, le=MAX_LOG)]
Amount = Annotated[float, Field(ge=-MAX_AMOUNT, le=MAX_AMOUNT)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
RisingLogs = Annotated[list[Log], AfterValidator(_require_rising)]
RisingShares = Annotated[list[Share], AfterValidator(_require_rising)]
RisingNumbers = Annotated[list[Amount], AfterValidator(_require_rising)]
Length = Annotated[Name, AfterValidator(_require_duration)]
Lengths = Annotated[list[Length], Field(max_length=MAX_LENGTHS)]
Instant = Annotated[Name, AfterValidator(_require_instant)]
NumberText = Annotated[str, Field(max_length=10_000), AfterValidator(_require_numbers)]
Kind = Literal["number", "category"]
Subjects = Annotated[list[Name], Field(max_length=MAX_TYPES), AfterValidator(_require_distinct)]
Names = Annotated[list[Name], Field(max_length=MAX_FEATURES)]
# JSON has lists only, so a tuple is read of a list.
NamedKind = Annotated[tuple[Name, Kind], Field(strict=False)]
NamedKinds = Annotated[list[NamedKind], Field(max_length=MAX_FEATURES)]
Reading = (
    # The form of dates and then the unit came later, and models of before have none.
    Annotated[tuple[Name, Name, Name, Name], Field(strict=False)]
    | Annotated[tuple[Name, Name, Name, Name, Name], Field(strict=False)]
    | Annotated[tuple[Name, Name, Name, Name, Name, Name], Field(strict=False)]
)


class StoredFeature(Stored):
    """``EncodedFeature``."""

    name: Name
    kind: Kind
    categories: list[str] = Field(max_length=MAX_CATEGORY_CODES)


class StoredCalibrator(Stored):
    """``AffineCalibrator``."""

    model_config = ConfigDict(extra="forbid")

    slope: float = Field(gt=0, le=MAX_LOG)
    intercept: Log


class StoredBand(Stored):
    """``ProbabilityBand``."""

    center: RisingLogs = Field(min_length=1, max_length=MAX_BAND_BINS)
    low: RisingLogs
    high: RisingLogs

    @model_validator(mode="after")
    def _require_order(self) -> Self:
        _require_equal_sizes(self.center, self.low, self.high)
        if any(low > high for low, high in zip(self.low, self.high, strict=True)):
            raise ValueError("a low end lies above the high end")
        return self


class StoredScale(Stored):
    """``ScoreScale``."""

    chance: RisingNumbers = Field(min_length=1, max_length=MAX_SCALE_KNOTS)
    share: RisingShares

    @model_validator(mode="after")
    def _require_sizes(self) -> Self:
        _require_equal_sizes(self.chance, self.share)
        return self


class StoredBaseline(Stored):
    """``BaselineHazard``."""

    days: RisingNumbers = Field(min_length=2, max_length=MAX_BASELINE_KNOTS)
    hazard: RisingLogs

    @model_validator(mode="after")
    def _require_origin(self) -> Self:
        _require_equal_sizes(self.days, self.hazard)
        if self.days[0] != 0 or self.hazard[0] != 0 or self.days[-1] > MAX_DAYS:
            raise ValueError("it does not begin at 0, or lasts more than 300 years")
        if not self.hazard[-1] > 0:
            raise ValueError("no hazard")
        return self


class StoredActivity(Stored):
    """``ActivityModel``."""

    trees: str
    weight: float = Field(gt=0, le=MAX_ACTIVITY_WEIGHT)
    center: Log


class StoredHazard(Stored):
    """``Hazard``."""

    trees: str
    baseline: StoredBaseline
    activity: StoredActivity | None = None


class StoredTrial(Stored):
    """``AmountTrial``."""

    entities: Count
    mean: Amount
    trees: Amount
    expected: Amount
    happened: Amount


class StoredAmount(Stored):
    """``AmountModel``."""

    level: Amount
    trees: str | None
    entities: Count
    mean: Amount
    trial: StoredTrial | None


class StoredTerm(Stored):
    """``LogisticTerm``."""

    model_config = ConfigDict(extra="forbid")

    category: bool
    center: Amount
    scale: float = Field(gt=0, le=MAX_AMOUNT)
    weights: list[Log] = Field(min_length=1, max_length=255)
    offset: Log

    @model_validator(mode="after")
    def _require_sizes(self) -> Self:
        if not self.category and len(self.weights) != 2:
            raise ValueError("a number does not have two weights")
        return self


class StoredLogistic(Stored):
    """``Logistic``."""

    bias: Log
    terms: list[StoredTerm] = Field(max_length=MAX_FEATURES)


class StoredField(Stored):
    """``FieldOdds``."""

    column: int = Field(ge=0, lt=MAX_FEATURES)
    values: RisingNumbers = Field(min_length=1, max_length=1_000)
    added: list[Log]

    @model_validator(mode="after")
    def _require_sizes(self) -> Self:
        _require_equal_sizes(self.values, self.added)
        return self


class StoredNaiveBayes(Stored):
    """``NaiveBayes``."""

    bias: float = Field(ge=-MAX_BAYES_LOG_ODDS, le=MAX_BAYES_LOG_ODDS)
    fields: list[StoredField] = Field(max_length=MAX_FEATURES)


class StoredBaseRate(Stored):
    """``BaseRate``."""

    bias: Log


class StoredRates(Stored):
    """``CategoryRates``."""

    columns: list[Annotated[int, Field(ge=0, lt=MAX_FEATURES)]] = Field(min_length=1, max_length=2)
    keys: list[Count] = Field(min_length=1, max_length=MAX_RATE_KEYS)
    log_ratios: list[Log]

    @model_validator(mode="after")
    def _require_sizes(self) -> Self:
        _require_equal_sizes(self.keys, self.log_ratios)
        if any(later <= earlier for earlier, later in pairwise(self.keys)):
            raise ValueError("the keys do not rise")
        return self


class StoredTargetEncoding(Stored):
    """``TargetEncodedTrees``."""

    trees: str
    rates: list[StoredRates] = Field(max_length=MAX_FEATURES)


class StoredPart(Stored):
    """One part of a ``Blend``."""

    learner: Name
    share: Share
    model: Any


class StoredBlend(Stored):
    """The list that ``Blend`` stores, under the key ``parts``."""

    parts: list[StoredPart] = Field(min_length=1, max_length=10)

    @model_validator(mode="after")
    def _require_sum(self) -> Self:
        if not math.isclose(sum(part.share for part in self.parts), 1, abs_tol=1e-6):
            raise ValueError("the shares do not sum to 1")
        return self


class StoredModel(Stored):
    """A model inside a ``Segmented``."""

    learner: Name
    model: Any


class StoredSegment(Stored):
    """``ModelOfSegment``."""

    code: int = Field(ge=0, lt=MAX_CATEGORY_CODES)
    calibrator: StoredCalibrator
    model: StoredModel | None


class StoredSegmented(Stored):
    """``Segmented``."""

    column: int = Field(ge=0, lt=MAX_FEATURES)
    base: StoredModel
    calibrator: StoredCalibrator
    parts: list[StoredSegment] = Field(min_length=1, max_length=MAX_CATEGORY_CODES)

    @model_validator(mode="after")
    def _require_distinct_codes(self) -> Self:
        if len({part.code for part in self.parts}) < len(self.parts):
            raise ValueError("a segment occurs twice")
        return self


class StoredCatalog(Stored):
    """``Vocabulary``."""

    model_config = ConfigDict(extra="forbid")

    types: Subjects = []
    channels: Subjects = []
    valued: Subjects = []
    stages: Annotated[Names, AfterValidator(_require_distinct)] = []
    attributes: NamedKinds = []
    dated: NamedKinds = []
    windows: Lengths
    half_lives: Lengths
    outbound: Subjects = []
    offline: Subjects = []
    ends: Subjects = []
    role: Name = ""
    roles: Subjects = []
    role_features: bool = False
    timezone: Annotated[Name, AfterValidator(_require_timezone)] = "UTC"
    accounts: bool = False
    hours: bool = True
    timed: bool = True
    only: Names = []
    readings: list[Reading] = Field([], max_length=MAX_FEATURES)
    unused: Annotated[Names, AfterValidator(_require_distinct)] = []


class StoredColumn(Stored):
    """``ColumnDistribution``."""

    kind: Kind
    max_training_drift: float = Field(alias="usual", ge=0, le=MAX_LOG)
    weight: float = Field(ge=0, le=MAX_LOG)
    whole: NumberText
    recent: NumberText
    novel: Share
    edges: NumberText = ""
    levels: list[str] = Field([], max_length=MAX_BINS)

    @model_validator(mode="after")
    def _require_bins(self) -> Self:
        edges, whole, recent = (
            [float(part) for part in text.split()] for text in (self.edges, self.whole, self.recent)
        )
        bins = len(edges if self.kind == "number" else self.levels) + 2
        if len(whole) != bins or len(recent) != bins:
            raise ValueError(f"not {bins} counts")
        if not all(0 <= count <= MAX_COUNT for count in (*whole, *recent)):
            raise ValueError("a count is out of its range")
        _require_rising(edges)
        return self


class StoredDistribution(Stored):
    """``TrainingDistribution``."""

    columns: dict[Name, StoredColumn] = Field(max_length=MAX_FEATURES)
    entities: list[Count] = Field(min_length=2, max_length=2)
    probability: StoredColumn
    tested: list[Count] = Field(min_length=2, max_length=2)
    means: list[Share] = Field(min_length=1, max_length=1_000)

    @model_validator(mode="after")
    def _require_number(self) -> Self:
        if self.probability.kind != "number":
            raise ValueError("the probability is not a number")
        return self


class StoredVolume(Stored):
    """``EventVolume``."""

    weeks: int = Field(ge=0, le=MAX_WEEKS)
    least: dict[Name, Count] = Field(max_length=MAX_SUBJECTS)
    total: dict[Name, Count] = Field(max_length=MAX_SUBJECTS)

    @model_validator(mode="after")
    def _require_totals(self) -> Self:
        if any(self.total.get(name, 0) < count for name, count in self.least.items()):
            raise ValueError("a subject has more events in its least busy week than in all")
        return self


class StoredTypicalLead(Stored):
    """``TypicalLead``."""

    middle: dict[Name, Amount] = Field({}, max_length=MAX_FEATURES)
    without: dict[Name, Log] = Field({}, max_length=MAX_FEATURES)
    family: dict[Name, Names] = Field({}, max_length=MAX_FEATURES)


class StoredDependence(Stored):
    """``WithinAccountDependence``."""

    adds: float = Field(ge=0, le=2)
    accounts: Count
    alone: Amount
    expected: Amount
    happened: Count


class StoredEstimate(Stored):
    """An estimate of ``ScorerMetadata.expectations``."""

    value: Amount | None
    low: Amount | None
    high: Amount | None
    n: Count


class StoredMetadata(Stored):
    """``ScorerMetadata``."""

    catalog: StoredCatalog | None = None
    horizon: Length | None = None
    trained_as_of: Instant | None = None
    observation_date: Instant | None = None
    audit: list[dict[Name, Any]] | None = None
    search: dict[Name, Any] | None = None
    population: StoredDistribution | None = None
    activity: StoredVolume | None = None
    typical_lead: StoredTypicalLead | None = Field(None, alias="usual")
    facets: dict[Literal["fit", "engagement"], StoredScale] | None = None
    accounts: StoredDependence | None = None
    promise: dict[Name, StoredEstimate] | None = None


class StoredScorer(Stored):
    """``Scorer``."""

    target: Name
    learner: Name
    model_sha256: Name
    features: list[StoredFeature] = Field(max_length=MAX_FEATURES)
    calibrator: StoredCalibrator
    band: StoredBand
    scale: StoredScale
    timing: StoredHazard | None
    amount_model: StoredAmount | None = Field(None, alias="worth")
    meta: StoredMetadata

    @model_validator(mode="after")
    def _require_features(self) -> Self:
        kinds = {feature.name: feature.kind for feature in self.features}
        if len(kinds) < len(self.features):
            raise ValueError("features: a name occurs twice")
        columns = self.meta.population.columns if self.meta.population else {}
        if any(kinds.get(name) != column.kind for name, column in columns.items()):
            raise ValueError("meta.population.columns: a column is not one of the features")
        return self


def _require_equal_sizes(*lists: Sequence[float]) -> None:
    if len({len(numbers) for numbers in lists}) > 1:
        raise ValueError("the lists differ in length")
