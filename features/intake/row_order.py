"""Check of ``order: rows``: a file whose dates fall from row to row is ordered from new to old."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import ConfigError
from configs.schema import Project
from configs.source_rows import LeadRows
from features.intake.formats.texts import is_text_type, to_plain_text, to_text
from features.intake.reading import RawRows
from features.intake.values import WallTimes, clean_column, read_clean_column
from features.readings.columns import MASK
from features.times.iso_time import UNREADABLE

# Rank correlation of a date with the row number from which the rows are ordered by it, backwards.
# Dates that follow the order loosely, such as the last contact, stay well above -0.8.
FALLING_CORRELATION = -0.8
# Fewest dates that show an order: of ten dates without one, fewer than 1 in 200 samples fall so.
MIN_DATES = 10
# A column reads as dates if so many of its values do; a few may be broken.
MIN_DATE_SHARE = 0.9
# Rows that are compared, evenly spaced: enough for any correlation, and quick for a large file.
MAX_ROWS_COMPARED = 50_000
# Day, month and year in either order, optionally with a time of day.
NUMERIC_DATE_PATTERN = (
    r"^(?P<first>[0-9]{1,2})[./-](?P<second>[0-9]{1,2})[./-](?P<year>[0-9]{4})"
    r"(?:[ T,]+(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2}).*)?$"
)


def require_rising_rows(project: Project, source: LeadRows, raw: RawRows) -> None:
    """Raise ConfigError if a column of dates falls with the rows that stand for time.

    All columns of the source count, used or not. A column whose dates rise as clearly confirms the
    order. Personal values are masked.
    """
    size = len(raw.table)
    rows = np.unique(np.linspace(0, max(size - 1, 0), min(size, MAX_ROWS_COMPARED), dtype=np.int64))
    correlations = {}
    read = set(raw.table.column_names)
    for place, name in enumerate(raw.names):
        if f"c{place}" in read:
            sample = raw.table[f"c{place}"].take(pa.array(rows))
            if (
                correlation := _correlate_dates(clean_column(sample, source.list_missing(name)))
            ) is not None:
                correlations[name] = correlation
    falling = min(correlations, key=lambda name: correlations[name], default=None)
    if (
        falling is None
        or correlations[falling] > FALLING_CORRELATION
        or max(correlations.values()) >= -FALLING_CORRELATION
    ):
        return
    values = read_clean_column(raw, falling, source).drop_null()
    texts = to_plain_text(to_text(values)).combine_chunks()
    first, last = texts[0].as_py(), texts[-1].as_py()
    if falling in project.privacy.personal:
        first = last = MASK
    raise ConfigError(
        "the rows are ordered from new to old, but order: rows reads them from old to new",
        where=f"{raw.label}: sources.leads.order",
        found=f"{falling} falls from {first} in the first row to {last} in the last (rank "
        f"correlation {correlations[falling]:.2f})",
        fix=f"reverse the file, or order by a column that rises with time, such as order: "
        f"{falling} if its dates are written as 2024-12-31",
    )


def _correlate_dates(column: pa.ChunkedArray) -> float | None:
    """Return the rank correlation of a column's dates with the row number.

    None if the column does not read as dates, or they are too few. Of two readings, day or month
    first, the one closer to zero counts.
    """
    correlations = []
    for instants, valid in _read_dates(column):
        enough = valid.sum() >= max(MIN_DATES, MIN_DATE_SHARE * (len(column) - column.null_count))
        if enough and len(np.unique(instants[valid])) > 1:
            correlations.append(_rank_correlation(np.flatnonzero(valid), instants[valid]))
    return min(correlations, key=abs, default=None)


def _read_dates(column: pa.ChunkedArray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield each reading of a column as dates: ordered numbers and which of them are valid."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (is_text_type(kind) or pa.types.is_temporal(kind)):
        return
    walls = WallTimes.from_column(column)
    yield walls.wall - walls.offset, walls.kind != UNREADABLE
    if not is_text_type(kind):
        return
    texts = pc.utf8_trim_whitespace(to_plain_text(to_text(column))).combine_chunks()
    parts = pc.extract_regex(texts, pattern=NUMERIC_DATE_PATTERN)
    valid = parts.is_valid().to_numpy(zero_copy_only=False)
    if not valid.any():
        return
    # A time of day that is absent is an empty text.
    numbers = {
        name: pc.if_else(
            pc.equal(pc.struct_field(parts, name), ""), "0", pc.struct_field(parts, name)
        )
        .cast(pa.int64())
        .fill_null(0)
        .to_numpy()
        for name in ("first", "second", "year", "hour", "minute")
    }
    minutes = numbers["hour"] * 60 + numbers["minute"]
    for day, month in (("first", "second"), ("second", "first")):
        days = (numbers["year"] * 12 + numbers[month]) * 31 + numbers[day]
        yield days * 1440 + minutes, valid & (numbers[month] <= 12)


def _rank_correlation(places: np.ndarray, values: np.ndarray) -> float:
    """Return Spearman's correlation of ascending places with values; equal values share a rank."""
    _, code, counts = np.unique(values, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[code]
    return float(np.corrcoef(np.arange(len(places)), rank)[0, 1])
