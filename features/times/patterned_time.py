"""Parsing of times by a pattern such as ``%d.%m.%Y %H:%M``, for arrays of text."""

from __future__ import annotations

import numpy as np

from configs.forms.time_formats import split_pattern
from features.times.calendar import count_days
from features.times.date_words import MAX_WORD_LETTERS, WEEKDAY
from features.times.iso_time import NAIVE, UNREADABLE, ZONED
from features.times.text_parts import NINE, SMALL, ZERO, Z, read_number, read_word, skip_blanks
from features.times.written_clock import parse_offset, read_half
from features.times.written_time import expand_year
from features.tools.instants import US_PER_DAY
from features.tools.jit import jit_kernel

# Steps of a compiled pattern beyond the bytes 0 to 255 that must stand as they are.
BLANKS, MONTH_NAME, WEEKDAY_NAME, HALF, OFFSET, FRACTION, NUMBER = 256, 257, 258, 259, 260, 261, 262
# Places of the numbers that a text gives: the step of each is NUMBER plus its place.
YEAR, SHORT_YEAR, MONTH, DAY, HOUR, HOUR_OF_TWELVE, MINUTE, SECOND = range(8)
_NUMBERS = {
    "Y": YEAR,
    "y": SHORT_YEAR,
    "m": MONTH,
    "d": DAY,
    "H": HOUR,
    "I": HOUR_OF_TWELVE,
    "M": MINUTE,
    "S": SECOND,
}
_STEPS = {name: NUMBER + place for name, place in _NUMBERS.items()}
_STEPS |= {"b": MONTH_NAME, "B": MONTH_NAME, "a": WEEKDAY_NAME, "A": WEEKDAY_NAME}
_STEPS |= {"p": HALF, "z": OFFSET, "f": FRACTION}


def compile_pattern(pattern: str) -> np.ndarray:
    """Return the steps in which a pattern reads a text, int64; it is valid already."""
    steps = list[int]()
    for name, is_directive in split_pattern(pattern):
        if is_directive:
            steps.append(_STEPS[name])
        elif name.isspace():
            # A run of blanks stands for any other one.
            steps += [BLANKS] if steps[-1:] != [BLANKS] else []
        else:
            steps += name.encode()
    return np.array(steps, np.int64)


@jit_kernel
def parse_by_pattern(
    texts: np.ndarray,
    ends: np.ndarray,
    steps: np.ndarray,
    kind: np.ndarray,
    wall: np.ndarray,
    offset: np.ndarray,
) -> None:
    """Parse each text ``texts[ends[i]:ends[i + 1]]`` into its kind, wall time and UTC offset.

    Wall time and offset are in microseconds. A year has four digits (two for ``%y``), every other
    number one or two, and exactly two before another number.
    """
    letters = np.zeros(MAX_WORD_LETTERS, np.int32)
    numbers = np.zeros(10, np.int64)
    for row in range(len(kind)):
        kind[row], wall[row], offset[row] = UNREADABLE, 0, 0
        at, end = np.int64(ends[row]), np.int64(ends[row + 1])
        numbers[:] = 0
        numbers[HOUR] = -1
        half, fraction, seconds, zoned = np.int64(-1), np.int64(0), np.int64(0), False
        for k in range(len(steps)):
            step = steps[k]
            if step == OFFSET:
                at, seconds = _read_offset(texts, at, end)
                zoned = True
            elif step == HALF:
                at, half = read_half(texts, at, end)
                at = at if half >= 0 else np.int64(-1)
            elif step == FRACTION:
                at, fraction = _read_millionths(texts, at, end)
            elif step >= NUMBER:
                exact = k + 1 < len(steps) and (steps[k + 1] >= NUMBER or steps[k + 1] == FRACTION)
                at = _read_part(texts, at, end, step - NUMBER, exact, numbers)
            else:
                at = _pass_step(texts, at, end, step, letters, numbers)
            if at < 0:
                break
        if at != end:
            continue
        valid, micros = _combine_parts(numbers, half, fraction)
        if valid:
            kind[row], wall[row] = ZONED if zoned else NAIVE, micros
            offset[row] = seconds * 1_000_000


@jit_kernel
def _read_part(
    texts: np.ndarray, at: int, end: int, place: int, exact: bool, numbers: np.ndarray
) -> np.int64:
    """Read a number into its place; return the end of it, -1 if it is invalid."""
    width = 4 if place == YEAR else 2
    after, number = read_number(texts, at, end, width)
    digits = after - at
    exact = exact or place in (YEAR, SHORT_YEAR)
    if digits == 0 or (exact and digits != width):
        return np.int64(-1)
    numbers[place] = number
    if place == SHORT_YEAR:
        numbers[YEAR] = expand_year(number, 2)
    # So that an hour of twelve from 1 to 12 is known from one that is absent.
    if place == HOUR_OF_TWELVE and (number < 1 or number > 12):
        return np.int64(-1)
    return after


@jit_kernel
def _pass_step(
    texts: np.ndarray, at: int, end: int, step: int, letters: np.ndarray, numbers: np.ndarray
) -> np.int64:
    """Read blanks, a name or a fixed byte; return the end of it, -1 if it is not there."""
    if step == BLANKS:
        after = skip_blanks(texts, at, end)
        return after if after > at else np.int64(-1)
    if step in (MONTH_NAME, WEEKDAY_NAME):
        after, word = read_word(texts, at, end, letters)
        if step == WEEKDAY_NAME:
            return after if word == WEEKDAY else np.int64(-1)
        numbers[MONTH] = word
        return after if 1 <= word <= 12 else np.int64(-1)
    if at < end and texts[at] == step:
        return np.int64(at + 1)
    return np.int64(-1)


@jit_kernel
def _read_millionths(texts: np.ndarray, at: int, end: int) -> tuple[np.int64, np.int64]:
    """Return the end of the digits of a fraction, -1 if there are none, and their millionths."""
    begin, scale, fraction = at, np.int64(1_000_000), np.int64(0)
    while at < end and ZERO <= texts[at] <= NINE:
        scale //= 10
        fraction += (np.int64(texts[at]) - ZERO) * scale
        at += 1
    return np.int64(at if at > begin else -1), fraction


@jit_kernel
def _read_offset(texts: np.ndarray, at: int, end: int) -> tuple[np.int64, np.int64]:
    """Return the end of a UTC offset or ``Z``, -1 if it is invalid, and its seconds."""
    if at < end and (texts[at] | SMALL) == Z:
        return np.int64(at + 1), np.int64(0)
    return parse_offset(texts, at, end, False)


@jit_kernel
def _combine_parts(numbers: np.ndarray, half: int, fraction: int) -> tuple[bool, np.int64]:
    """Return whether the parts make up a time, and its wall time in microseconds."""
    hour = max(numbers[HOUR], 0)
    if half >= 0:
        hour = numbers[HOUR_OF_TWELVE] % 12 + 12 * half
    exists, day = count_days(numbers[YEAR], numbers[MONTH], numbers[DAY])
    valid = exists and hour < 24 and numbers[MINUTE] < 60 and numbers[SECOND] < 60
    seconds = (hour * 60 + numbers[MINUTE]) * 60 + numbers[SECOND]
    return valid, day * US_PER_DAY + seconds * 1_000_000 + fraction
