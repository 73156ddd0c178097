"""Hand-overs of leads from marketing to sales (MQL, SAL, SQL): part of a project's YAML."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from configs.durations import Duration
from configs.names import Name
from configs.source_rows import FrozenModel
from configs.suggestions import did_you_mean
from configs.targets import Target

# A lead that was drawn at random stays on its week's list, so it must not return within the week.
MIN_WAIT = timedelta(days=7)
REQUIRED_KEYS = {
    "target": "the target whose outcome answers the hand-over",
    "cost": "what working one lead costs, in the unit of the value",
    "per_week": "the number of leads a week that can be worked",
}


def _read_amount(value: object) -> float:
    # A text, because a variable of the environment is one.
    try:
        number = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not 0 < number < math.inf:
        raise ValueError(f"must be a number above zero, not {value!r}")
    return number


Amount = Annotated[
    float,
    BeforeValidator(_read_amount),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0}),
]


class Handover(FrozenModel):
    """One hand-over: whose answer is predicted, what a lead costs, and how many fit in a week."""

    target: str = Field(description="target whose outcome is the answer of those who take over")
    cost: Amount = Field(description="cost of working one lead, in the unit of the value")
    value: Amount | None = Field(
        None, description="value of one outcome; default: the mean amount of the target's outcomes"
    )
    per_week: int = Field(ge=1, description="capacity: leads a week that can be taken over")

    @model_validator(mode="before")
    @classmethod
    def _check_required(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            for key, meaning in REQUIRED_KEYS.items():
                if value.get(key) is None:
                    raise ValueError(f"{key} is missing: give {meaning}")
        return value


class Recycling(FrozenModel):
    """What sends a lead back that was handed over."""

    rejected: tuple[Name, ...] = Field((), description="event types by which sales rejects a lead")
    returned: tuple[Name, ...] = Field(
        (), description="event types by which sales gives a lead back to marketing"
    )
    silent: Duration | None = Field(
        None, description="a lead goes back after this long without an activity of its own"
    )
    wait: Duration = Field(
        timedelta(days=30), description="time before a lead that went back is handed over again"
    )

    @field_validator("wait")
    @classmethod
    def _check_wait(cls, value: timedelta) -> timedelta:
        if value < MIN_WAIT:
            raise ValueError("must be at least 7d, the time for which a weekly list lasts")
        return value

    @model_validator(mode="after")
    def _check_silence(self) -> Recycling:
        if self.silent == timedelta(0):
            raise ValueError("silent: must be longer than zero")
        return self


class Qualification(FrozenModel):
    """Hand-overs to sales: from marketing (MQL), and of accepted leads (SQL)."""

    mql: Handover = Field(description="marketing hands a lead over; the outcome is its acceptance")
    sql: Handover | None = Field(
        None, description="an accepted lead becomes sales-qualified; the outcome is the win"
    )
    sla: Duration = Field(
        timedelta(days=1), description="time from a hand-over to the first touch by sales"
    )
    recycle: Recycling = Recycling()

    @field_validator("sla")
    @classmethod
    def _check_sla(cls, value: timedelta) -> timedelta:
        if value == timedelta(0):
            raise ValueError("must be longer than zero")
        return value

    @property
    def steps(self) -> dict[str, Handover]:
        """Return the hand-overs by their key, in their order."""
        return {"mql": self.mql} | ({"sql": self.sql} if self.sql else {})


def check_qualification(
    qualification: Qualification, targets: Mapping[str, Target], outbound: tuple[str, ...]
) -> None:
    """Raise ValueError where the hand-overs do not fit the targets and touches of a project."""
    for key, step in qualification.steps.items():
        where, target = f"qualification.{key}", targets.get(step.target)
        if target is None:
            hint = did_you_mean(step.target, targets) or "name one of them"
            raise ValueError(
                f"{where}.target: {step.target!r} is no target, the targets are "
                f"{', '.join(targets)}: {hint}"
            )
        if not target.outcome_types or target.cutoffs is None or target.cutoffs.every is None:
            raise ValueError(
                f"{where}.target: {step.target!r} must have an outcome event and cutoffs.every, so "
                "that its leads are scored each night: name another target"
            )
        if step.value is None and target.amount is None:
            raise ValueError(
                f"{where}.value is missing: give what one outcome is worth, or "
                f"targets.{step.target}.amount"
            )
    _check_order(qualification, targets)
    if not outbound:
        raise ValueError(
            "qualification.sla requires features.outbound: give the event types that are touches "
            "by sales, such as call"
        )


def _check_order(qualification: Qualification, targets: Mapping[str, Target]) -> None:
    if qualification.sql is None:
        return
    mql, sql = qualification.mql.target, qualification.sql.target
    accepted, after = targets[mql].outcome_types, targets[sql].population.after
    if after not in accepted:
        raise ValueError(
            f"qualification.sql.target: {sql!r} begins after {after!r}, which is no outcome of "
            f"{mql!r} ({', '.join(accepted)}): name a target whose population.after is the "
            "acceptance"
        )
