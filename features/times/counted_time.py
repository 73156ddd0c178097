"""Parsing of times that are plain numbers: counts since 1970, spreadsheet days, and digits."""

from __future__ import annotations

import numpy as np

from features.times.calendar import count_days
from features.times.iso_time import NAIVE, UNREADABLE, ZONED
from features.times.text_parts import MINUS, read_number
from features.times.written_clock import parse_fraction
from features.tools.instants import US_PER_DAY
from features.tools.jit import jit_kernel

# What a number can count: seconds, milliseconds, microseconds or nanoseconds since 1970, days of a
# spreadsheet since 1900 or 1904; or the digits of a date, the year first.
SECONDS, MILLISECONDS, MICROSECONDS, NANOSECONDS, DAYS_1900, DAYS_1904, DIGITS = 1, 2, 3, 4, 5, 6, 7
# Numbers that can be none of these in the years 1990 to 2100, and those up to zero.
OTHER, NOT_POSITIVE = 8, 9
# Counts of 100 nanoseconds since the year 1, and numbers that can be these or nanoseconds.
SINCE_YEAR_1, NANOSECONDS_OR_TICKS = 10, 11

# 1990-01-01 and 2101-01-01 in seconds since 1970.
FIRST_PLAUSIBLE, END_OF_PLAUSIBLE = 631_152_000, 4_133_980_800
SECONDS_PER_DAY, MS_PER_DAY = 86_400, 86_400_000
# Days of 1970-01-01 in a spreadsheet. Its 1900 system counts a 29 February 1900, which did not
# exist, so that days before 1 March 1900 (61) have a number that is smaller by one.
EPOCH_DAY_1900, EPOCH_DAY_1904, FIRST_OF_MARCH = 25_569, 24_107, 61
# Seconds from the year 1 to 1970, and ticks of a second.
YEAR_1_SECONDS, TICKS_PER_SECOND = 62_135_596_800, 10_000_000


@jit_kernel
def classify_counts(texts: np.ndarray, ends: np.ndarray, unit: np.ndarray) -> None:
    """Write what each text can count in the years 1990 to 2100; 0 if it is no plain number.

    The possible ranges do not overlap, but for ticks and the nanoseconds of 1990, and for days
    since 1904, which are never found.
    """
    for row in range(len(unit)):
        at, end = np.int64(ends[row]), np.int64(ends[row + 1])
        valid, negative, number, _ = _parse_number(texts, at, end)
        unit[row] = 0
        if not valid:
            continue
        unit[row] = OTHER
        if negative or number == 0:
            unit[row] = NOT_POSITIVE
            continue
        scale = np.int64(1)
        for k in range(4):
            if FIRST_PLAUSIBLE * scale <= number < END_OF_PLAUSIBLE * scale:
                unit[row] = SECONDS + k
            scale *= 1_000
        if FIRST_PLAUSIBLE <= number // TICKS_PER_SECOND - YEAR_1_SECONDS < END_OF_PLAUSIBLE:
            unit[row] = NANOSECONDS_OR_TICKS if unit[row] == NANOSECONDS else SINCE_YEAR_1
        day = number - EPOCH_DAY_1900
        if FIRST_PLAUSIBLE <= day * SECONDS_PER_DAY < END_OF_PLAUSIBLE:
            unit[row] = DAYS_1900
        exists, wall = _parse_digits(texts, at, end)
        if exists and FIRST_PLAUSIBLE * 1_000_000 <= wall < END_OF_PLAUSIBLE * 1_000_000:
            unit[row] = DIGITS


