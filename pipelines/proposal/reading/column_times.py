"""Whether a column holds times, and which."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from features.intake.formats.texts import to_plain_text, to_text
from features.intake.values import NAIVE, ZONED, WallTimes
from features.tools.distinct_texts import DistinctTexts

UTC_ZONE = ZoneInfo("UTC")
# Share of the values that must be times.
MIN_TIME_SHARE = 0.95


def read_column_times(
    name: str, column: pa.ChunkedArray, distinct: DistinctTexts
) -> tuple[np.ndarray, float] | None:
    """Return the times of a column in microseconds, and the share that has an offset.

    A time without an offset is taken as UTC: only its distance to others is of interest. None if
    the column holds no times.
    """
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        walls = WallTimes.from_column(column)
        return _to_floats(walls), float((walls.kind == ZONED).mean())
    if not pa.types.is_string(distinct.texts.type):
        return None
    walls = WallTimes.from_column(pa.chunked_array([distinct.texts]))
    fits = (walls.kind == NAIVE) | (walls.kind == ZONED)
    if distinct.counts[fits].sum() < MIN_TIME_SHARE * distinct.total:
        return None
    times = distinct.spread(_to_floats(walls)).to_numpy(zero_copy_only=False)
    zoned = distinct.counts[walls.kind == ZONED].sum() / max(distinct.total, 1)
    return np.asarray(times, np.float64), float(zoned)


def read_instants(name: str, column: pa.ChunkedArray) -> np.ndarray:
    """Return the times of a column of times in microseconds, NaN where there is none."""
    distinct = DistinctTexts.from_column(to_plain_text(to_text(column)))
    read = read_column_times(name, column, distinct)
    return np.full(len(column), np.nan) if read is None else read[0]


def _to_floats(walls: WallTimes) -> np.ndarray:
    known = (walls.kind == NAIVE) | (walls.kind == ZONED)
    return np.where(known, (walls.wall - walls.offset).astype(np.float64), np.nan)
