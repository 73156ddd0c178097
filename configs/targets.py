"""What is predicted: populations, outcomes, cutoffs and amounts, part of a project's YAML."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from configs.durations import Duration
from configs.source_rows import Frozen


class Population(Frozen):
    """Who is eligible at a cutoff: entered before it, not ended, not too old."""

    after: str = Field(
        "created", description="“created”, or the event type whose first occurrence is the entry"
    )
    until: tuple[str, ...] = Field(
        (), description="event types that end eligibility; the outcome always does"
    )
    closed_by: tuple[str, ...] = Field(
        (), description="with cutoffs.delay: event types after which a score is no longer published"
    )
    max_age: Duration | None = Field(None, description="longest time since entry")


class ColumnOutcome(Frozen):
    """An outcome that is a plain column without a time."""

    column: str
    equals: str | int | float | bool


class Cutoffs(Frozen):
    """When a row is computed: on a grid back from the as-of, or once an entity at a delay after its entry."""

    every: Duration | None = Field(None, description="grid step, such as 7d")
    delay: Duration | None = Field(
        None, description="once an entity, this long after its entry, such as 1h"
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.every is None) == (self.delay is None):
            raise ValueError("give either every (a grid) or delay (once after entry)")
        if timedelta(0) in (self.every, self.delay):
            raise ValueError(
                "must be longer than zero: what happens at the cutoff itself is not yet known"
            )
        if self.every is not None and self.every < timedelta(hours=1):
            raise ValueError(
                "a grid step is an hour at least: every open entity gets a row at every step"
            )
        return self


class OutcomeAmount(Frozen):
    """The amount that the outcome event itself carries: not known before it comes, so what it will be is learnt."""

    outcome: Literal["value"] = Field(description="where the outcome event carries it")


class Target(Frozen):
    """What is predicted, as data: population, outcome, horizon, cutoffs."""

    population: Population = Population()
    outcome: str | tuple[str, ...] | ColumnOutcome
    horizon: Duration | None = Field(None, description="how far ahead the label looks")
    cutoffs: Cutoffs | None = None
    observed_from: datetime | None = Field(
        None, description="outcomes before this instant were not recorded"
    )
    amount: float | str | OutcomeAmount | None = Field(
        None,
        description="a constant, the attribute that holds the amount, or {outcome: value} to learn it",
    )

    @field_validator("observed_from", mode="before")
    @classmethod
    def _date_is_midnight(cls, value: object) -> object:
        if isinstance(value, date) and not isinstance(value, datetime):
            return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - the zone is added on load
        return value

    @field_validator("amount", mode="before")
    @classmethod
    def _one_way_to_learn_it(cls, value: object) -> object:
        if isinstance(value, dict) and value != {"outcome": "value"}:
            raise ValueError("an amount is a number, the name of an attribute, or {outcome: value}")
        return value

    @model_validator(mode="after")
    def _timed_outcome_needs_times(self) -> Self:
        if isinstance(self.outcome, ColumnOutcome):
            if self.horizon or self.cutoffs or self.population != Population():
                raise ValueError(
                    "an outcome column has no time: leave out population, horizon and cutoffs"
                )
            if self.learns_amount:
                raise ValueError(
                    "an outcome column carries no value: give amount as a number or an attribute"
                )
        elif self.horizon is None or self.cutoffs is None:
            raise ValueError("an outcome event needs horizon and cutoffs")
        return self

    @property
    def learns_amount(self) -> bool:
        """Whether what an outcome is worth is learnt from the values of earlier ones."""
        return isinstance(self.amount, OutcomeAmount)

    @property
    def outcomes(self) -> tuple[str, ...]:
        """Return the event types that count as the outcome; none for an outcome column."""
        if isinstance(self.outcome, ColumnOutcome):
            return ()
        return (self.outcome,) if isinstance(self.outcome, str) else self.outcome
