"""Interpretation of raw columns as instants, numbers and attributes.

A column may be text or have a type of its own, as in Parquet; the rules and the results are the
same. Text is parsed. A column of another type is used directly if it has the required type, else by
its text.
"""

from __future__ import annotations

from typing import Self
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.names import BLANKS
from configs.source_rows import SourceRows
from features.contracts import INSTANT
from features.intake.formats.number_signs import NUMBER_PATTERN, parse_plain_numbers
from features.intake.formats.texts import set_null, to_plain_text, to_supported_type, to_text
from features.intake.reading import RawRows
from features.times.iso_time import NAIVE, UNREADABLE, ZONED
from features.times.time_format import ISO_FORMAT, ParsedTimes, TimeFormat
from features.timezones import find_offsets_at_wall_times
from features.tools.duckdb_sql import run_query
from features.tools.folding import has_outer_blanks
from features.tools.instants import US_PER_DAY

WRONG_TYPE, UNREADABLE_TIME, IMPOSSIBLE_TIME = "wrong type", "unreadable time", "impossible time"
# Reasons of an invalid time, in addition to WRONG_TYPE for a bare number.
TIME_PROBLEMS = (UNREADABLE_TIME, IMPOSSIBLE_TIME)

NOT_FINITE_PATTERN = r"(?i)[+-]?(?:nan|inf|infinity)"
# A column with such a text is no number: ids keep their leading zeros.
LEADING_ZERO_PATTERN = r"[+-]?0[0-9].*"

# 1900-01-01 and 2200-01-01: valid times lie in between.
MIN_TIME_US, MAX_TIME_US = -2_208_988_800_000_000, 7_258_118_400_000_000

# The years 0000 to 9999; other times have no ISO text.
ISO_RANGE_US = (-62_167_219_200_000_000, 253_402_300_800_000_000)

# Microseconds per unit of a timestamp, as numerator and denominator.
MICROSECONDS_PER_UNIT = {"s": (1_000_000, 1), "ms": (1_000, 1), "us": (1, 1), "ns": (1, 1_000)}


def clean_column(column: pa.ChunkedArray, missing: tuple[str, ...]) -> pa.ChunkedArray:
    """Return a column in a supported type, with null for every value that means “no value”.

    These are blank texts, NaN, and values written like one of ``missing``. Texts have no blanks
    around them.
    """
    column = to_supported_type(column)
    if pa.types.is_dictionary(column.type):
        return pa.chunked_array(
            [_clean_codes(chunk, missing) for chunk in column.chunks], column.type
        )
    if pa.types.is_string(column.type):
        if any(map(has_outer_blanks, column.chunks)):
            column = pc.utf8_trim(column, characters=BLANKS)
        return set_null(column, pc.is_in(column, value_set=pa.array(["", *missing], pa.string())))
    if pa.types.is_floating(column.type):
        column = set_null(column, pc.is_nan(column))
    marks = _missing_markers(column.type, missing)
    return set_null(column, pc.is_in(column, value_set=marks)) if len(marks) else column


def _clean_codes(chunk: pa.DictionaryArray, missing: tuple[str, ...]) -> pa.DictionaryArray:
    levels = clean_column(pa.chunked_array([chunk.dictionary]), missing).combine_chunks()
    return chunk if levels.equals(chunk.dictionary) else replace_levels(chunk, levels)


def replace_levels(chunk: pa.DictionaryArray, levels: pa.Array) -> pa.DictionaryArray:
    """Return a chunk with other texts in place of its own ones, of which some may be equal."""
    encoded = levels.dictionary_encode()
    codes = encoded.indices.take(chunk.indices)
    return pa.DictionaryArray.from_arrays(codes, encoded.dictionary)


def _missing_markers(kind: pa.DataType, missing: tuple[str, ...]) -> pa.Array:
    """Return the values of a type that are written like one of ``missing``."""
    markers = [pa.array([], kind)]
    for text in missing:
        try:
            value = pa.array([text]).cast(kind)
        except pa.ArrowInvalid:
            continue
        if to_text(pa.chunked_array([value])).to_pylist() == [text]:
            markers.append(value)
    return pa.concat_arrays(markers)


def read_clean_column(raw: RawRows, name: str, source: SourceRows) -> pa.ChunkedArray:
    """Return a column of a source as ``clean_column`` does."""
    return clean_column(raw.column(name, ""), source.list_missing(name))


def read_clean_text(raw: RawRows, name: str | None, source: SourceRows) -> pa.ChunkedArray:
    """Return the column mapped by a config key as cleaned text; all null if the key is not set."""
    if name is None:
        return pa.chunked_array([pa.nulls(len(raw.table), pa.string())])
    return to_text(read_clean_column(raw, name, source))


