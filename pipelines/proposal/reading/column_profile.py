"""What a column holds, by all of its values: kind, counts, times, and patterns of personal data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.intake.formats.number_units import UnitTexts
from features.intake.formats.texts import is_text_column, to_plain_text, to_text
from features.tools.distinct_texts import DistinctTexts
from features.tools.instants import US_PER_DAY
from pipelines.proposal.reading.column_times import read_column_times
from pipelines.proposal.reading.words import equals_phrase

EMPTY, TIME, NUMBER, TRUTH, CATEGORY = "empty", "time", "number", "truth", "category"

# Share of the values that must fit a kind: a few are misspelled, or footers of a report.
MIN_FITTING_SHARE = 0.95
# Frequent values that a profile keeps.
MAX_COUNTED_VALUES = 500
NUMBER_PATTERN = r"^[+-]?\d[\d., '\x{00a0}\x{202f}]*%?$|^[+-]?\d+(\.\d+)?[eE][+-]?\d+$"
EMAIL_PATTERN = r"^[^@\s,;]+@[^@\s,;]+\.[^@\s,;]+$"
# With the plus of a country, a trunk digit before a gap, an area in brackets, or dashes.
PHONE_PATTERN = (
    r"^(\+|00)[\d\s().\-/]{8,20}$|^8[\s(\-][\d\s()\-]{9,16}$"
    r"|^\(\d{2,5}\)[\d\s\-/]{5,15}$|^\d{3}-\d{3}-\d{4}$"
)
URL_PATTERN = r"^(https?://|www\.)"
PERSON_PATTERN = r"^\p{Lu}[\p{L}.'’-]+( \p{Lu}[\p{L}.'’-]*){1,2}$"
# A text of so many characters in the mean is written by people, not chosen from a list.
FREE_TEXT_LENGTH = 40


@dataclass(frozen=True)
class ColumnProfile:
    """A column of n rows.

    Attributes:
        name: Name of the column.
        kind: EMPTY, TIME, NUMBER, TRUTH or CATEGORY.
        rows: Number of rows.
        filled: Number of rows with a value.
        distinct: Number of distinct values.
        counts: Rows by value written as text, the most frequent ones, ties by value.
        typed: Whether the source gives the column a type, so that it is no text.
        times: Instants in microseconds of UTC for a time, with NaN where there is none.
        zoned: Share of the times that have an offset.
        daily: Share of the times at midnight.
        personal: Pattern that most values have: e-mail, phone, address of a page, free text,
            person; empty for none.
    """

    name: str
    kind: str
    rows: int
    filled: int
    distinct: int
    counts: dict[str, int] = field(repr=False)
    typed: bool = False
    times: np.ndarray | None = field(default=None, repr=False)
    zoned: float = 0.0
    daily: float = 0.0
    personal: str = ""

    @property
    def fill_share(self) -> float:
        """Return the share of rows with a value."""
        return self.filled / self.rows if self.rows else 0.0

    @property
    def is_unique(self) -> bool:
        """Return whether nearly each row has a value of its own: up to 1 % repeat one."""
        return self.filled > 0.99 * self.rows and self.distinct >= 0.99 * self.filled

    @property
    def is_constant(self) -> bool:
        """Return whether the column distinguishes no rows."""
        return self.distinct <= 1 and (self.filled == self.rows or self.distinct == 0)

    @property
    def is_flag(self) -> bool:
        """Return whether the column holds a yes and a no, in words or as 1 and 0."""
        return self.distinct == 2 and all(
            equals_phrase(text, "values.true") or equals_phrase(text, "values.false")
            for text in self.counts
        )

    @cached_property
    def known_times(self) -> np.ndarray:
        """Return the times without the missing ones."""
        times = np.zeros(0) if self.times is None else self.times
        return np.asarray(times[~np.isnan(times)])


def profile_column(name: str, column: pa.ChunkedArray, *, counted: bool = False) -> ColumnProfile:
    """Return the profile of a cleaned column; ``counted`` says that its numbers are times."""
    distinct = DistinctTexts.from_column(to_plain_text(to_text(column)))
    used = distinct.counts > 0
    rows, filled = len(column), distinct.total
    size = int(used.sum())
    typed = not is_text_column(column)
    if not filled:
        return ColumnProfile(name, EMPTY, rows, 0, 0, {}, typed)
    counts = _count_values(distinct)
    read = read_column_times(name, column, distinct, counted=counted)
    if read is not None:
        us, zoned = read
        known = ~np.isnan(us)
        daily = float((us[known] % US_PER_DAY == 0).mean())
        return ColumnProfile(name, TIME, rows, filled, size, counts, typed, us, zoned, daily)
    kind = _find_kind(column.type, distinct, counts)
    personal = "" if typed or kind == TRUTH else _find_personal_pattern(distinct, kind)
    return ColumnProfile(name, kind, rows, filled, size, counts, typed, personal=personal)


def measure_share(distinct: DistinctTexts, pattern: str) -> float:
    """Return the share of the values that match a pattern."""
    fits = pc.match_substring_regex(distinct.texts.cast(pa.string()), pattern=pattern)
    return float(distinct.counts[fits.to_numpy(zero_copy_only=False).astype(bool)].sum()) / max(
        distinct.total, 1
    )


def _count_values(distinct: DistinctTexts) -> dict[str, int]:
    order = np.argsort(-distinct.counts, kind="stable")[:MAX_COUNTED_VALUES]
    texts = distinct.texts.take(pa.array(order)).to_pylist()
    counts = distinct.counts[order].tolist()
    pairs = sorted(zip(texts, counts, strict=True), key=lambda pair: (-pair[1], pair[0]))
    return {str(text): int(count) for text, count in pairs if count}


def _find_kind(stored: pa.DataType, distinct: DistinctTexts, counts: dict[str, int]) -> str:
    if pa.types.is_boolean(stored):
        return TRUTH
    if pa.types.is_integer(stored) or pa.types.is_floating(stored) or pa.types.is_decimal(stored):
        return NUMBER
    if len(counts) == 2 and all(
        equals_phrase(text, "values.true") or equals_phrase(text, "values.false") for text in counts
    ):
        return TRUTH
    # An amount is a number with its currency, too.
    numbers = UnitTexts.from_texts(distinct.texts.cast(pa.string())).numbers
    share = measure_share(replace(distinct, texts=numbers), NUMBER_PATTERN)
    return NUMBER if share >= MIN_FITTING_SHARE else CATEGORY


def _find_personal_pattern(distinct: DistinctTexts, kind: str) -> str:
    """Return the pattern that most values of a text column have; empty for none."""
    if kind == NUMBER:
        # A number of a telephone may be written in digits alone.
        return "phone" if measure_share(distinct, PHONE_PATTERN) > 0.5 else ""
    patterns = {
        "e-mail": EMAIL_PATTERN,
        "phone": PHONE_PATTERN,
        "address of a page": URL_PATTERN,
    }
    for pattern, expression in patterns.items():
        if measure_share(distinct, expression) > 0.5:
            return pattern
    lengths = pc.utf8_length(distinct.texts.cast(pa.string())).to_numpy(zero_copy_only=False)
    mean = float((lengths * distinct.counts).sum() / max(distinct.total, 1))
    varied = len(distinct.texts) > max(0.3 * distinct.total, 20)
    if mean >= FREE_TEXT_LENGTH and varied:
        return "free text"
    # Names of people are varied: a list of few products has capital letters too.
    return "person" if varied and measure_share(distinct, PERSON_PATTERN) > 0.8 else ""
