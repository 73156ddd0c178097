"""Customers after the win: what a purchase is, what it brings, and who has lapsed."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from configs.customers.contract import Contract
from configs.durations import Duration
from configs.names import Name
from configs.source_rows import FrozenModel

YEAR = timedelta(days=365)


def _read_share(value: object) -> float:
    # A text, because a variable of the environment is one.
    try:
        number = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not 0 <= number <= 1:
        raise ValueError(f"must be a share from 0 to 1, such as 0.4, not {value!r}")
    return number


Share = Annotated[
    float,
    BeforeValidator(_read_share),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1}),
]


class Customers(FrozenModel):
    """Customers who buy again, without a contract or with one."""

    purchases: tuple[Name, ...] = Field(
        min_length=1,
        description="event types that are purchases; their `value` is the revenue. Those of a "
        "customer on one day are one purchase",
    )
    margin: Share = Field(1.0, description="share of the revenue that is margin")
    discount_rate: Share = Field(
        0.1, description="rate per year at which later margins are discounted"
    )
    horizon: Duration = Field(
        3 * YEAR, description="how far ahead the margins of a customer count as its value"
    )
    lapse: Duration = Field(
        timedelta(days=180), description="a customer has lapsed after this long without a purchase"
    )
    onboarding: Duration = Field(
        timedelta(days=90), description="a customer is new for this long after its first purchase"
    )
    advocacy: tuple[Name, ...] = Field(
        (), description="event types, such as a referral, that make a customer an advocate"
    )
    contract: Contract | None = Field(
        None, description="what a purchase pays for, if customers have contracts; default: none"
    )

    @field_validator("horizon", "lapse", "onboarding")
    @classmethod
    def _check_days(cls, value: timedelta) -> timedelta:
        if value < timedelta(days=1):
            raise ValueError("must be at least 1d, because purchases are counted by the day")
        return value

    @model_validator(mode="after")
    def _check_margin(self) -> Customers:
        if self.margin == 0:
            raise ValueError("margin: must be above 0, or no customer has a value")
        if repeated := {*self.purchases} & {*self.advocacy}:
            raise ValueError(
                f"advocacy: {sorted(repeated)[0]!r} is a purchase already: name event types by "
                "which a customer brings others"
            )
        return self

    @model_validator(mode="after")
    def _check_contract(self) -> Customers:
        if self.contract is None:
            return self
        if "lapse" in self.model_fields_set:
            raise ValueError(
                "lapse: a contract is lost when contract.grace is over: leave lapse out, or "
                "leave contract out if customers buy when they like"
            )
        if repeated := {*self.purchases} & {*self.contract.ended}:
            raise ValueError(
                f"contract.ended: {sorted(repeated)[0]!r} is a purchase already: name event types "
                "that end a contract"
            )
        return self

    @property
    def silence(self) -> timedelta:
        """Return the time without a purchase after which a customer has lapsed."""
        if self.contract is None:
            return self.lapse
        return self.contract.period + self.contract.grace
