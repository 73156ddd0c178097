"""Forms in which times are written, by the names that the config uses."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from configs.forms.time_formats import (
    DAY_FIRST,
    EPOCH_UNITS,
    EXCEL,
    EXCEL_1904,
    ISO,
    MONTH_FIRST,
    TICKS,
    YEAR_FIRST,
)
from features.times import counted_time, written_time
from features.times.counted_time import parse_counts
from features.times.iso_time import UNREADABLE, parse_times
from features.times.patterned_time import compile_pattern, parse_by_pattern
from features.times.written_time import parse_written_times
from features.tools.id_index import get_text_buffers

ORDERS = {
    DAY_FIRST: written_time.DAY_FIRST,
    MONTH_FIRST: written_time.MONTH_FIRST,
    YEAR_FIRST: written_time.YEAR_FIRST,
}
UNITS = {name: counted_time.SECONDS + i for i, name in enumerate(EPOCH_UNITS)}
UNITS |= {EXCEL: counted_time.DAYS_1900, EXCEL_1904: counted_time.DAYS_1904}
UNITS |= {TICKS: counted_time.SINCE_YEAR_1}


@dataclass(frozen=True)
class ParsedTimes:
    """Times as shown by a clock on the wall, one element per text.

    Attributes:
        kind: Kind as in ``iso_time``.
        wall: Wall time in microseconds since 1970.
        offset: UTC offset in microseconds if known, else 0.
    """

    kind: np.ndarray
    wall: np.ndarray
    offset: np.ndarray

    @classmethod
    def allocate(cls, size: int) -> ParsedTimes:
        """Return arrays for so many texts, without content."""
        return cls(np.empty(size, np.int8), np.empty(size, np.int64), np.empty(size, np.int64))

    @property
    def unreadable(self) -> np.ndarray:
        """Return a mask of the texts that are no time."""
        return self.kind == UNREADABLE


@dataclass(frozen=True)
class TimeFormat:
    """One form of written times; ISO texts are read in each of them but a pattern.

    Attributes:
        name: Name of the form or a pattern, as the config writes it.
    """

    name: str = ISO

    @cached_property
    def steps(self) -> np.ndarray:
        """Return the compiled pattern."""
        return compile_pattern(self.name)

    def parse(self, texts: pa.Array) -> ParsedTimes:
        """Return the times of texts; null is not readable."""
        if "%" in self.name:
            times = ParsedTimes.allocate(len(texts))
            parse_by_pattern(
                *get_text_buffers(texts), self.steps, times.kind, times.wall, times.offset
            )
        else:
            times = parse_iso(texts)
            rest = np.flatnonzero(times.unreadable) if self.name != ISO else np.empty(0, np.int64)
            if len(rest):
                others = self._parse_others(texts.take(pa.array(rest)))
                times.kind[rest], times.wall[rest] = others.kind, others.wall
                times.offset[rest] = others.offset
        if texts.null_count:
            times.kind[texts.is_null().to_numpy(zero_copy_only=False)] = UNREADABLE
        return times

    def _parse_others(self, texts: pa.Array) -> ParsedTimes:
        if self.name in UNITS:
            return parse_unit(texts, UNITS[self.name])
        times, _ = parse_written(texts, ORDERS[self.name])
        if self.name == YEAR_FIRST:
            digits = parse_unit(texts, counted_time.DIGITS)
            times.kind[:] = np.where(digits.unreadable, times.kind, digits.kind)
            times.wall[:] = np.where(digits.unreadable, times.wall, digits.wall)
        return times


ISO_FORMAT = TimeFormat()


def parse_iso(texts: pa.Array) -> ParsedTimes:
    """Return the times of ISO texts."""
    times = ParsedTimes.allocate(len(texts))
    parse_times(*get_text_buffers(texts), times.kind, times.wall, times.offset)
    return times


def parse_written(texts: pa.Array, order: int) -> tuple[ParsedTimes, np.ndarray]:
    """Return the times of texts whose numbers stand in an order, and how each is written."""
    times, shape = ParsedTimes.allocate(len(texts)), np.empty(len(texts), np.int8)
    parse_written_times(
        *get_text_buffers(texts), order, times.kind, times.wall, times.offset, shape
    )
    return times, shape


def parse_unit(texts: pa.Array, unit: int) -> ParsedTimes:
    """Return the times of numbers that count a unit."""
    times = ParsedTimes.allocate(len(texts))
    times.offset[:] = 0
    parse_counts(*get_text_buffers(texts), unit, times.kind, times.wall)
    return times
