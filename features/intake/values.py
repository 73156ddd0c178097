"""Columns as values: instants, numbers, and attributes of the kind their column holds.

A column may be text, or of a type of its own, as in Parquet; the rules are the same, and so is what is found. Text is
read as what it says; a column of another type is taken as it is where it has that type, and else as its text.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Self
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.contracts import INSTANT
from features.intake.formats.texts import direct, plain, texts, without
from features.intake.iso_time import NAIVE, UNREADABLE, ZONED, parse
from features.intake.reading import RawRows
from features.timezones import find_offsets_at_wall_times
from features.tools.duckdb_sql import query
from features.tools.id_index import text_bytes
from features.tools.instants import US_PER_DAY

WRONG_TYPE, UNREADABLE_TIME, IMPOSSIBLE_TIME = "wrong type", "unreadable time", "impossible time"
TIME_PROBLEMS = (UNREADABLE_TIME, IMPOSSIBLE_TIME)
"""What is wrong with a time, beside a bare number's being of the wrong type."""

NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
NOT_FINITE = r"(?i)[+-]?(?:nan|inf|infinity)"
LEADING_ZERO = r"[+-]?0[0-9].*"

FIRST_TIME, LAST_TIME = -2_208_988_800_000_000, 7_258_118_400_000_000
"""1900-01-01 and 2200-01-01: times lie in between."""

WRITABLE = (-62_167_219_200_000_000, 253_402_300_800_000_000)
"""The years 0000 to 9999: other times have no ISO text."""

UNITS = {"s": (1_000_000, 1), "ms": (1_000, 1), "us": (1, 1), "ns": (1, 1_000)}
"""Microseconds, as a fraction, of a timestamp's units."""


def clean(column: pa.ChunkedArray, missing: tuple[str, ...]) -> pa.ChunkedArray:
    """Return a column in the type in which it is read, with null for all that means “no value”.

    These are blank texts, NaN, and what is written like one of ``missing``.
    """
    column = direct(column)
    if pa.types.is_dictionary(column.type):
        return pa.chunked_array(
            [_clean_codes(chunk, missing) for chunk in column.chunks], column.type
        )
    if pa.types.is_string(column.type):
        trimmed = pc.utf8_trim_whitespace(column)
        return without(column, pc.is_in(trimmed, value_set=pa.array(["", *missing], pa.string())))
    if pa.types.is_floating(column.type):
        column = without(column, pc.is_nan(column))
    marks = _missing_markers(column.type, missing)
    return without(column, pc.is_in(column, value_set=marks)) if len(marks) else column


def _clean_codes(chunk: pa.DictionaryArray, missing: tuple[str, ...]) -> pa.DictionaryArray:
    kept = clean(pa.chunked_array([chunk.dictionary]), missing).combine_chunks()
    if not kept.null_count:
        return chunk
    place = pa.array(
        np.arange(len(kept), dtype=np.int32), mask=kept.is_null().to_numpy(zero_copy_only=False)
    )
    return pa.DictionaryArray.from_arrays(place.take(chunk.indices), chunk.dictionary)


def _missing_markers(kind: pa.DataType, missing: tuple[str, ...]) -> pa.Array:
    """Return the values of a type that are written like one of ``missing``."""
    found = [pa.array([], kind)]
    for text in missing:
        try:
            value = pa.array([text]).cast(kind)
        except pa.ArrowInvalid:
            continue
        if texts(pa.chunked_array([value])).to_pylist() == [text]:
            found.append(value)
    return pa.concat_arrays(found)


def cleaned(raw: RawRows, name: str | None, missing: tuple[str, ...]) -> pa.ChunkedArray:
    """Return the column that a key of the config maps as text, cleaned; all null where it maps none."""
    if name is None:
        return pa.chunked_array([pa.nulls(len(raw.table), pa.string())])
    return texts(clean(raw.column(name, ""), missing))


