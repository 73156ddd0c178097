"""Contracts of customers: what a payment pays for, and when a contract is over."""

from __future__ import annotations

from datetime import date, timedelta

from pydantic import Field, field_validator

from configs.durations import Duration
from configs.names import Name
from configs.source_rows import FrozenModel

DAY = timedelta(days=1)
MIN_PERIOD = 7 * DAY


class Contract(FrozenModel):
    """Customers who pay for one period after the other."""

    period: Duration = Field(description="time that a payment pays for, such as 365d or 31d")
    grace: Duration = Field(
        30 * DAY,
        description="time after the due day until which a renewal may be paid; then it is lost",
    )
    ended: tuple[Name, ...] = Field(
        (), description="event types, such as a cancellation, that end the contract"
    )
    since: date | None = Field(
        None,
        description="first day of which all payments are in the data, if earlier ones are missing",
    )

    @field_validator("period")
    @classmethod
    def _check_period(cls, value: timedelta) -> timedelta:
        if value < MIN_PERIOD:
            raise ValueError("must be at least 7d, because payments are counted by the day")
        return value

    @field_validator("since", mode="before")
    @classmethod
    def _check_since(cls, value: object) -> object:
        # Pydantic would read a number as seconds since 1970.
        if isinstance(value, int | float):
            raise ValueError(f"must be a date, such as 2021-01-01, not the number {value}")
        return value

    @property
    def period_days(self) -> int:
        """Return the whole days that a payment pays for."""
        return self.period // DAY

    @property
    def grace_days(self) -> int:
        """Return the whole days after the due day until which a renewal may be paid."""
        return self.grace // DAY
