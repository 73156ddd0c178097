"""Durations in the notation of the config, such as 30d, 12h and 90m, and its dates and instants."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

UNIT_NAMES = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}

# Valid times lie between 1900 and 2200, so no difference of two times is longer than 300 years;
# leap years round it up.
MAX_DURATION = timedelta(days=300 * 366)


def parse_duration(text: object) -> timedelta:
    """Parse ``30d``, ``12h``, ``90m``, ``5s`` or ``2w``; return a timedelta unchanged.

    Raises ValueError for any other text, and for a duration above MAX_DURATION.
    """
    if isinstance(text, timedelta):
        return text
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([wdhms])", str(text).strip())
    if not match:
        raise ValueError(
            f"{text!r} is not a duration; write a number and w, d, h, m or s, such as 30d or 12h"
        )
    try:
        duration = timedelta(**{UNIT_NAMES[match[2]]: float(match[1])})
    except OverflowError:
        # timedelta has a limit of its own, which such a text exceeds before ours is tested.
        duration = timedelta.max
    if duration > MAX_DURATION:
        raise ValueError(f"{text!r} is longer than 300 years, the range of valid times")
    return duration


def format_duration(length: timedelta) -> str:
    """Return the shortest notation of a duration, as in feature names: ``7d``, ``12h``, ``90m``."""
    seconds = length.total_seconds()
    # No weeks: feature names state windows in days, such as 7d.
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds / size:.0f}{unit}"
    # A timedelta has microseconds, so six digits keep all of it and the text reads back the same.
    return f"{seconds:.6f}".rstrip("0").rstrip(".") + "s"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(
        {"type": "string", "pattern": r"^\d+(\.\d+)?[wdhms]$", "examples": ["30d", "12h"]}
    ),
]


def read_date_as_midnight(value: object) -> object:
    """Return a date of the YAML as its first instant, still without a zone; others unchanged.

    Raises ValueError for a bare number, which Pydantic would read as seconds since 1970.
    """
    if isinstance(value, int | float):
        raise ValueError(f"must be a date or instant, such as 2015-01-01, not the number {value}")
    if isinstance(value, date) and not isinstance(value, datetime):
        # Project adds the zone.
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001
    return value


def localize_instant(instant: datetime, zone: ZoneInfo, key: str) -> datetime:
    """Return an instant in UTC, a naive one read in ``zone``; raise ValueError that names ``key``.

    The change to UTC can lead out of the years 1 to 9999 of Python.
    """
    try:
        return (instant if instant.tzinfo else instant.replace(tzinfo=zone)).astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{key} is outside the supported range of dates") from error
