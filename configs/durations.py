"""Lengths of time as a person writes them: 30d, 12h, 90m."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}

MICROSECOND = timedelta(microseconds=1)

LONGEST = timedelta(days=300 * 366)
"""From the first possible time to the last, and a little more."""


def parse_duration(text: object) -> timedelta:
    """Read ``30d``, ``12h``, ``90m``, ``5s`` or ``2w``; raise ValueError for anything else, and above LONGEST."""
    if isinstance(text, timedelta):
        return text
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([wdhms])", str(text).strip())
    if not match:
        raise ValueError(
            f"{text!r} is not a duration; write a number and w, d, h, m or s, such as 30d or 12h"
        )
    try:
        length = timedelta(**{UNITS[match[2]]: float(match[1])})
    except OverflowError:
        length = timedelta.max
    if length > LONGEST:
        raise ValueError(f"{text!r} is longer than 300 years, the span in which times can lie")
    return length


def duration_label(length: timedelta) -> str:
    """Return the shortest spelling of a duration that feature names use: ``7d``, ``12h``, ``90m``."""
    seconds = length.total_seconds()
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:.6f}".rstrip("0").rstrip(".") + "s"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(duration_label, return_type=str),
    WithJsonSchema(
        {"type": "string", "pattern": r"^\d+(\.\d+)?[wdhms]$", "examples": ["30d", "12h"]}
    ),
]
