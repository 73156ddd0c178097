"""Parsing of dates and times as people and exports write them, for arrays of text.

A date has day, month and year between points, slashes or dashes, or names its month in English or
Russian. A time of day may follow, on a clock of 24 or 12 hours, and a UTC offset.
"""

from __future__ import annotations

import numpy as np

from features.times.calendar import count_days
from features.times.date_words import (
    MAX_WORD_LETTERS,
    ORDINAL,
    WEEKDAY,
)
from features.times.iso_time import NAIVE, UNREADABLE, ZONED
from features.times.text_parts import (
    COMMA,
    DOT,
    MINUS,
    NINE,
    SLASH,
    SMALL,
    ZERO,
    T,
    read_number,
    read_word,
    skip_blanks,
)
from features.times.written_clock import parse_clock, parse_zone
from features.tools.instants import US_PER_DAY
from features.tools.jit import jit_kernel

# Order of the numbers of a date whose year does not stand first with four digits.
DAY_FIRST, MONTH_FIRST, YEAR_FIRST = 0, 1, 2
# How a date is written: numbers between points, numbers between other signs, the year first with
# four digits, the name of a month before the day, or after it.
POINTS, SIGNS, FULL_YEAR_FIRST, NAME_FIRST, NAME_SECOND = 1, 2, 3, 4, 5

# Years of two digits, as in POSIX and Python: 69 to 99 are of the 20th century.
FIRST_OF_20TH = 69


@jit_kernel
def parse_written_times(
    texts: np.ndarray,
    ends: np.ndarray,
    order: int,
    kind: np.ndarray,
    wall: np.ndarray,
    offset: np.ndarray,
    shape: np.ndarray,
) -> None:
    """Parse each text ``texts[ends[i]:ends[i + 1]]`` into its kind, wall time and UTC offset.

    Wall time and offset are in microseconds; ``shape`` becomes how the date is written. ``order``
    counts only for a date of three numbers of which the last is the year, or of two digits each.
    Digits beyond microseconds are cut off.
    """
    letters = np.zeros(MAX_WORD_LETTERS, np.int32)
    for row in range(len(kind)):
        at, end = np.int64(ends[row]), np.int64(ends[row + 1])
        kind[row], wall[row], offset[row], shape[row] = UNREADABLE, 0, 0, 0
        at, day, form = _parse_date(texts, at, end, order, letters)
        if at < 0:
            continue
        at, clock, has_clock = parse_clock(texts, at, end, letters)
        if at < 0:
            continue
        zoned, shift = False, np.int64(0)
        if at < end:
            at, shift = parse_zone(texts, at, end, letters)
            zoned = True
        if at != end or (zoned and not has_clock):
            continue
        kind[row], wall[row], shape[row] = ZONED if zoned else NAIVE, day * US_PER_DAY + clock, form
        offset[row] = shift * 1_000_000


@jit_kernel
def expand_year(year: int, digits: int) -> np.int64:
    """Return a year of two digits as one of four; -1 if it has another number of digits."""
    if digits == 4:
        return np.int64(year)
    if digits != 2:
        return np.int64(-1)
    return np.int64(year + (1900 if year >= FIRST_OF_20TH else 2000))


