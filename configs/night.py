"""Publishing, weekly capacity and schedule of the nightly run: part of a project's YAML."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from pydantic import (
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
)

from configs.addresses.fields import DatabaseAddress
from configs.durations import Duration
from configs.exports import CrmExport, ExportName
from configs.source_rows import FrozenModel


class Capacity(FrozenModel):
    """Weekly capacity of sales, its owners, and its share for random exploration."""

    per_week: int = Field(ge=1, description="leads per week and owner")
    owner: str | None = Field(
        None, description="column of the leads source that names the sales person of a lead"
    )
    explore: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="share of the capacity that is filled with leads drawn at random from the rest",
    )

    # Wrapped, so that the error names the value and its bounds for every kind of wrong value.
    @field_validator("explore", mode="wrap")
    @classmethod
    def _parse_share(cls, value: Any, read: ValidatorFunctionWrapHandler) -> float:
        try:
            share: float = read(value)
        except ValidationError as error:
            raise ValueError(
                f"must be a share of the capacity between 0 and 0.5, such as 0.05, not {value!r}"
            ) from error
        return share


class Review(FrozenModel):
    """Time until a lead is reviewed again, by its grade; counted in whole days."""

    # Longer for lower grades: few leads with C or D have the outcome, so an earlier review is not
    # worth the time.
    A: Duration = timedelta(days=3)
    B: Duration = timedelta(days=7)
    C: Duration = timedelta(days=14)
    D: Duration = timedelta(days=30)

    def by_grade(self) -> dict[str, timedelta]:
        """Return the durations by grade, A to D."""
        return {"A": self.A, "B": self.B, "C": self.C, "D": self.D}


class Publish(FrozenModel):
    """Where scores are stored and exported, and how grades settle."""

    database: DatabaseAddress | None = Field(
        None,
        description="postgresql://… or sqlite:///…, with the password from the environment; "
        "default: scores.db in the workspace",
    )
    keep: Duration | None = Field(
        None,
        description="retention: older scores are removed; default: keep all",
    )
    # Less than 10: a lead rises to A above 90 plus these points, and scores end at 100. On the
    # demo company 0.8 % of the weeks of leads had a grade that changed and changed back with 5
    # points and 14 days, 1.5 % with 7 days, and 27.6 % by the score alone (docs/benchmarks.md).
    steady: float = Field(
        5,
        ge=0,
        le=9,
        description="hysteresis: score points beyond a grade's limit before the grade changes",
    )
    settle: Duration = Field(
        timedelta(days=14), description="a grade falls only after the score was lower for this long"
    )
    review: Review = Field(Review(), description="time until a lead is reviewed again, by grade")
    language: str = Field(
        "en",
        description="language of the reasons: the name of a file in features/wording, such as en "
        "or ru",
    )
    accounts: bool = Field(True, description="also score accounts, if leads have any")
    reasons: float = Field(
        1.0,
        ge=0,
        le=1,
        description="share of each target's leads, highest scores first, that get reasons",
    )
    readers: str | None = Field(
        None,
        min_length=1,
        description="group of the operating system, by name or number, that may read the exports; "
        "default: only the user who runs leadscore",
    )
    page: bool = Field(
        True, description="also write a page to look at, index.html, next to the export"
    )
    funnel: bool = Field(
        True, description="also publish the funnel, its paths, the cycle and the stuck leads"
    )
    funnel_by: tuple[str, ...] = Field(
        (),
        description="columns whose values divide the published funnel: a category of the leads, "
        "channel or owner",
    )
    forecast: bool = Field(
        True, description="also publish the forecast of this period and the next, and its deals"
    )
    fit: bool = Field(
        True,
        description="also publish the ideal customer profile, and the fit of the open accounts",
    )
    customers: bool = Field(
        True, description="also publish customers after the win, where the config describes them"
    )
    channels: bool = Field(
        True, description="also publish cost and credit of channels, where the config has channels"
    )
    touches: bool = Field(
        True, description="also publish next touches of leads, where the config has touches"
    )
    uplift: bool = Field(
        True, description="also publish the uplift of open leads, where the config has uplift"
    )
    exports: dict[ExportName, CrmExport] = Field(
        {}, description="deliveries in a CRM's format, by name"
    )


class Schedule(FrozenModel):
    """Schedule of the deployed flows, as cron expressions in the config's time zone."""

    score: str | None = Field(
        "0 5 * * *", description="cron expression of nightly scoring; null: never"
    )
    train: str | None = Field("0 2 * * 0", description="cron expression of training; null: never")
    monitor: str | None = Field(
        "0 7 * * *", description="cron expression of monitoring; null: never"
    )
    # Midnight, so that a run that is late or repeated has the same as-of.
    as_of: Literal["midnight", "start"] = Field(
        "midnight",
        description="as-of of a scheduled run: the last local midnight, or the scheduled start",
    )
    limit: Duration = Field(timedelta(hours=6), description="timeout of a run")
    # A day from one night to the next, and the 6 hours that a run may take.
    late: Duration = Field(
        timedelta(hours=30),
        description="raise an alarm if the last successful night is older than this",
    )
