"""The end of the data, which no single row decides.

A day (in the config's zone) is supported if two rows or more became known on it. In most logs a day
with a single row is rare; there the data ends on the last supported day, at the start of the hour
of its last row but one. Where days with a single row are common, or there are few days, the data
ends with its last row, unless a few rows come after a pause that is unusual for the log.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.arrivals import QUARTER_US, Arrivals
from features.contracts import INSTANT, Dataset
from features.timezones import find_offsets_at_instants
from features.tools.instants import NEVER_US, US_PER_DAY, US_PER_HOUR, from_microseconds

# Days that show how common a day with a single row is.
MIN_DAYS = 10
# Days with a single row are rare up to one in 20, or these few.
MAX_LONE_SHARE, MAX_LONE_DAYS = 0.05, 3
# Rows that may be the odd ones behind an unusual pause, and the rows that they are compared with.
MAX_ODD_ROWS, MIN_ROWS = 3, 20
# An unusual pause: longer than a week, and than this many times the longest of the others.
MIN_PAUSE_US, MIN_PAUSES = 7 * US_PER_DAY, 3


def find_data_end(dataset: Dataset, zone: ZoneInfo) -> datetime | None:
    """Return the instant in UTC up to which the rows of leads and events support the data.

    None for an empty data set. Attribute values do not count: they may be planned for the future,
    and do not indicate how far outcomes are complete.
    """
    columns = [
        table["available_at"]
        # Leads that were derived from the events are no rows of their own.
        for table in (
            (dataset.events,) if dataset.leads_from_events else (dataset.leads, dataset.events)
        )
    ]
    arrivals = Arrivals.merge([Arrivals.from_instants(column) for column in columns])
    if not len(arrivals.quarters):
        return None
    if not dataset.timed:
        # Instants are only the order of the rows, so all of them count.
        return from_microseconds(_latest_rows(columns, NEVER_US, 1)[0])
    day_end = _find_end_of_supported_days(arrivals, zone)
    if day_end is not None:
        last_but_one = int(_latest_rows(columns, day_end, 2)[0])
        offset = int(find_offsets_at_instants(np.array([last_but_one]), zone)[0])
        # One more row on the last day must not move the end: hence hours of the local clock.
        return from_microseconds((last_but_one + offset) // US_PER_HOUR * US_PER_HOUR - offset)
    return from_microseconds(_find_end_before_odd_rows(columns, arrivals))


def find_midnight_after(instant: datetime, zone: ZoneInfo) -> datetime:
    """Return the midnight of ``zone`` that ends the day of an instant, in UTC."""
    local = instant.astimezone(zone) + timedelta(days=1)
    # Midnight by local time: a day has 23 or 25 hours where clocks change.
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight.astimezone(UTC)


def _find_end_of_supported_days(arrivals: Arrivals, zone: ZoneInfo) -> int | None:
    """Return the end of the last supported day, in microseconds; None if lone rows are common."""
    instant = arrivals.quarters * QUARTER_US
    local = (instant + find_offsets_at_instants(instant, zone)) // US_PER_DAY
    days, place = np.unique(local, return_inverse=True)
    rows = np.bincount(place, arrivals.rows, len(days))
    lone = int((rows == 1).sum())
    if len(days) < MIN_DAYS or lone > max(MAX_LONE_DAYS, MAX_LONE_SHARE * len(days)):
        return None
    last_day = np.flatnonzero(rows > 1)[-1]
    return int(instant[np.flatnonzero(place == last_day)[-1]]) + QUARTER_US


def _find_end_before_odd_rows(columns: list[pa.ChunkedArray], arrivals: Arrivals) -> int:
    """Return the last instant that is not one of few rows behind an unusual pause."""
    end = int(arrivals.quarters[-1] + 1) * QUARTER_US
    latest = _latest_rows(columns, end, MAX_ODD_ROWS + 1)
    if arrivals.total < MIN_ROWS:
        return int(latest[-1])
    pauses = np.diff(arrivals.quarters) * QUARTER_US
    for odd in range(MAX_ODD_ROWS, 0, -1):
        pause = int(latest[-odd] - latest[-odd - 1])
        # Of the quarters before the pause.
        earlier = pauses[: np.searchsorted(arrivals.quarters, latest[-odd - 1] // QUARTER_US)]
        if pause > max(MIN_PAUSE_US, MIN_PAUSES * int(earlier.max(initial=0))):
            return int(latest[-odd - 1])
    return int(latest[-1])


def _latest_rows(columns: list[pa.ChunkedArray], end: int, count: int) -> np.ndarray:
    """Return the latest ``count`` instants before ``end``, ascending, in microseconds."""
    limit = pa.scalar(end, pa.int64()).cast(INSTANT)
    latest = [np.empty(0, np.int64)]
    for chunk in (chunk for column in columns for chunk in column.chunks):
        instants = pc.cast(chunk.filter(pc.less(chunk, limit)), pa.int64()).to_numpy()
        few = min(count, len(instants))
        # A partition finds the latest few of a long chunk without sorting it.
        latest.append(
            np.partition(instants, len(instants) - few)[len(instants) - few :] if few else instants
        )
    return np.sort(np.concatenate(latest))[-count:]
