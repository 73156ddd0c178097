"""Touches: what own outreach is, what answers it, what it costs, and when it has to stop."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from configs.durations import Duration
from configs.names import Name
from configs.source_rows import FrozenModel

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Touches(FrozenModel):
    """Own touches of leads that have not answered yet."""

    types: tuple[Name, ...] = Field(
        (),
        description="event types that are touches of ours, by their `channel`, or by their own "
        "name without one; default: `features.outbound`",
    )
    replies: tuple[Name, ...] = Field(
        min_length=1,
        description="event types that answer a touch, such as replies and clicks; not opens, which "
        "machines cause",
    )
    opt_outs: tuple[Name, ...] = Field(
        (), description="event types after which a lead must never be touched again"
    )
    until: tuple[Name, ...] = Field(
        (),
        description="event types that end the touches of a lead; default: the win and the losses "
        "of the funnel",
    )
    quiet_after: Duration = Field(
        timedelta(days=60),
        description="this long after its last reply a lead is unresponsive again, and its touches "
        "are numbered from 1 again",
    )
    min_gap: Duration = Field(
        timedelta(days=3), description="no touch earlier than this after the one before"
    )
    max_number: int = Field(
        12, ge=2, le=60, description="touches from this number on are counted together"
    )
    min_at_risk: int = Field(
        30, ge=1, description="a touch number, or channel, with fewer touches gets no figure"
    )
    cost: Amount | dict[Name, Amount] = Field(
        0.0,
        description="cost of a touch, or by channel: channels without a cost are then not proposed",
    )
    reply_value: Amount | None = Field(
        None, description="value of a reply; default: none, so no touch is refused as too costly"
    )
    opt_out_harm: Amount = Field(0.0, description="what is lost with a lead that opts out")

    @field_validator("quiet_after", "min_gap")
    @classmethod
    def _check_hours(cls, value: timedelta) -> timedelta:
        if value < timedelta(hours=1):
            raise ValueError("must be at least 1h")
        return value

    @model_validator(mode="after")
    def _check_roles(self) -> Touches:
        answers = {*self.replies, *self.opt_outs}
        if repeated := {*self.types} & {*answers, *self.until}:
            raise ValueError(
                f"types: {sorted(repeated)[0]!r} is a reply, an opt-out or an end already: a touch "
                "is what we do, not what the lead does"
            )
        if repeated := {*self.replies} & {*self.opt_outs}:
            raise ValueError(f"opt_outs: {sorted(repeated)[0]!r} is a reply already")
        return self
