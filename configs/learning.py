"""Evaluation, training, leakage audit and customer profile: part of a project's YAML."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator

from configs.durations import Duration, parse_duration
from configs.names import Name
from configs.source_rows import FrozenModel


class EvaluationConfig(FrozenModel):
    """Settings of the out-of-time evaluation."""

    folds: int = Field(3, ge=1, le=20, description="number of rolling origins")
    share: float = Field(
        0.4, gt=0, lt=1, description="share of the time span, at its end, that is used for testing"
    )
    # 0, because the horizon alone already keeps outcomes of the test window out of the train rows.
    embargo: Duration = Field(
        timedelta(0),
        description="gap between training and test segments, in addition to the horizon",
    )
    segments: tuple[str, ...] = Field(
        (), description="categorical attributes; metrics are also reported for each of their values"
    )


class Search(FrozenModel):
    """Budget of the hyperparameter search: number of trials, optionally cut by a time limit."""

    trials: int = Field(
        30,
        ge=1,
        le=1000,
        description="parameter sets to try; the same number of trials gives the same model",
    )
    limit: Duration | None = Field(
        None, description="no trial starts after this time; the report states if trials were cut"
    )


def _expand_bare_limit(value: object) -> object:
    return {"limit": value} if isinstance(value, str | timedelta) else value


class Learning(FrozenModel):
    """Weighting of training rows, and whether hyperparameters are searched for."""

    # Off: where it was measured it ranked no worse, but made the probabilities too high, since
    # leads that stay open for long are those that are not won (docs/configuration.md, "Learning").
    one_vote: bool = Field(
        False,
        description="give all rows of an entity together the same weight as those of any other "
        "entity",
    )
    # Off: on bpi2012 the hazard was slightly worse with it (docs/training.md, "Activity").
    activity: bool = Field(
        False,
        description="let the hazard learner start from a forecast of each lead's activity",
    )
    # None: recency weights help where buyers change, and cost as much elsewhere.
    recency_half_life: Duration | float | None = Field(
        None,
        description="age, relative to the latest row, at which a row weighs half: a duration, or a "
        "share of "
        "the time span or rows",
    )
    segment_by: str | None = Field(
        None,
        description="category attribute, or channel for that of the first event; each of its "
        "values gets a recalibration or a model of its own where that is better out of time",
    )
    # At least 50, which a calibrator needs. From 100, a rate is known to a factor of about 1.2.
    segment_min_outcomes: int = Field(
        100,
        ge=50,
        description="rows with the outcome, and rows without, that a value of segment_by needs "
        "both to train on and to choose with",
    )
    # None: on the public data sets no parameters were better beyond noise. The second argument of
    # the validator gives the short form `search: 60s` a place in the JSON Schema.
    search: Annotated[Search, BeforeValidator(_expand_bare_limit, Duration | Search)] | None = (
        Field(
            None, description="trials and limit, or only the limit, such as 60s; default: no search"
        )
    )

    @field_validator("recency_half_life", mode="before")
    @classmethod
    def _parse_half_life(cls, value: object) -> object:
        # YAML's true is an int in Python, but it is no share.
        if value is None or (
            isinstance(value, int | float) and value is not True and 0 < value <= 1
        ):
            return value
        half_life = timedelta(0) if isinstance(value, int | float) else parse_duration(value)
        if half_life == timedelta(0):
            raise ValueError(
                "must be a duration above 0, such as 180d, or a share of at most 1, such as 0.1"
            )
        return half_life


class Audit(FrozenModel):
    """Columns that the leakage audit must not remove from training."""

    allow: tuple[str, ...] = Field(
        (),
        description="columns that features may use although the audit suspects leakage: they are "
        "known at "
        "the cutoff",
    )


class FitOptions(FrozenModel):
    """What the ideal customer profile is made of."""

    attributes: tuple[Name, ...] = Field(
        (),
        description="attributes of the leads that the profile may use; default: all but "
        "features.exclude, dates and personal ones",
    )
    horizon: Duration | None = Field(
        None,
        description="time after its entry in which an account must be won to count as a customer; "
        "default: the longest of 365d, 180d, 90d and 30d for which half of the accounts have been "
        "followed",
    )