@jit_kernel
def _parse_date(
    texts: np.ndarray, at: int, end: int, order: int, letters: np.ndarray
) -> tuple[np.int64, np.int64, int]:
    """Return the end of the date, -1 if it is invalid, its day since 1970-01-01 and its shape."""
    invalid = np.int64(-1), np.int64(0), 0
    after, word = read_word(texts, at, end, letters)
    if word == WEEKDAY:
        at = _skip_signs(texts, after, end)
        after, word = read_word(texts, at, end, letters)
    if 1 <= word <= 12:
        return _parse_name_first(texts, _skip_signs(texts, after, end), end, word, letters)
    begin = at
    at, first = read_number(texts, begin, end, 9)
    width = at - begin
    if width == 8 and at < end and (texts[at] | SMALL) == T:
        exists, day = count_days(first // 10_000, first // 100 % 100, first % 100)
        return (np.int64(at), day, FULL_YEAR_FIRST) if exists else invalid
    if (width != 4 and width != 1 and width != 2) or at >= end:
        return invalid
    sign = texts[at]
    second_at = at + 1
    if sign == DOT:
        second_at = skip_blanks(texts, second_at, end)
    is_sign = sign in (DOT, SLASH, MINUS)
    if not is_sign or second_at >= end or not ZERO <= texts[second_at] <= NINE:
        return _parse_name_second(texts, at, end, first, width, letters)
    return _parse_numbers(texts, second_at, end, order, first, width, sign)


@jit_kernel
def _parse_numbers(
    texts: np.ndarray, at: int, end: int, order: int, first: int, width: int, sign: int
) -> tuple[np.int64, np.int64, int]:
    """Parse the second and third of three numbers between the same signs, as ``_parse_date``."""
    invalid = np.int64(-1), np.int64(0), 0
    begin = np.int64(at)
    at, second = read_number(texts, at, end, 3)
    if at - begin > 2 or at >= end or texts[at] != sign:
        return invalid
    begin = skip_blanks(texts, at + 1, end) if sign == DOT else np.int64(at + 1)
    at, third = read_number(texts, begin, end, 5)
    last = at - begin
    shape = POINTS if sign == DOT else SIGNS
    if width == 4:
        year, month, day, shape = first, second, third, FULL_YEAR_FIRST
        if last < 1 or last > 2:
            return invalid
    elif order == YEAR_FIRST:
        year, month, day = expand_year(first, width), second, third
        if last < 1 or last > 2:
            return invalid
    else:
        year = expand_year(third, last)
        day, month = (first, second) if order == DAY_FIRST else (second, first)
    exists, days = count_days(year, month, day)
    return (_skip_year_sign(texts, at, end), days, shape) if exists else invalid


@jit_kernel
def _parse_name_first(
    texts: np.ndarray, at: int, end: int, month: int, letters: np.ndarray
) -> tuple[np.int64, np.int64, int]:
    """Parse day and year after the name of a month, as ``_parse_date``."""
    invalid = np.int64(-1), np.int64(0), 0
    begin = at
    at, day = read_number(texts, at, end, 3)
    if at == begin or at - begin > 2:
        return invalid
    after, word = read_word(texts, at, end, letters)
    at = after if word == ORDINAL else at
    begin = _skip_signs(texts, at, end)
    if begin == at:
        return invalid
    at, year = read_number(texts, begin, end, 5)
    exists, days = count_days(expand_year(year, at - begin), month, day)
    return (_skip_year_sign(texts, at, end), days, NAME_FIRST) if exists else invalid


@jit_kernel
def _parse_name_second(
    texts: np.ndarray, at: int, end: int, first: int, width: int, letters: np.ndarray
) -> tuple[np.int64, np.int64, int]:
    """Parse month and third part after a day or a full year, as ``_parse_date``."""
    invalid = np.int64(-1), np.int64(0), 0
    after, word = read_word(texts, at, end, letters)
    after = after if word == ORDINAL and width <= 2 else at
    at, month = read_word(texts, _skip_signs(texts, after, end), end, letters)
    if month < 1 or month > 12:
        return invalid
    begin = _skip_signs(texts, at, end)
    at, third = read_number(texts, begin, end, 5)
    last = at - begin
    if width == 4:
        if last < 1 or last > 2:
            return invalid
        exists, days = count_days(first, month, third)
    else:
        exists, days = count_days(expand_year(third, last), month, first)
    shape = FULL_YEAR_FIRST if width == 4 else NAME_SECOND
    return (_skip_year_sign(texts, at, end), days, shape) if exists else invalid


@jit_kernel
def _skip_signs(texts: np.ndarray, at: int, end: int) -> np.int64:
    """Return the place after blanks, points, commas, slashes and dashes."""
    while at < end:
        after = skip_blanks(texts, at, end)
        if after < end and (
            texts[after] == DOT
            or texts[after] == COMMA
            or texts[after] == SLASH
            or texts[after] == MINUS
        ):
            after += 1
        if after == at:
            break
        at = after
    return np.int64(at)


@jit_kernel
def _skip_year_sign(texts: np.ndarray, at: int, end: int) -> np.int64:
    """Return the place after the Russian mark of a year, ``г.``, if it follows a number."""
    begin = skip_blanks(texts, at, end)
    if end - begin >= 2 and texts[begin] == 0xD0 and texts[begin + 1] == 0xB3:
        at = begin + 2
        at += at < end and texts[at] == DOT
    return np.int64(at)
