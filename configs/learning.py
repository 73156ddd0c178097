"""How models are tested and learnt: part of a project's YAML."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator

from configs.durations import Duration, parse_duration
from configs.source_rows import Frozen


class Evaluation(Frozen):
    """How the out-of-time figures are made."""

    folds: int = Field(3, ge=1, le=20, description="rolling origins")
    share: float = Field(
        0.4, gt=0, lt=1, description="latest share of the time span that is tested"
    )
    embargo: Duration = Field(timedelta(0), description="gap between segments beyond the horizon")
    segments: tuple[str, ...] = Field(
        (), description="category attributes by whose values figures are shown apart"
    )


class Search(Frozen):
    """How long the search of settings may take: so many trials, and never longer than the limit."""

    trials: int = Field(
        30, ge=1, le=1000, description="settings to try; the same trials give the same model"
    )
    limit: Duration | None = Field(
        None, description="no trial begins after this long, and the report says so"
    )


def _limit_alone(value: object) -> object:
    return {"limit": value} if isinstance(value, str | timedelta) else value


class Learning(Frozen):
    """How the learners weigh the rows they learn from, and whether their settings are searched for."""

    one_vote: bool = Field(
        False, description="an entity's rows together weigh as much as those of any other"
    )
    recency_half_life: Duration | float | None = Field(
        None,
        description="a row this much older than the latest weighs half: a duration, or a share of the time or rows",
    )
    search: Annotated[Search, BeforeValidator(_limit_alone, Duration | Search)] | None = Field(
        None, description="trials and limit, or the limit alone, such as 60s; left out, no search"
    )

    @field_validator("recency_half_life", mode="before")
    @classmethod
    def _duration_or_share(cls, value: object) -> object:
        if value is None or (
            isinstance(value, int | float) and value is not True and 0 < value <= 1
        ):
            return value
        length = timedelta(0) if isinstance(value, int | float) else parse_duration(value)
        if length == timedelta(0):
            raise ValueError(
                "a half-life is a duration above 0, such as 180d, or a share of up to 1, such as 0.1"
            )
        return length


class Audit(Frozen):
    """What the leakage audit may not leave out of a training."""

    allow: tuple[str, ...] = Field(
        (),
        description="columns that features may use although the audit suspects them: they are known at the cutoff",
    )
