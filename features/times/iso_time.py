"""Parsing of ISO dates and times, with or without UTC offset, for arrays of text."""

from __future__ import annotations

import numpy as np

from features.times.calendar import count_days
from features.tools.instants import US_PER_DAY
from features.tools.jit import jit_kernel

# Kind of a text: no date or time, one without an offset, or one with its UTC offset.
UNREADABLE, NAIVE, ZONED = 0, 1, 2

# Codes of ASCII characters.
ZERO, COLON, DOT, SPACE, PLUS, MINUS = 48, 58, 46, 32, 43, 45
T, BIG_Z, SMALL_Z = 84, 90, 122


@jit_kernel
def parse_times(
    texts: np.ndarray, ends: np.ndarray, kind: np.ndarray, wall: np.ndarray, offset: np.ndarray
) -> None:
    """Parse each text ``texts[ends[i]:ends[i + 1]]`` into its kind, wall time and UTC offset.

    Wall time and offset are in microseconds. A text is ``YYYY-MM-DD``, optionally with ``hh:mm``,
    ``:ss`` and a fraction of any length after ``T`` or a space, and optionally with ``Z``, ``z``,
    ``UTC``, ``+hh``, ``+hhmm`` or ``+hh:mm`` (less than 16 hours) as the offset, with or without a
    space before it. Digits beyond microseconds are cut off.
    """
    for row in range(len(kind)):
        at, end = ends[row], ends[row + 1]
        kind[row], wall[row], offset[row] = UNREADABLE, 0, 0
        at, day = _parse_date(texts, at, end)
        if at < 0:
            continue
        at, clock = _parse_clock(texts, at, end)
        if at < 0:
            continue
        if at == end:
            kind[row], wall[row] = NAIVE, day * US_PER_DAY + clock
            continue
        seconds = _parse_offset(texts, at + (texts[at] == SPACE), end)
        if seconds < US_PER_DAY:
            kind[row], wall[row], offset[row] = ZONED, day * US_PER_DAY + clock, seconds * 1_000_000


@jit_kernel
def _read_digits(texts: np.ndarray, at: int, count: int) -> np.int64:
    """Return the number of so many digits; negative if one of them is not a digit."""
    number = np.int64(0)
    for index in range(at, at + count):
        digit = np.int64(texts[index]) - ZERO
        if digit < 0 or digit > 9:
            return np.int64(-1)
        number = 10 * number + digit
    return number


@jit_kernel
def _parse_date(texts: np.ndarray, at: int, end: int) -> tuple[np.int64, np.int64]:
    """Return the end of the date, -1 if it is invalid, and its day since 1970-01-01."""
    invalid = np.int64(-1), np.int64(0)
    if end - at < 10 or texts[at + 4] != MINUS or texts[at + 7] != MINUS:
        return invalid
    year, month, day = (
        _read_digits(texts, at, 4),
        _read_digits(texts, at + 5, 2),
        _read_digits(texts, at + 8, 2),
    )
    exists, days = count_days(year, month, day)
    return (np.int64(at + 10), days) if exists else invalid


@jit_kernel
def _parse_clock(texts: np.ndarray, at: int, end: int) -> tuple[np.int64, np.int64]:
    """Return the end of the time of day, -1 if invalid, and its microseconds; 0 without a time."""
    invalid = np.int64(-1), np.int64(0)
    if end - at < 6 or (texts[at] != T and texts[at] != SPACE) or texts[at + 3] != COLON:
        return np.int64(at), np.int64(0)
    hour, minute, second = (
        _read_digits(texts, at + 1, 2),
        _read_digits(texts, at + 4, 2),
        np.int64(0),
    )
    at += 6
    fraction, scale = np.int64(0), np.int64(1_000_000)
    if at < end and texts[at] == COLON:
        second = _read_digits(texts, at + 1, 2) if end - at > 2 else np.int64(-1)
        at += 3
        if at < end and texts[at] == DOT:
            first = at + 1
            at = first
            while at < end and texts[at] >= ZERO and texts[at] <= ZERO + 9:
                scale //= 10
                fraction += (np.int64(texts[at]) - ZERO) * scale
                at += 1
            if at == first:
                return invalid
    if hour < 0 or hour > 23 or minute < 0 or minute > 59 or second < 0 or second > 59:
        return invalid
    return np.int64(at), ((hour * 60 + minute) * 60 + second) * 1_000_000 + fraction


@jit_kernel
def _parse_offset(texts: np.ndarray, at: int, end: int) -> np.int64:
    """Return the UTC offset in seconds; US_PER_DAY, which is not a valid offset, if invalid."""
    invalid, length = np.int64(US_PER_DAY), end - at
    if length == 1 and (texts[at] == BIG_Z or texts[at] == SMALL_Z):
        return np.int64(0)
    if length == 3 and texts[at] == 85 and texts[at + 1] == 84 and texts[at + 2] == 67:  # UTC
        return np.int64(0)
    if (length != 3 and length != 5 and length != 6) or (texts[at] != PLUS and texts[at] != MINUS):
        return invalid
    if length == 6 and texts[at + 3] != COLON:
        return invalid
    hours = _read_digits(texts, at + 1, 2)
    minutes = _read_digits(texts, end - 2, 2) if length > 3 else np.int64(0)
    if hours < 0 or hours > 15 or minutes < 0 or minutes > 59:
        return invalid
    seconds = 60 * (60 * hours + minutes)
    return -seconds if texts[at] == MINUS else seconds