def read_times(
    raw: RawRows, time: str, known: str | None, source: SourceRows, zone: ZoneInfo
) -> dict[str, pa.Array]:
    """Return time and availability of each row in microseconds, and reasons of invalid ones."""
    time_utc, problem = read_instants(raw, time, source, zone)
    known_utc, known_problem = time_utc, problem
    if known is not None:
        known_utc, known_problem = read_instants(raw, known, source, zone)
    time_us = time_utc.cast(pa.int64())
    return {
        "time": time_us,
        "available": pc.if_else(
            pc.is_valid(time_us), pc.max_element_wise(time_us, known_utc.cast(pa.int64())), None
        ),
        "time_problem": pc.coalesce(problem, known_problem),
        "time_missing": pc.and_(pc.is_null(time_utc), pc.is_null(problem)),
    }


def read_instants(
    raw: RawRows, name: str, source: SourceRows, zone: ZoneInfo
) -> tuple[pa.Array, pa.Array]:
    """Return the instants of a column and the reasons of invalid ones, as ``parse_instants``."""
    column = read_clean_column(raw, name, source)
    return parse_instants(column, zone, raw.time_formats.get(name, ISO_FORMAT))


def read_ends(
    raw: RawRows, name: str, source: SourceRows, zone: ZoneInfo
) -> tuple[pa.Array, pa.Array]:
    """Return the ends of a column and the reasons of invalid ones; both null for no end.

    A time in 2200 or later, such as 9999-12-31, and “infinity” are no end.
    """
    until, problem = read_instants(raw, name, source, zone)
    rows = np.flatnonzero(problem.is_valid().to_numpy(zero_copy_only=False))
    if not len(rows):
        return until, problem
    column = raw.column(name, "").take(pa.array(rows))
    walls = WallTimes.from_column(column, raw.time_formats.get(name, ISO_FORMAT))
    endless = (walls.kind != UNREADABLE) & (walls.wall >= MAX_TIME_US)
    endless |= pc.equal(pc.utf8_lower(to_trimmed_text(column)), "infinity").to_numpy()
    none = np.zeros(len(problem), bool)
    none[rows[endless]] = True
    return until, pc.if_else(pa.array(none), pa.scalar(None, pa.string()), problem)


def parse_instants(
    column: pa.ChunkedArray, zone: ZoneInfo, form: TimeFormat = ISO_FORMAT
) -> tuple[pa.Array, pa.Array]:
    """Return UTC instants and the reason for each invalid value; both null for a null.

    Texts are read in a form; a column of times of their own type is read without it.

    A time without an offset is read in ``zone``, a date as its first instant there. Of an hour that
    occurs twice when the clock is set back, the earlier is meant; a time that the clock skips is
    read with the offset from before the transition, as ``zoneinfo`` does. Digits beyond
    microseconds are cut off. The years 1900 to 2199 are valid; a bare number is a time only in a
    form that says so.
    """
    walls = WallTimes.from_column(column, form)
    possible = (walls.kind != UNREADABLE) & (walls.wall >= MIN_TIME_US) & (walls.wall < MAX_TIME_US)
    naive = possible & (walls.kind == NAIVE)
    offset = walls.offset
    if naive.any():
        offset = np.where(naive, 0, offset)
        offset[naive] = find_offsets_at_wall_times(walls.wall[naive], zone)
    instants_utc = pa.array(walls.wall - offset, mask=~possible).cast(INSTANT)
    return instants_utc, _name_time_problems(column, walls, possible)


def _name_time_problems(
    column: pa.ChunkedArray, walls: WallTimes, possible: np.ndarray
) -> pa.Array:
    """Return the reason for each value that is neither null nor a valid time."""
    wrong = ~possible & column.is_valid().to_numpy()
    if not wrong.any():
        return pa.nulls(len(wrong), pa.string())
    reason = np.full(len(wrong), None, object)
    reason[wrong] = IMPOSSIBLE_TIME
    rows = np.flatnonzero(wrong & (walls.kind == UNREADABLE))
    unreadable = to_trimmed_text(column.take(pa.array(rows))).combine_chunks()
    bare = pc.match_substring_regex(unreadable, pattern=rf"\A(?:{NUMBER_PATTERN})\z").to_numpy(
        zero_copy_only=False
    )
    reason[rows] = np.where(bare, WRONG_TYPE, UNREADABLE_TIME)
    return pa.array(reason, pa.string())