@jit_kernel
def parse_counts(
    texts: np.ndarray, ends: np.ndarray, unit: int, kind: np.ndarray, wall: np.ndarray
) -> None:
    """Parse each text ``texts[ends[i]:ends[i + 1]]`` as a count of a unit.

    Write kind and wall time in microseconds. Counts since 1970 are instants, with the offset 0.
    Days are rounded to milliseconds, since their fraction has no more exact digits.
    """
    for row in range(len(kind)):
        at, end = np.int64(ends[row]), np.int64(ends[row + 1])
        kind[row], wall[row] = UNREADABLE, 0
        if unit == DIGITS:
            exists, micros = _parse_digits(texts, at, end)
            if exists:
                kind[row], wall[row] = NAIVE, micros
            continue
        valid, negative, number, fraction = _parse_number(texts, at, end)
        if not valid:
            continue
        if unit in (DAYS_1900, DAYS_1904):
            if not negative and number < 10_000_000:
                kind[row], wall[row] = _convert_days(number, _read_share(texts, at, end), unit)
            continue
        kind[row], wall[row] = ZONED, _convert_count(number, fraction, negative, unit)


@jit_kernel
def _parse_number(texts: np.ndarray, at: int, end: int) -> tuple[bool, bool, np.int64, np.int64]:
    """Return whether a text is a plain number, its sign, whole part and millionths.

    An exponent has lost digits, and leading zeros are those of a code.
    """
    negative = at < end and texts[at] == MINUS
    at += negative
    begin = at
    at, number = read_number(texts, begin, end, 19)
    digits = at - begin
    valid = 0 < digits < 19 or (digits == 19 and number > 0)
    valid &= digits == 1 or (digits > 0 and texts[begin] != 48)
    at, fraction = parse_fraction(texts, at, end)
    return bool(valid and at == end), negative, number, fraction


@jit_kernel
def _convert_count(number: int, fraction: int, negative: bool, unit: int) -> np.int64:
    """Return a count since 1970 in microseconds; a smaller part is cut off."""
    sign = -1 if negative else 1
    if unit == SINCE_YEAR_1:
        return np.int64((-number if negative else number) // 10 - YEAR_1_SECONDS * 1_000_000)
    if unit == NANOSECONDS:
        return np.int64(sign * number // 1_000)
    scale = 1_000_000 if unit == SECONDS else 1_000 if unit == MILLISECONDS else 1
    # Beyond the years that have a text; never a valid time.
    if number > 300_000_000_000_000_000 // scale:
        return np.int64(sign * 300_000_000_000_000_000)
    return np.int64(sign * (number * scale + fraction * scale // 1_000_000))


@jit_kernel
def _read_share(texts: np.ndarray, at: int, end: int) -> float:
    """Return the decimals of a plain number, from 0 to less than 1."""
    at, _ = read_number(texts, at, end, 19)
    share, scale = 0.0, 1.0
    for place in range(at + 1, end):
        share, scale = 10 * share + (np.float64(texts[place]) - 48), 10 * scale
    return share / scale


@jit_kernel
def _convert_days(number: int, share: float, unit: int) -> tuple[int, np.int64]:
    """Return kind and microseconds of days of a spreadsheet and a share of a day."""
    day = number - (EPOCH_DAY_1904 if unit == DAYS_1904 else EPOCH_DAY_1900)
    if unit == DAYS_1900 and number < FIRST_OF_MARCH:
        if number == FIRST_OF_MARCH - 1 or number == 0:
            return UNREADABLE, np.int64(0)
        day += 1
    milliseconds = np.int64(np.rint(share * MS_PER_DAY))
    return NAIVE, np.int64(day * US_PER_DAY + milliseconds * 1_000)


@jit_kernel
def _parse_digits(texts: np.ndarray, at: int, end: int) -> tuple[bool, np.int64]:
    """Return whether digits are a date, or a date with hours and minutes or seconds; its time."""
    size = end - at
    if size != 8 and size != 12 and size != 14:
        return False, np.int64(0)
    after, number = read_number(texts, at, end, 14)
    if after != end:
        return False, np.int64(0)
    clock = np.int64(0)
    if size > 8:
        number *= 100 if size == 12 else 1
        clock, number = number % 1_000_000, number // 1_000_000
    hour, minute, second = clock // 10_000, clock // 100 % 100, clock % 100
    exists, day = count_days(number // 10_000, number // 100 % 100, number % 100)
    exists = exists and hour < 24 and minute < 60 and second < 60
    return bool(exists), day * US_PER_DAY + ((hour * 60 + minute) * 60 + second) * 1_000_000
