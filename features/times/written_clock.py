"""Parsing of the time of day in a written time, by 24 or 12 hours, and its UTC offset."""

from __future__ import annotations

import numpy as np

from features.times.date_words import GREENWICH, JOINER
from features.times.text_parts import (
    CLOSE,
    COLON,
    COMMA,
    DOT,
    MINUS,
    NINE,
    OPEN,
    PLUS,
    SMALL,
    ZERO,
    A,
    M,
    P,
    T,
    Z,
    read_number,
    read_word,
    skip_blanks,
)
from features.tools.jit import jit_kernel


@jit_kernel
def parse_clock(
    texts: np.ndarray, at: int, end: int, letters: np.ndarray
) -> tuple[np.int64, np.int64, bool]:
    """Return the end of the time of day, -1 if invalid, its microseconds, and if it is there."""
    invalid = np.int64(-1), np.int64(0), False
    if at == end:
        return np.int64(at), np.int64(0), False
    begin = at
    at += texts[at] == COMMA
    at = skip_blanks(texts, at, end)
    if at < end and (texts[at] | SMALL) == T and at == begin:
        at += 1
    else:
        after, word = read_word(texts, at, end, letters)
        at = skip_blanks(texts, after, end) if word == JOINER else at
    if at in (begin, end):
        return invalid
    begin = at
    at, hour = read_number(texts, at, end, 2)
    if at == begin:
        return invalid
    at, rest, minutes = _parse_minutes(texts, at, end)
    after, half = read_half(texts, skip_blanks(texts, at, end), end)
    if half >= 0:
        if hour < 1 or hour > 12:
            return invalid
        at, hour = after, hour % 12 + 12 * half
    if at < 0 or hour > 23 or (not minutes and half < 0):
        return invalid
    return np.int64(at), hour * 3_600_000_000 + rest, True


@jit_kernel
def _parse_minutes(texts: np.ndarray, at: int, end: int) -> tuple[np.int64, np.int64, bool]:
    """Return the end of minutes, seconds and fraction, -1 if invalid, and their microseconds.

    Return at last whether there are minutes.
    """
    invalid = np.int64(-1), np.int64(0), False
    if at >= end or texts[at] != COLON:
        # The compact form of ISO 8601.
        after, number = read_number(texts, at, end, 5)
        if after - at == 2:
            return after, number * 60_000_000, number < 60
        if after - at == 4:
            valid = number // 100 < 60 and number % 100 < 60
            after, fraction = parse_fraction(texts, after, end)
            micros = (number // 100 * 60 + number % 100) * 1_000_000 + fraction
            return (after, micros, True) if valid else invalid
        return np.int64(at), np.int64(0), False
    after, minute = read_number(texts, at + 1, end, 3)
    if after - at != 3 or minute > 59:
        return invalid
    at, micros = after, minute * 60_000_000
    if at < end and texts[at] == COLON:
        after, second = read_number(texts, at + 1, end, 3)
        if after - at != 3 or second > 59:
            return invalid
        at, fraction = parse_fraction(texts, after, end)
        micros += second * 1_000_000 + fraction
    return np.int64(at), np.int64(micros), True


@jit_kernel
def parse_fraction(texts: np.ndarray, at: int, end: int) -> tuple[np.int64, np.int64]:
    """Return the end of a decimal sign and its digits, if they follow, and their millionths."""
    if end - at < 2 or (texts[at] != DOT and texts[at] != COMMA):
        return np.int64(at), np.int64(0)
    if not ZERO <= texts[at + 1] <= NINE:
        return np.int64(at), np.int64(0)
    at += 1
    scale, fraction = np.int64(1_000_000), np.int64(0)
    while at < end and ZERO <= texts[at] <= NINE:
        scale //= 10
        fraction += (np.int64(texts[at]) - ZERO) * scale
        at += 1
    return np.int64(at), fraction


@jit_kernel
def read_half(texts: np.ndarray, at: int, end: int) -> tuple[np.int64, np.int64]:
    """Return the end of AM or PM, also written a.m. or p. m., and 0 or 1; -1 if there is none."""
    absent = np.int64(at), np.int64(-1)
    if at < 0 or end - at < 2:
        return absent
    letter = texts[at] | SMALL
    if letter != A and letter != P:
        return absent
    after = at + 1
    if texts[after] == DOT:
        after = skip_blanks(texts, after + 1, end)
    if after >= end or (texts[after] | SMALL) != M:
        return absent
    after += 1
    after += after < end and texts[after] == DOT
    return np.int64(after), np.int64(letter == P)


@jit_kernel
def parse_zone(
    texts: np.ndarray, at: int, end: int, letters: np.ndarray
) -> tuple[np.int64, np.int64]:
    """Return the end of the UTC offset, -1 if it is invalid, and its seconds."""
    invalid = np.int64(-1), np.int64(0)
    at = skip_blanks(texts, at, end)
    if at >= end:
        return invalid
    if (texts[at] | SMALL) == Z:
        return np.int64(at + 1), np.int64(0)
    after, word = read_word(texts, at, end, letters)
    if word == GREENWICH:
        at = after
        if at == end:
            return np.int64(at), np.int64(0)
    elif after > at:
        return invalid
    at, seconds = parse_offset(texts, at, end, word == GREENWICH)
    # JavaScript adds the zone's name, which says nothing more.
    begin = skip_blanks(texts, at, end) if at >= 0 else end
    if begin < end and begin > at and texts[begin] == OPEN and texts[end - 1] == CLOSE:
        at = end
    return np.int64(at), seconds


@jit_kernel
def parse_offset(texts: np.ndarray, at: int, end: int, short: bool) -> tuple[np.int64, np.int64]:
    """Return the end of ``+hh``, ``+hhmm`` or ``+hh:mm``, -1 if it is invalid, and its seconds.

    With ``short`` a single digit of hours is valid too.
    """
    invalid = np.int64(-1), np.int64(0)
    if at >= end or (texts[at] != PLUS and texts[at] != MINUS):
        return invalid
    sign = -1 if texts[at] == MINUS else 1
    begin = at + 1
    at, number = read_number(texts, begin, end, 5)
    digits = at - begin
    hours, minutes = (number // 100, number % 100) if digits == 4 else (number, np.int64(0))
    if digits != 4 and digits != 2 and not (short and digits == 1):
        return invalid
    if digits <= 2 and at < end and texts[at] == COLON:
        begin = at + 1
        at, minutes = read_number(texts, begin, end, 3)
        if at - begin != 2:
            return invalid
    if hours > 15 or minutes > 59:
        return invalid
    return np.int64(at), np.int64(sign * 60 * (60 * hours + minutes))
