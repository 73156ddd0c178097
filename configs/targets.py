"""Prediction targets, population, outcome, cutoffs and amount: part of a project's YAML."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal, Self

from pydantic import AliasChoices, Field, ValidationError, field_validator, model_validator

from configs.durations import Duration, read_date_as_midnight
from configs.names import BLANKS, Name
from configs.source_rows import FrozenModel


class Population(FrozenModel):
    """Eligibility at a cutoff: entered before it, not ended, not too old."""

    after: Name = Field(
        "created",
        description="start of eligibility: “created”, or the event type whose first occurrence "
        "starts it",
    )
    until: tuple[Name, ...] = Field(
        (),
        description="event types that end eligibility; the outcome does, too, unless it recurs",
    )
    reopen: tuple[Name, ...] = Field(
        (),
        description="event types after which an entity that had ended, by the outcome as well, is "
        "eligible again until the next end",
    )
    recurring: bool = Field(
        False, description="whether entities stay eligible after the outcome, which may recur"
    )
    closed_by: tuple[Name, ...] = Field(
        (),
        description="with cutoffs.delay: event types after which the score is no longer published",
    )
    max_age: Duration | None = Field(
        None, description="maximum time since the start of eligibility"
    )


OutcomeValue = str | int | float | bool


class ColumnOutcome(FrozenModel):
    """An outcome given by a column of the leads source, without a time of its own."""

    column: str
    equals: OutcomeValue | tuple[OutcomeValue, ...] = Field(
        description="value of the column that counts as the outcome, or a list of such values"
    )
    mature_after: Duration | None = Field(
        None, description="age, since created_at, from which a lead's value is final"
    )

    # Before validation: Pydantic would report one error for each type that a value may have.
    @field_validator("equals", mode="before")
    @classmethod
    def _check_values(cls, value: object) -> object:
        values = value if isinstance(value, list | tuple) else [value]
        if not values or not all(isinstance(entry, OutcomeValue) for entry in values):
            raise ValueError("must be a text, a number, true or false, or a list of them")
        # Without blanks around it, as the values of the column are read.
        trimmed = [e.strip(BLANKS) if isinstance(e, str) else e for e in values]
        return trimmed if isinstance(value, list | tuple) else trimmed[0]

    @property
    def values(self) -> tuple[OutcomeValue, ...]:
        """Return the values that count as the outcome."""
        return self.equals if isinstance(self.equals, tuple) else (self.equals,)


class Cutoffs(FrozenModel):
    """Times at which rows are computed: a grid back from the as-of, or once after entry."""

    every: Duration | None = Field(None, description="step of the grid, such as 7d")
    delay: Duration | None = Field(
        None, description="time after entry of the single cutoff per entity, such as 1h"
    )

    @model_validator(mode="after")
    def _check_one_kind(self) -> Self:
        if (self.every is None) == (self.delay is None):
            raise ValueError("give either every (a grid) or delay (once after entry)")
        if timedelta(0) in (self.every, self.delay):
            raise ValueError(
                "must be longer than zero: events at the cutoff itself are not known yet"
            )
        if self.every is not None and self.every < timedelta(hours=1):
            raise ValueError(
                "a grid step must be at least 1h: every open entity gets a row at every step"
            )
        return self


class OutcomeAmount(FrozenModel):
    """An amount carried by the outcome event: unknown before it, so a model predicts it."""

    outcome: Literal["value"] = Field(
        description="field of the outcome event that carries the amount"
    )


class Target(FrozenModel):
    """A prediction target: population, outcome, horizon, cutoffs and amount."""

    population: Population = Population()
    outcome: Name | tuple[Name, ...] | ColumnOutcome
    outcome_revoked_by: tuple[Name, ...] = Field(
        (),
        validation_alias=AliasChoices("outcome_revoked_by", "undone_by"),
        description="event types that revoke the latest outcome before them: it did not happen",
    )
    horizon: Duration | None = Field(
        None, description="length of the period after the cutoff in which the outcome counts"
    )
    cutoffs: Cutoffs | None = None
    observed_from: datetime | None = Field(
        None, description="start of outcome recording: earlier cutoffs are not used for training"
    )
    amount: float | str | OutcomeAmount | None = Field(
        None,
        description="a number, the attribute with the amount, or {outcome: value} to predict it",
    )

    # Before validation: Pydantic would report one error for each form that an outcome may have.
    @field_validator("outcome", mode="before")
    @classmethod
    def _read_column_outcome(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        if not value.keys() & ColumnOutcome.model_fields.keys():
            raise ValueError("give an event type, a list of them, or {column: C, equals: V}")
        try:
            return ColumnOutcome.model_validate(value)
        except ValidationError as errors:
            first = errors.errors()[0]
            key, text = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
            raise ValueError(f"{key}: {text}") from errors

    @field_validator("observed_from", mode="before")
    @classmethod
    def _read_date_as_midnight(cls, value: object) -> object:
        return read_date_as_midnight(value)

    # Before validation: Pydantic would report one error for each type that an amount may have.
    @field_validator("amount", mode="before")
    @classmethod
    def _check_amount_source(cls, value: object) -> object:
        if isinstance(value, dict) and value != {"outcome": "value"}:
            raise ValueError("must be a number, the name of an attribute, or {outcome: value}")
        return value

    @model_validator(mode="after")
    def _check_outcome_kind(self) -> Self:
        if isinstance(self.outcome, ColumnOutcome):
            if self.horizon or self.cutoffs or self.population != Population():
                raise ValueError(
                    "an outcome column has no time: remove population, horizon and cutoffs"
                )
            if self.outcome_revoked_by:
                raise ValueError(
                    "an outcome column has no events that revoke it: remove outcome_revoked_by"
                )
            if self.learns_amount:
                raise ValueError(
                    "an outcome column carries no value: give amount as a number or an attribute"
                )
        elif self.horizon is None or self.cutoffs is None:
            raise ValueError(
                "an outcome event needs horizon and cutoffs, such as horizon: 30d and cutoffs: "
                "{every: 7d}"
            )
        return self

    @model_validator(mode="after")
    def _check_roles_of_event_types(self) -> Self:
        population, outcomes = self.population, self.outcome_types
        ends = {*population.until, *population.closed_by, *outcomes}
        for key, names, others, reason in (
            ("population.reopen", population.reopen, ends, "ends eligibility, so it cannot reopen"),
            ("outcome_revoked_by", self.outcome_revoked_by, outcomes, "is the outcome itself"),
            (
                "population.until",
                population.until if population.recurring else (),
                outcomes,
                "is the outcome, which recurs: remove it here, or remove recurring",
            ),
        ):
            if both := sorted(set(names) & set(others)):
                raise ValueError(f"{key}: {both[0]!r} {reason}")
        return self

    @property
    def learns_amount(self) -> bool:
        """Return whether a model predicts the amount from the values of earlier outcomes."""
        return isinstance(self.amount, OutcomeAmount)

    @property
    def maturity(self) -> timedelta:
        """Return the time until a row's label is final.

        It is counted from the cutoff for an outcome event, and from ``created_at`` for a column.
        """
        if isinstance(self.outcome, ColumnOutcome):
            return self.outcome.mature_after or timedelta(0)
        return self.horizon or timedelta(0)

    @property
    def event_names(self) -> dict[str, tuple[str, ...]]:
        """Return the event types that decide on eligibility and label, by the key of each."""
        population = self.population
        return {
            "outcome": self.outcome_types,
            "outcome_revoked_by": self.outcome_revoked_by,
            # `created` is the lead's own creation, not an event of the log.
            "population.after": (population.after,) if population.after != "created" else (),
            "population.until": population.until,
            "population.reopen": population.reopen,
            "population.closed_by": population.closed_by,
        }

    @property
    def outcome_types(self) -> tuple[str, ...]:
        """Return the event types that count as the outcome; empty for an outcome column."""
        if isinstance(self.outcome, ColumnOutcome):
            return ()
        return (self.outcome,) if isinstance(self.outcome, str) else self.outcome
