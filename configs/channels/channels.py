"""Channels: what a touch is, what a conversion is, and how credit is split."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field, field_validator, model_validator

from configs.customers.customers import Share
from configs.durations import Duration
from configs.names import Name
from configs.source_rows import FrozenModel


class PositionShares(FrozenModel):
    """Shares of the credit by position; touches between the first and the last share the rest."""

    first: Share = 0.4
    last: Share = 0.4

    @model_validator(mode="after")
    def _check_sum(self) -> PositionShares:
        if self.first + self.last > 1:
            raise ValueError(
                f"first and last must be at most 1 together, not {self.first:g} + {self.last:g}"
            )
        return self


class Channels(FrozenModel):
    """Channels that touch accounts before they become customers."""

    attribute: Name | None = Field(
        None,
        description="attribute of the leads that is a channel, such as their source: the creation "
        "of a lead is a touch of it",
    )
    touches: tuple[Name, ...] = Field(
        (),
        description="event types that are touches of their `channel`; default: with `attribute` "
        "none, else all that have a channel and are no stage, conversion or touch of ours",
    )
    conversions: tuple[Name, ...] = Field(
        (), description="event types that make a customer; default: the outcome of the funnel"
    )
    opportunity: Name | None = Field(
        None,
        description="event type that opens the opportunity: later touches get no credit",
    )
    window: Duration = Field(
        timedelta(days=180),
        description="an account becomes a customer within this time from its first touch, or does "
        "not: accounts that have not been followed for as long do not count",
    )
    lookback: Duration | None = Field(
        None,
        description="touches that lie longer before the end of a journey get no credit; default: "
        "all of the window",
    )
    half_life: Duration = Field(
        timedelta(days=7), description="time decay: a touch this long before another gets half"
    )
    position: PositionShares = PositionShares()
    min_accounts: int = Field(
        30, ge=1, description="a channel that touched fewer accounts in a period gets no figure"
    )
    period: Literal["month", "quarter"] = Field(
        "quarter", description="accounts and costs are compared by the period of the first touch"
    )
    margin: Share | None = Field(
        None,
        description="share of the amounts that is margin; default: `customers.margin`, else all",
    )

    @field_validator("window", "lookback", "half_life")
    @classmethod
    def _check_days(cls, value: timedelta | None) -> timedelta | None:
        if value is not None and value < timedelta(days=1):
            raise ValueError("must be at least 1d")
        return value

    @model_validator(mode="after")
    def _check_roles(self) -> Channels:
        own = {*self.conversions, *([self.opportunity] if self.opportunity else [])}
        if repeated := {*self.touches} & own:
            raise ValueError(
                f"touches: {sorted(repeated)[0]!r} is the opportunity or a conversion: a touch "
                "comes before it"
            )
        if self.opportunity in self.conversions:
            raise ValueError(f"opportunity: {self.opportunity!r} is a conversion already")
        return self
