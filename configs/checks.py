"""From where on a night is doubtful, and from where on it is not published: part of a project's YAML."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from configs.durations import Duration
from configs.source_rows import Frozen


class Limits(Frozen):
    """From where on a check warns, and from where on it stops the night; null, it never does."""

    warn: float | None = Field(None, ge=0, description="beyond this the night goes on, and says so")
    stop: float | None = Field(None, ge=0, description="beyond this nothing is published")


class Spans(Frozen):
    """The same for lengths of time."""

    warn: Duration | None = Field(None, description="beyond this the night goes on, and says so")
    stop: Duration | None = Field(None, description="beyond this nothing is published")


def _limits(warn: float | None, stop: float | None, what: str) -> Any:
    return Field(Limits(warn=warn, stop=stop), description=what)


def _spans(warn: timedelta | None, stop: timedelta | None, what: str) -> Any:
    return Field(Spans(warn=warn, stop=stop), description=what)


class Checks(Frozen):
    """What must hold before scores are published: from where on each check warns, and from where on it stops."""

    nights: int = Field(7, ge=1, description="published nights before that rows are compared with")
    freshness: Spans = _spans(
        timedelta(days=3), None, "age of a source's newest row, where it never paused so long"
    )
    rows: Limits = _limits(
        0.1, 0.3, "share of a source's rows that is gone against the nights before"
    )
    suppressed: Limits = _limits(
        0.1, 0.3, "share of the suppressed ids that is gone against the nights before"
    )
    leads: Limits = _limits(
        0.4, 0.8, "share by which fewer leads are scored than in the nights before"
    )
    gone_types: Limits = _limits(
        0.0, 0.1, "share of the events that an event type or channel had and that is silent"
    )
    new_types: Limits = _limits(
        0.01, None, "share of the last week's events of a type or channel not learnt from"
    )
    gone_categories: Limits = _limits(
        0.05, None, "share of the leads that a category had which none has now"
    )
    new_categories: Limits = _limits(
        0.1, 0.5, "share of the leads with a category of an attribute not learnt from"
    )
    missing: Limits = _limits(
        0.2, 0.5, "share of the leads in which an attribute is missing beyond what it was"
    )
    drift: Limits = _limits(
        0.25, 2.0, "population stability index of a feature against the training"
    )
    score_drift: Limits = _limits(
        0.25, 1.0, "population stability index of the probabilities against the training"
    )
    mean: Limits = _limits(1.5, 3.0, "factor between the mean probability and that of the training")
    moved: Limits = _limits(
        0.4, None, "share of the leads whose grade is another than the night before"
    )
    model_age: Spans = _spans(timedelta(days=60), None, "time since the model was trained")

    @field_validator("*", mode="before")
    @classmethod
    def _keep_the_other_limit(cls, value: object, info: ValidationInfo) -> object:
        """Let a limit that is left out be the check's own, so that one can be moved alone."""
        default = cls.model_fields[info.field_name or ""].default
        if isinstance(value, dict) and isinstance(default, Limits | Spans):
            return {"warn": default.warn, "stop": default.stop} | value
        return value

    @model_validator(mode="after")
    def _warn_before_stop(self) -> Self:
        for name, limits in self:
            both = isinstance(limits, Limits | Spans) and None not in (limits.warn, limits.stop)
            if both and limits.warn > limits.stop:
                raise ValueError(f"{name}.warn lies beyond {name}.stop: a stop is the graver one")
        return self
