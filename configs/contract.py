"""What the rows of a source must be like: part of a project's YAML."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from configs.names import BLANKS
from configs.source_rows import FrozenModel

Severity = Literal["warn", "stop"]
Bound = float | date | datetime


class RowRule(FrozenModel):
    """Smallest and largest number of rows of a source."""

    min: int | None = Field(None, ge=0, description="smallest number of rows")
    max: int | None = Field(None, ge=0, description="largest number of rows")
    severity: Severity = Field("stop", description="warn: name a breach and go on")

    @model_validator(mode="after")
    def _check_limits(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("give min, max, or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min must not be greater than max")
        return self

    def allows(self, rows: int) -> bool:
        """Return whether a number of rows lies within the limits."""
        return (self.min or 0) <= rows and (self.max is None or rows <= self.max)

    def describe(self) -> str:
        """Return the limits as the config has them."""
        limits = {"min": self.min, "max": self.max}
        return ", ".join(f"{key}: {n:,}" for key, n in limits.items() if n is not None)


class ColumnRule(FrozenModel):
    """What the values of a column must be like; each key is a rule of its own."""

    accepted: tuple[str, ...] | None = Field(
        None, min_length=1, description="the only values that may occur"
    )
    min: Bound | None = Field(None, description="smallest value: a number, a date or an instant")
    max: Bound | None = Field(
        None, description="largest value: a number, a date (all of the day) or an instant"
    )
    max_missing: float | None = Field(
        None, ge=0, le=1, description="largest share of rows without a value; 0: none is missing"
    )
    unique: bool = Field(False, description="no two rows may have the same value")
    severity: Severity = Field("stop", description="warn: name a breach and go on")

    # Before validation: Pydantic would report one error for each type that a value may have.
    @field_validator("accepted", mode="before")
    @classmethod
    def _read_accepted(cls, value: object) -> object:
        if not isinstance(value, list | tuple):
            return value
        return [_write_value(entry) for entry in value]

    @field_validator("min", "max", mode="before")
    @classmethod
    def _check_bound(cls, value: object) -> object:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is None or number or isinstance(value, date):
            return value
        try:
            return datetime.fromisoformat(value) if isinstance(value, str) else int("")
        except ValueError as error:
            raise ValueError("must be a number, a date or an instant") from error

    @model_validator(mode="after")
    def _check_rules(self) -> Self:
        rules = (self.accepted, self.min, self.max, self.max_missing, self.unique or None)
        if all(rule is None for rule in rules):
            raise ValueError("give a rule: accepted, min, max, max_missing or unique")
        bounds = [bound for bound in (self.min, self.max) if bound is not None]
        if len({isinstance(bound, float) for bound in bounds}) > 1:
            raise ValueError("min and max must both be numbers, or both dates")
        return self

    @property
    def bounds_dates(self) -> bool:
        """Return whether the bounds are dates or instants."""
        return isinstance(self.min, date) or isinstance(self.max, date)


def _wrap_single_rule(value: object) -> object:
    return (value,) if isinstance(value, dict) else value


class SourceContract(FrozenModel):
    """What the rows of one source must be like."""

    rows: RowRule | None = Field(None, description="number of rows")
    columns: dict[str, Annotated[tuple[ColumnRule, ...], BeforeValidator(_wrap_single_rule)]] = (
        Field(
            {},
            description="rules by column of the source, or by attribute of a long history: one "
            "mapping, or a list of them with severities of their own",
        )
    )


def _write_value(value: object) -> str:
    """Return a value of the YAML as it is written in a source."""
    if isinstance(value, str):
        return value.strip(BLANKS)
    # YAML reads yes, no, on and off as truths, which a source writes in many ways.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("accepted values are texts or numbers: write others in quotes")
    return str(int(value)) if float(value).is_integer() else repr(value)