def to_trimmed_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column as texts without blanks around them."""
    return pc.utf8_trim_whitespace(to_plain_text(to_text(column)))


class WallTimes(ParsedTimes):
    """Times as shown by a clock on the wall, one element per value; UNREADABLE for a null."""

    @classmethod
    def from_column(cls, column: pa.ChunkedArray, form: TimeFormat = ISO_FORMAT) -> Self:
        """Read a column of any type; ``form`` is for those without times of their own type."""
        column = to_supported_type(column)
        if pa.types.is_timestamp(column.type):
            counts = column.cast(pa.int64())
            return cls._from_counts(
                counts,
                MICROSECONDS_PER_UNIT[column.type.unit],
                NAIVE if column.type.tz is None else ZONED,
            )
        if pa.types.is_date(column.type):
            return cls._from_counts(
                column.cast(pa.date32(), safe=False).cast(pa.int32()), (US_PER_DAY, 1), NAIVE
            )
        parts = [form.parse(chunk) for chunk in to_trimmed_text(column).chunks]
        return cls(
            np.concatenate([np.empty(0, np.int8), *(part.kind for part in parts)]),
            np.concatenate([np.empty(0, np.int64), *(part.wall for part in parts)]),
            np.concatenate([np.empty(0, np.int64), *(part.offset for part in parts)]),
        )

    @classmethod
    def _from_counts(cls, counts: pa.ChunkedArray, unit: tuple[int, int], kind: int) -> Self:
        """Convert counts of a unit to microseconds.

        Values outside the range of ISO text are clipped to just beyond its ends, so that they
        remain invalid.
        """
        numerator, denominator = unit
        first, last = (edge * denominator // numerator for edge in ISO_RANGE_US)
        count = pc.fill_null(counts, 0).to_numpy()
        if numerator > denominator:  # int64 nanoseconds cannot leave the range
            count = np.clip(count.astype(np.int64), first - 1, last) * numerator
        known = counts.is_valid().to_numpy()
        return cls(
            np.where(known, np.int8(kind), np.int8(UNREADABLE)),
            count // denominator,  # rounds down: digits are cut off before 1970 too, as in text
            np.zeros(len(count), np.int64),
        )


def parse_numbers(column: pa.ChunkedArray) -> tuple[pa.Array, pa.Array]:
    """Return finite numbers and the reason for each invalid value; both null for a null."""
    number = parse_plain_numbers(to_supported_type(column))
    problem = pc.and_(column.is_valid(), number.is_null())
    if not pc.any(problem).as_py():
        return number, pa.nulls(len(number), pa.string())
    return number, pc.if_else(problem, WRONG_TYPE, pa.scalar(None, pa.string())).combine_chunks()


def infer_attribute(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as float64 or as text, by the kind common to all its values.

    Numbers without leading zeros become float64 (NaN and infinity among them null); true and false
    become 1 and 0; dates and times become days since 1970, by wall time or by UTC if they carry an
    offset. A column without any value is float64; all others are text. The kind does not depend on
    the order of the rows.
    """
    column = to_supported_type(column)
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return parse_plain_numbers(column)
    if pa.types.is_boolean(column.type):
        return column.cast(pa.float64()).combine_chunks()
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        walls = WallTimes.from_column(column)
        if _all_fit((walls.wall >= ISO_RANGE_US[0]) & (walls.wall < ISO_RANGE_US[1]), column):
            return _days_since_epoch(walls)
    return _infer_from_text(to_plain_text(to_text(column)).combine_chunks())


def _infer_from_text(column: pa.Array) -> pa.Array:
    """Convert texts to the kind common to all of them; each distinct text is parsed once."""
    # The parsing costs most, and there are usually far fewer texts than rows.
    encoded = column.dictionary_encode()
    known = pa.chunked_array([encoded.dictionary])
    read = run_query(
        """SELECT lower(trim(text)) = 'true' AS truth,
              lower(trim(text)) IN ('true', 'false') AS is_truth,
              NOT regexp_full_match(trim(text), $zero) AS is_plain,
              regexp_full_match(trim(text), $not_finite) AS is_odd
            FROM rows ORDER BY nr""",
        {"not_finite": NOT_FINITE_PATTERN, "zero": LEADING_ZERO_PATTERN},
        rows=_with_row_numbers(known),
    )
    number, walls = parse_plain_numbers(known), WallTimes.from_column(known)
    is_number = pc.and_(read["is_plain"], pc.or_(number.is_valid(), read["is_odd"]))
    for fits, values in (
        (is_number.to_numpy(), number),
        (read["is_truth"].to_numpy(), read["truth"].cast(pa.float64()).combine_chunks()),
        (walls.kind != UNREADABLE, _days_since_epoch(walls)),
    ):
        if fits.all():
            return values.take(encoded.indices)
    return column


def _all_fit(fits: np.ndarray, column: pa.ChunkedArray) -> bool:
    return bool((fits | column.is_null().to_numpy()).all())


def parse_days(column: pa.ChunkedArray, form: TimeFormat = ISO_FORMAT) -> pa.Array:
    """Return dates and times as days since 1970, null for any other text.

    They count by wall time, or by UTC if they carry an offset.
    """
    return _days_since_epoch(WallTimes.from_column(column, form))


def _days_since_epoch(walls: WallTimes) -> pa.Array:
    return pa.array((walls.wall - walls.offset) / US_PER_DAY, mask=walls.kind == UNREADABLE)


def _with_row_numbers(column: pa.ChunkedArray) -> pa.Table:
    return pa.table({"nr": pa.array(np.arange(len(column))), "text": column})
