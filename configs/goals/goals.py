"""Goals of a month or a quarter: part of a project's YAML."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    StringConstraints,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from configs.goals.holidays import check_country
from configs.goals.periods import MONTHS, PeriodName, add_months, find_first_day
from configs.source_rows import FrozenModel

# The segments of all leads, whose column has the same name; of the values without a segment of
# their own; and of leads without a value.
ALL, OTHER, MISSING = "all", "other", "missing"
# Stands for a column in the rows of the cycle from each stage.
STAGE = "stage"
# Values that are called like these stand in quotes.
_QUOTED = {f'"{name}"': name for name in (ALL, OTHER, MISSING)}


def _read_goal(value: object) -> object:
    """Return a goal as a number, or as numbers by date; raise ValueError for anything else."""
    if isinstance(value, Mapping):
        if not value:
            raise ValueError("must not be empty: give a goal by the first day of its period")
        return {_read_date(day): _read_number(goal) for day, goal in value.items()}
    return value if value is None else _read_number(value)


def _read_number(value: object) -> float:
    # A text, because a variable of the environment is one.
    try:
        number = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not 0 < number < math.inf:
        raise ValueError(
            "must be a number above zero, or such numbers by the first day of their period, such "
            "as {2025-07-01: 250000}"
        )
    return number


def _read_date(value: object) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError as error:
        raise ValueError(f"{value!r} is not a date, such as 2025-07-01") from error


def _read_names(value: object) -> object:
    """Return a mapping whose keys are text, since YAML reads the name 2024 as a number."""
    if not isinstance(value, Mapping):
        raise ValueError("must be a mapping from values of the column to their goals")
    for name in value:
        if isinstance(name, bool) or not isinstance(name, str | int):
            raise ValueError(f"YAML does not read the name {name!r} as text: put it in quotes")
    return {str(name).strip(): goal for name, goal in value.items()}


_NUMBER = {"type": "number", "exclusiveMinimum": 0}
Goal = Annotated[
    float | dict[date, float],
    BeforeValidator(_read_goal),
    WithJsonSchema({"anyOf": [_NUMBER, {"type": "object", "additionalProperties": _NUMBER}]}),
]


class Goals(FrozenModel):
    """What is to be won in a month or a quarter, in total and by segment."""

    period: PeriodName = Field("month", description="the period that the goals are for")
    unit: Literal["wins", "amount"] = Field(
        "wins", description="wins: a number of wins; amount: what they are worth"
    )
    goal: Goal | None = Field(
        None,
        description="goal of a period: a number, or numbers by the first day of the first period "
        "for which they hold",
    )
    by: str | None = Field(
        None, description="column whose values divide the leads: a category, channel or owner"
    )
    segments: Annotated[dict[str, Goal], BeforeValidator(_read_names)] = Field(
        {}, description="goals of single values of the column"
    )
    currency: Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")] | None = Field(
        None,
        description="currency of the amounts, by its ISO code, such as EUR: shown with them; "
        "nothing is converted",
    )
    holidays: str | None = Field(
        None,
        description="country whose public holidays count as Sundays, by its ISO code, with its "
        "subdivision if wanted: NL, DE-BY",
    )

    @field_validator("holidays", mode="before")
    @classmethod
    def _check_holidays(cls, value: object) -> object:
        if value is False:
            raise ValueError("YAML reads NO, the code of Norway, as false: write 'NO'")
        if isinstance(value, str):
            check_country(value)
        return value

    @model_validator(mode="after")
    def _check_segments(self) -> Self:
        if self.segments and self.by is None:
            raise ValueError("segments requires by: the column whose values it names")
        return self

    @model_validator(mode="after")
    def _check_first_days(self) -> Self:
        goals = {
            "goal": self.goal,
            **{f"segments.{name}": goal for name, goal in self.segments.items()},
        }
        for key, goal in goals.items():
            days = sorted(goal) if isinstance(goal, dict) else []
            if wrong := [day for day in days if day != find_first_day(day, self.period)]:
                raise ValueError(
                    f"{key}: {wrong[0]} is not the first day of a {self.period}: write "
                    f"{find_first_day(wrong[0], self.period)}"
                )
        return self

    def find_goal(
        self,
        first: date,
        period: str,
        unit: str,
        segment: str = ALL,
        by: str | None = None,
    ) -> float | None:
        """Return the goal of the period that begins on a day; None without one.

        That of a quarter is the sum of its months' goals, where the goals are for months; the other
        way round there is none. ``by`` is the column of the segment; goals by another column are
        none of it.
        """
        goal = self.goal if segment == ALL else self._find_own(segment, by)
        months, own = MONTHS[period], MONTHS[self.period]
        if goal is None or unit != self.unit or months < own:
            return None
        parts = [_find_at(goal, add_months(first, month)) for month in range(0, months, own)]
        known = [part for part in parts if part is not None]
        return sum(known) if len(known) == len(parts) else None

    def _find_own(self, segment: str, by: str | None) -> float | dict[date, float] | None:
        if by != self.by or segment in (OTHER, MISSING):
            return None
        return self.segments.get(name_segment_value(segment))


def name_segment_value(segment: str) -> str:
    """Return the value of a column for which a segment stands: not ALL, OTHER or MISSING."""
    return _QUOTED.get(segment, segment)


def _find_at(goal: float | dict[date, float], first: date) -> float | None:
    """Return the goal of the period that begins on a day: the newest up to it."""
    if not isinstance(goal, dict):
        return goal
    days = [day for day in goal if day <= first]
    return goal[max(days)] if days else None