def times(
    raw: RawRows, time: str, known: str | None, missing: tuple[str, ...], zone: ZoneInfo
) -> dict[str, pa.Array]:
    """Return when a row happened and when it could be read, in microseconds, with what is wrong about them."""
    happened, problem = instants(clean(raw.column(time, ""), missing), zone)
    reached, known_problem = happened, problem
    if known is not None:
        reached, known_problem = instants(clean(raw.column(known, ""), missing), zone)
    moment = happened.cast(pa.int64())
    return {
        "time": moment,
        "available": pc.if_else(
            pc.is_valid(moment), pc.max_element_wise(moment, reached.cast(pa.int64())), None
        ),
        "time_problem": pc.coalesce(problem, known_problem),
        "time_missing": pc.and_(pc.is_null(happened), pc.is_null(problem)),
    }


def instants(column: pa.ChunkedArray, zone: ZoneInfo) -> tuple[pa.Array, pa.Array]:
    """Return UTC instants and, where a value is not one, the reason; both null where the value is.

    A time without a zone is read in ``zone``, a date as its first instant there. Of an hour that comes twice when
    the clock goes back the earlier is meant; a time that the clock jumps over is read with the offset from before
    the jump, as ``zoneinfo`` does. Digits beyond microseconds are cut off. Possible are the years 1900 to 2199; a
    bare number is no time.
    """
    walls = Walls.of(column)
    possible = (walls.kind != UNREADABLE) & (walls.wall >= FIRST_TIME) & (walls.wall < LAST_TIME)
    naive = possible & (walls.kind == NAIVE)
    offset = walls.offset
    if naive.any():
        offset = np.where(naive, 0, offset)
        offset[naive] = find_offsets_at_wall_times(walls.wall[naive], zone)
    found = pa.array(walls.wall - offset, mask=~possible).cast(INSTANT)
    return found, _name_time_problems(column, walls, possible)


def _name_time_problems(column: pa.ChunkedArray, walls: Walls, possible: np.ndarray) -> pa.Array:
    """Name what is wrong with each value that is neither null nor a possible time."""
    wrong = ~possible & column.is_valid().to_numpy()
    if not wrong.any():
        return pa.nulls(len(wrong), pa.string())
    reason = np.full(len(wrong), None, object)
    reason[wrong] = IMPOSSIBLE_TIME
    at = np.flatnonzero(wrong & (walls.kind == UNREADABLE))
    odd = pc.utf8_trim_whitespace(plain(texts(column.take(pa.array(at))))).combine_chunks()
    bare = pc.match_substring_regex(odd, pattern=rf"\A(?:{NUMBER})\z").to_numpy(
        zero_copy_only=False
    )
    reason[at] = np.where(bare, WRONG_TYPE, UNREADABLE_TIME)
    return pa.array(reason, pa.string())


