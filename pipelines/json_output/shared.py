"""Objects that several commands print."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, create_model

INSTANT_PATTERN = r"^\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)$"


class JsonObject(BaseModel):
    """An object with exactly the keys that are listed, all of them present unless optional."""

    # Strict, so that a text never passes for a number.
    model_config = ConfigDict(extra="forbid", strict=True)


def make_instant(meaning: str, **extra: Any) -> Any:
    """Return the field of an instant: ISO 8601 text in UTC."""
    return Field(description=meaning, pattern=INSTANT_PATTERN, **extra)


def make_key(meaning: str, **extra: Any) -> Any:
    """Return a field with its meaning."""
    return Field(description=meaning, **extra)


ARROW_TYPES = {pa.string(): str, pa.float64(): float, pa.int64(): int, pa.bool_(): bool}


def create_row_model(
    name: str, meaning: str, schema: pa.Schema, **changes: Any
) -> type[JsonObject]:
    """Return the model of a row of a published table; ``changes`` replace or add columns."""
    fields: dict[str, Any] = {}
    for column in schema:
        kind: Any = ARROW_TYPES.get(column.type, str)
        written = (column.metadata[b"meaning"]).decode()
        field = make_key(written) if column.type in ARROW_TYPES else make_instant(written)
        fields[column.name] = (kind | None if column.nullable else kind, field)
    return create_model(name, __base__=JsonObject, __doc__=meaning, **(fields | changes))


class EstimateJson(JsonObject):
    """A metric with its 90 % interval; null where it is undefined."""

    value: float | None = make_key("the estimate")
    low: float | None = make_key("lower end of the interval")
    high: float | None = make_key("upper end of the interval")
    n: int = make_key("number of rows that it is computed from")


Metrics = dict[str, EstimateJson]


class SliceJson(JsonObject):
    """Metrics of a part of the tested rows."""

    rows: int = make_key("rows of the part")
    entities: int = make_key("distinct entities")
    outcomes: int = make_key("rows with the outcome")
    too_small: bool = make_key("whether it has too few entities for metrics")
    metrics: Metrics = make_key("metrics by name; empty if too small")


class RowCountsJson(JsonObject):
    """Rows of a training spine."""

    rows: int = make_key("all rows")
    mature: int = make_key("rows whose horizon has passed")
    immature: int = make_key("the other rows, never counted as negative")
    positive: int = make_key("mature rows with the outcome")


class GateTestJson(EstimateJson):
    """One test of the gate: its estimate, and what it must reach."""

    name: str = make_key("name of the test")
    passed: bool = make_key("whether it passed")
    bound: list[float | None] = make_key("lower and upper bound; null where open")
    sentence: str = make_key("the result in words")


class RefusalCauseJson(JsonObject):
    """A likely cause of a refusal by the gate."""

    name: str = make_key("the cause in a few words")
    evidence: str = make_key("what the data shows, with counts")
    fix: str = make_key("how to resolve it")


class GateJson(JsonObject):
    """Verdict of the gate."""

    passed: bool = make_key("whether the challenger may become the champion")
    tests: list[GateTestJson] = make_key("all tests; empty if the gate was not reached")
    causes: list[RefusalCauseJson] = make_key("likely causes of a refusal, the most likely first")


class SuspectJson(JsonObject):
    """A column suspected of leakage."""

    target: str = make_key("the target")
    column: str = make_key("the column")
    evidence: str = make_key("why it is suspected")


class SuppressedJson(JsonObject):
    """Leads that must not be scored."""

    entities: int = make_key("leads of the data that are left out")
    by: dict[str, int] = make_key("leads by reason")
    unknown: dict[str, int] = make_key("listed ids that the data does not contain, by reason")


class RecommendationJson(JsonObject):
    """Whether to train a target again."""

    retrain: bool = make_key("whether there is a reason to train again")
    reasons: list[str] = make_key("each reason, in words")
    doubts: list[str] = make_key("what speaks for it, but may be chance")


class ReasonJson(JsonObject):
    """A reason for or against a score."""

    feature: str = make_key("the feature")
    value: float | str | None = make_key("its value")
    contribution: float = make_key("contribution to the log-odds of the score")
    sentence: str = make_key("the reason in words")
