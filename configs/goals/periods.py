"""Calendar months and quarters in a company's time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal
from zoneinfo import ZoneInfo

PeriodName = Literal["month", "quarter"]
# Months that a period has.
MONTHS: dict[str, int] = {"month": 1, "quarter": 3}


@dataclass(frozen=True)
class CalendarPeriod:
    """A calendar month or quarter, half-open: its end is the start of the next.

    Attributes:
        name: ``month`` or ``quarter``.
        first: Its first day in the company's zone.
        start: First instant of that day, in UTC.
        end: First instant after the period, in UTC.
    """

    name: str
    first: date
    start: datetime
    end: datetime

    @property
    def label(self) -> str:
        """Return the period in English, such as ``July 2025`` or ``Q3 2025``."""
        if self.name == "month":
            return f"{self.first:%B %Y}"
        return f"Q{(self.first.month + 2) // 3} {self.first.year}"


def find_period(instant: datetime, zone: ZoneInfo, name: str) -> CalendarPeriod:
    """Return the period in which an instant lies."""
    return _build_period(find_first_day(instant.astimezone(zone).date(), name), zone, name)


def find_next_period(period: CalendarPeriod, zone: ZoneInfo) -> CalendarPeriod:
    """Return the period that begins where another one ends."""
    return _build_period(add_months(period.first, MONTHS[period.name]), zone, period.name)


def find_first_day(day: date, name: str) -> date:
    """Return the first day of the period in which a day lies."""
    months = MONTHS[name]
    return date(day.year, (day.month - 1) // months * months + 1, 1)


def add_months(first: date, months: int) -> date:
    """Return the first day of the month that lies some months after that of a day."""
    years, month = divmod(first.month - 1 + months, 12)
    return date(first.year + years, month + 1, 1)


def _build_period(first: date, zone: ZoneInfo, name: str) -> CalendarPeriod:
    start, end = (
        _find_first_instant(day, zone) for day in (first, add_months(first, MONTHS[name]))
    )
    return CalendarPeriod(name, first, start, end)


def _find_first_instant(day: date, zone: ZoneInfo) -> datetime:
    # A midnight that the clock skips is read with the offset before the change, and is thereby the
    # instant of the change, the first of the day; of two midnights it is the first.
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