@dataclass(frozen=True)
class Walls:
    """Times as a clock on the wall showed them; one element a value, in microseconds from 1970.

    ``kind`` is that of ``iso_time``, UNREADABLE for null and for what is no time; ``offset`` is that of the clock from
    UTC where it is known.
    """

    kind: np.ndarray
    wall: np.ndarray
    offset: np.ndarray

    @classmethod
    def of(cls, column: pa.ChunkedArray) -> Self:
        """Read a column of any type."""
        column = direct(column)
        if pa.types.is_timestamp(column.type):
            counts = column.cast(pa.int64())
            return cls._typed(
                counts, UNITS[column.type.unit], NAIVE if column.type.tz is None else ZONED
            )
        if pa.types.is_date(column.type):
            return cls._typed(
                column.cast(pa.date32(), safe=False).cast(pa.int32()), (US_PER_DAY, 1), NAIVE
            )
        return cls._written(pc.utf8_trim_whitespace(plain(texts(column))))

    @classmethod
    def _typed(cls, counts: pa.ChunkedArray, unit: tuple[int, int], kind: int) -> Self:
        """Turn counts of a unit into microseconds; what no ISO text could say becomes the end of its range."""
        many, few = unit
        first, last = (edge * few // many for edge in WRITABLE)
        count = pc.fill_null(counts, 0).to_numpy()
        if many > few:  # a nanosecond cannot leave the range
            count = np.clip(count.astype(np.int64), first - 1, last) * many
        known = counts.is_valid().to_numpy()
        return cls(
            np.where(known, np.int8(kind), np.int8(UNREADABLE)),
            count // few,
            np.zeros(len(count), np.int64),
        )

    @classmethod
    def _written(cls, column: pa.ChunkedArray) -> Self:
        size = len(column)
        kind, wall, offset = (
            np.empty(size, np.int8),
            np.empty(size, np.int64),
            np.empty(size, np.int64),
        )
        begin = 0
        for chunk in column.chunks:
            part = slice(begin, begin + len(chunk))
            parse(*text_bytes(chunk), kind[part], wall[part], offset[part])
            begin += len(chunk)
        return cls(np.where(column.is_valid().to_numpy(), kind, np.int8(UNREADABLE)), wall, offset)


def numbers(column: pa.ChunkedArray) -> tuple[pa.Array, pa.Array]:
    """Return finite numbers and, where a value is not one, the reason; both null where the value is."""
    number = _to_numbers(direct(column))
    problem = pc.and_(column.is_valid(), number.is_null())
    if not pc.any(problem).as_py():
        return number, pa.nulls(len(number), pa.string())
    return number, pc.if_else(problem, WRONG_TYPE, pa.scalar(None, pa.string())).combine_chunks()


def _to_numbers(column: pa.ChunkedArray) -> pa.Array:
    """Return each value's number, null where it is none or too large; one zero instead of two."""
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        number = column.cast(pa.float64(), safe=False)
        return pc.add(without(number, pc.invert(pc.is_finite(number))), 0.0).combine_chunks()
    with suppress(pa.ArrowInvalid):  # texts that are all plain numbers, as in most columns
        return _to_numbers(plain(texts(column)).cast(pa.float64()))
    read = "CASE WHEN regexp_full_match(trim(text), $number) THEN try_cast(text AS DOUBLE) END"
    text = (
        f"SELECT CASE WHEN isfinite({read}) THEN {read} + 0.0 END AS number FROM rows ORDER BY nr"  # noqa: S608
    )
    return query(text, {"number": NUMBER}, rows=_with_row_numbers(plain(texts(column))))[
        "number"
    ].combine_chunks()


def attribute(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as float64 or as text, by what all its values have in common.

    Numbers without leading zeros are float64 (NaN and infinity among them are null), true and false 1 and 0,
    dates and times days since 1970 by their own clock or by UTC where they carry a zone; a column without any
    value is float64, every other one text. The kind does not depend on the order of the rows.
    """
    column = direct(column)
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return _to_numbers(column)
    if pa.types.is_boolean(column.type):
        return column.cast(pa.float64()).combine_chunks()
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        walls = Walls.of(column)
        if _all_fit((walls.wall >= WRITABLE[0]) & (walls.wall < WRITABLE[1]), column):
            return _days_since_epoch(walls)
    return _infer_from_text(plain(texts(column)).combine_chunks())


def _infer_from_text(column: pa.Array) -> pa.Array:
    """Read texts as what they all are; each different one is looked at once."""
    encoded = column.dictionary_encode()
    known = pa.chunked_array([encoded.dictionary])
    read = query(
        """SELECT lower(trim(text)) = 'true' AS truth, lower(trim(text)) IN ('true', 'false') AS is_truth,
              NOT regexp_full_match(trim(text), $zero) AS is_plain,
              regexp_full_match(trim(text), $not_finite) AS is_odd
            FROM rows ORDER BY nr""",
        {"not_finite": NOT_FINITE, "zero": LEADING_ZERO},
        rows=_with_row_numbers(known),
    )
    number, walls = _to_numbers(known), Walls.of(known)
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


def _days_since_epoch(walls: Walls) -> pa.Array:
    return pa.array((walls.wall - walls.offset) / US_PER_DAY, mask=walls.kind == UNREADABLE)


def _with_row_numbers(column: pa.ChunkedArray) -> pa.Table:
    return pa.table({"nr": pa.array(np.arange(len(column))), "text": column})
