"""Time as int64 microseconds: constants, and conversions of instants, durations and columns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_INSTANT = datetime.max.replace(tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
WEEK = timedelta(days=7)
US_PER_HOUR = 3_600_000_000
US_PER_DAY = 24 * US_PER_HOUR

# Later than every instant, so "never" compares as an instant does.
NEVER_US = np.iinfo(np.int64).max


def to_microseconds(instant: datetime) -> int:
    """Return the microseconds since 1970 (UTC) of an instant with a time zone."""
    return (instant - EPOCH) // MICROSECOND


def from_microseconds(microseconds: int) -> datetime:
    """Return the UTC instant that lies this many microseconds after 1970."""
    return EPOCH + timedelta(microseconds=int(microseconds))


def format_iso(instant: datetime) -> str:
    """Return an instant as ISO 8601 text in UTC, such as ``2024-05-01T22:00:00+00:00``.

    Raises TypeError for an instant without a time zone.
    """
    if instant.tzinfo is None:
        raise TypeError(f"{instant!r} has no time zone")
    return instant.astimezone(UTC).isoformat()


def duration_to_microseconds(duration: timedelta | None) -> int:
    """Return a duration in microseconds; None is 0."""
    return (duration or timedelta(0)) // MICROSECOND


def column_to_microseconds(column: pa.ChunkedArray) -> np.ndarray:
    """Return a timestamp column without nulls as int64 microseconds since 1970."""
    return pc.cast(column, pa.int64()).to_numpy()
