"""How a night is published, checked and scheduled: part of a project's YAML."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from pydantic import (
    Field,
    SecretStr,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
)

from configs.durations import Duration
from configs.exports import CrmExport, ExportName
from configs.source_rows import Frozen


class Capacity(Frozen):
    """How many leads sales can work in a week, by whom, and how many of them the model would not have picked."""

    per_week: int = Field(ge=1, description="leads a week, of each owner")
    owner: str | None = Field(None, description="a column of the leads source: who works a lead")
    explore: float = Field(
        0.0, ge=0, le=0.5, description="share of the places drawn at random from the other leads"
    )

    @field_validator("explore", mode="wrap")
    @classmethod
    def _a_share(cls, value: Any, read: ValidatorFunctionWrapHandler) -> float:
        try:
            share: float = read(value)
        except ValidationError as error:
            raise ValueError(
                f"write a share of the places, 0 to 0.5, such as 0.05, not {value!r}"
            ) from error
        return share


class Review(Frozen):
    """After how long a lead is looked at again, by its grade: whole days are counted."""

    A: Duration = timedelta(days=3)
    B: Duration = timedelta(days=7)
    C: Duration = timedelta(days=14)
    D: Duration = timedelta(days=30)

    def by_grade(self) -> dict[str, timedelta]:
        """Return the lengths of time by grade."""
        return {"A": self.A, "B": self.B, "C": self.C, "D": self.D}


class Publish(Frozen):
    """Where scores go and for how long; no part of what they mean."""

    database: SecretStr | None = Field(
        None,
        description="postgresql://… with its password from the environment; left out, scores.db in the workspace",
    )
    keep: Duration | None = Field(
        None,
        description="scores older than this are removed; left out, none is",
    )
    steady: float = Field(
        5, ge=0, le=9, description="points beyond an edge of a grade that do not change it"
    )
    settle: Duration = Field(
        timedelta(days=14), description="a grade falls once the score was lower for this long"
    )
    review: Review = Field(Review(), description="when a lead is to be looked at again, by grade")
    language: str = Field(
        "en", description="the language of the reasons: a file of features/words, such as en or ru"
    )
    accounts: bool = Field(
        True, description="score the accounts of the leads too, where leads have any"
    )
    reasons: float = Field(
        1.0, ge=0, le=1, description="the share of each target's leads, from the top, given reasons"
    )
    exports: dict[ExportName, CrmExport] = Field(
        {}, description="what is delivered in a CRM's own format, by name"
    )


class Schedule(Frozen):
    """When the deployed flows run, as cron lines in the config's zone."""

    score: str | None = Field(
        "0 5 * * *", description="cron line of the nightly scores; null, none"
    )
    train: str | None = Field("0 2 * * 0", description="cron line of the training; null, none")
    monitor: str | None = Field("0 7 * * *", description="cron line of the monitor; null, none")
    as_of: Literal["midnight", "start"] = Field(
        "midnight",
        description="a scheduled run is as of the last local midnight, or of the instant it was due",
    )
    limit: Duration = Field(timedelta(hours=6), description="a run that takes longer is stopped")
    late: Duration = Field(
        timedelta(hours=30), description="a last good night older than this is an alarm"
    )
