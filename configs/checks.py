"""Limits of the checks that run before scores are published: part of a project's YAML."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from configs.durations import Duration
from configs.source_rows import FrozenModel


class Limits(FrozenModel):
    """Limits of one check; null disables a limit.

    Beyond ``warn`` the run logs a warning, beyond ``stop`` it refuses to publish.
    """

    warn: float | None = Field(
        None, ge=0, description="beyond this the run logs a warning and goes on"
    )
    stop: float | None = Field(None, ge=0, description="beyond this nothing is published")


class DurationLimits(FrozenModel):
    """Limits of a check whose observed value is a duration. Null disables a limit."""

    warn: Duration | None = Field(
        None, description="beyond this the run logs a warning and goes on"
    )
    stop: Duration | None = Field(None, description="beyond this nothing is published")


def _limits_field(warn: float | None, stop: float | None, description: str) -> Any:
    return Field(Limits(warn=warn, stop=stop), description=description)


def _duration_limits_field(warn: timedelta | None, stop: timedelta | None, description: str) -> Any:
    return Field(DurationLimits(warn=warn, stop=stop), description=description)


class Checks(FrozenModel):
    """Conditions that scores must meet before they are published, with the limits of each check."""

    # Several nights: their median counts if the newest night is lower, so that one short night does
    # not lower the expected number of rows.
    nights: int = Field(
        7, ge=1, description="number of earlier published nights that row counts are compared with"
    )
    # docs/checks.md explains each check and its defaults.
    # No stop: unlike the warning, a stop does not wait for the normal pause of a source, so it
    # would refuse sources that are delivered once a week.
    freshness: DurationLimits = _duration_limits_field(
        timedelta(days=3),
        None,
        "age of a source's newest row; longer regular pauses of the source are allowed",
    )
    rows: Limits = _limits_field(
        0.1, 0.3, "share of a source's rows that disappeared since the earlier nights"
    )
    # Rows are deleted and entered late in most companies, but hardly 2 % of a whole history between
    # two nights.
    history: Limits = _limits_field(
        0.02, None, "share of the rows known on the last night that disappeared, or were added"
    )
    new_rows: Limits = _limits_field(
        0.9, None, "share by which the rows of the last day are fewer than on every earlier night"
    )
    time_of_day: Limits = _limits_field(
        0.5, None, "hours by which a source's mean time of day differs from that of the last night"
    )
    suppressed: Limits = _limits_field(
        0.1, 0.3, "share of the suppressed ids that disappeared since the earlier nights"
    )
    leads: Limits = _limits_field(
        0.4, 0.8, "drop in the number of scored leads against the earlier nights, as a share"
    )
    # Leads are removed from most CRMs now and then, but not half of the open ones in a day.
    gone_leads: Limits = _limits_field(
        0.1, 0.5, "share of the leads published on the last night that are no longer in the data"
    )
    gone_types: Limits = _limits_field(
        0.0,
        0.1,
        "share of past events that belongs to an event type or channel without recent events",
    )
    new_types: Limits = _limits_field(
        0.01, None, "share of the last week's events whose type or channel was absent from training"
    )
    gone_categories: Limits = _limits_field(
        0.05, None, "share of training leads whose category no lead has now"
    )
    new_categories: Limits = _limits_field(
        0.1, 0.5, "share of the leads with an attribute category that was absent from training"
    )
    missing: Limits = _limits_field(
        0.2, 0.5, "increase in the share of leads with a missing attribute since training"
    )
    # In credit scoring a PSI above 0.25 is a large shift (Siddiqi, Credit Risk Scorecards, 2006).
    drift: Limits = _limits_field(
        0.25, 2.0, "population stability index (PSI) of a feature against training"
    )
    score_drift: Limits = _limits_field(
        0.25, 1.0, "population stability index (PSI) of the probabilities against training"
    )
    mean: Limits = _limits_field(
        1.5, 3.0, "ratio between the mean probability and that of training, in either direction"
    )
    moved: Limits = _limits_field(
        0.4, None, "share of the leads whose grade changed since the night before"
    )
    changed: Limits = _limits_field(
        3.0, None, "ratio between the mean change of the scores and that of every earlier night"
    )
    model_age: DurationLimits = _duration_limits_field(
        timedelta(days=60), None, "time since the model was trained"
    )

    @field_validator("*", mode="before")
    @classmethod
    def _fill_missing_limit(cls, value: object, info: ValidationInfo) -> object:
        """Fill a limit that is left out with the check's default, so that one can be set alone."""
        # Before validation, since a limit that is left out and null are both None after it.
        default = cls.model_fields[info.field_name or ""].default
        if isinstance(value, dict) and isinstance(default, Limits | DurationLimits):
            return {"warn": default.warn, "stop": default.stop} | value
        return value

    @model_validator(mode="after")
    def _check_warn_before_stop(self) -> Self:
        for name, limits in self:
            # `nights` is a number without limits, and None cannot be compared.
            has_both = isinstance(limits, Limits | DurationLimits) and None not in (
                limits.warn,
                limits.stop,
            )
            if has_both and limits.warn > limits.stop:
                raise ValueError(f"{name}.warn must not be greater than {name}.stop")
        return self
