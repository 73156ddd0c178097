"""Whether a column holds times, and which."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa

from features.intake.formats.texts import to_plain_text, to_text
from features.intake.values import WallTimes
from features.times.iso_time import NAIVE, ZONED
from features.times.time_choice import ISO_TEXT, choose_format, find_signatures
from features.times.time_format import TimeFormat, parse_iso
from features.tools.distinct_texts import DistinctTexts
from pipelines.proposal.reading.words import matches_words

# Share of the values that must be times.
MIN_TIME_SHARE = 0.95
# Lists of words of which a column of numbers must have one to be of times: amounts look like
# seconds since 1970.
TIME_WORDS = ("columns.event_time", "columns.created", "columns.overwritten", "columns.closed")


def read_column_times(
    name: str, column: pa.ChunkedArray, distinct: DistinctTexts, *, counted: bool = False
) -> tuple[np.ndarray, float] | None:
    """Return the times of a column in microseconds, and the share that has an offset.

    A time without an offset is taken as UTC: only its distance to others is of interest. None if
    the column holds no times. ``counted`` says that its numbers count seconds or days.
    """
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        walls = WallTimes.from_column(column)
        return _to_floats(walls), float((walls.kind == ZONED).mean())
    if pa.types.is_boolean(column.type) or not distinct.total:
        return None
    texts = distinct.texts.cast(pa.string())
    walls = WallTimes.from_column(
        pa.chunked_array([texts]), choose_time_format(name, texts, distinct, counted)
    )
    fits = (walls.kind == NAIVE) | (walls.kind == ZONED)
    if distinct.counts[fits].sum() < MIN_TIME_SHARE * distinct.total:
        return None
    times = distinct.spread(_to_floats(walls)).to_numpy(zero_copy_only=False)
    zoned = distinct.counts[walls.kind == ZONED].sum() / max(distinct.total, 1)
    return np.asarray(times, np.float64), float(zoned)


def choose_time_format(
    name: str, texts: pa.Array, distinct: DistinctTexts, is_counted: bool = False
) -> TimeFormat:
    """Return the form in which the times of a column are written, as the reader will find it.

    Where two forms fit, it is the first: the reader refuses such a column, and says so.
    """
    rest = np.flatnonzero(parse_iso(texts).unreadable)
    if not len(rest):
        return TimeFormat()
    codes = find_signatures(texts.take(pa.array(rest)))
    counts = Counter({ISO_TEXT: int(distinct.counts.sum() - distinct.counts[rest].sum())})
    for code, rows in zip(codes.tolist(), distinct.counts[rest].tolist(), strict=True):
        counts[code] += rows
    choice = choose_format(Counter({code: n for code, n in counts.items() if n}), 0.0)
    form = choice.ambiguity.names[0] if choice.ambiguity else choice.name
    counted = form.startswith(("epoch", "excel")) or _are_digits(texts)
    named = is_counted or any(matches_words(name, path) for path in TIME_WORDS)
    return TimeFormat() if counted and not named else TimeFormat(form)


def parse_column_times(name: str, column: pa.ChunkedArray) -> np.ndarray:
    """Return the times of a column of times in microseconds, NaN where there is none."""
    distinct = DistinctTexts.from_column(to_plain_text(to_text(column)))
    read = read_column_times(name, column, distinct, counted=True)
    return np.full(len(column), np.nan) if read is None else read[0]


def _are_digits(texts: pa.Array) -> bool:
    """Return whether a column of texts holds plain numbers."""
    sample = texts.slice(0, 50).to_pylist()
    return all(text.replace(".", "", 1).isdigit() for text in sample if text)


def _to_floats(walls: WallTimes) -> np.ndarray:
    known = (walls.kind == NAIVE) | (walls.kind == ZONED)
    return np.where(known, (walls.wall - walls.offset).astype(np.float64), np.nan)
