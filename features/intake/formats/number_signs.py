"""Decimal and thousands signs in written numbers: which signs fit a column, and its values.

A number such as ``1.200`` can be read two ways. A column's *readings* are all pairs of signs that
are possible; each text has a *signature*: its unit, the readings that fit it and which of them
agree. The signatures of a column, counted, decide on its unit and its signs, independent of the
order of rows and of how they are distributed over pieces.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.source_rows import GROUPING_APOSTROPHES, GROUPING_SPACES, SourceRows
from features.intake.formats.number_units import NO_UNIT, UnitChoice, UnitTexts, choose_unit
from features.intake.formats.texts import set_null, to_plain_text, to_text
from features.readings.columns import NumberSigns
from features.tools.duckdb_sql import run_query
from features.tools.id_index import get_text_buffers
from features.tools.jit import jit_inline, jit_kernel

# The first one that fits is used, so that plain numbers have the decimal point.
ALL_SIGNS = tuple(
    NumberSigns(decimal, thousands)
    for decimal, others in ((".", ",' "), (",", ".' "))
    for thousands in others
)
PLAIN_SIGNS = NumberSigns()
# With these, only whole numbers without groups are numbers.
UNKNOWN_SIGNS = NumberSigns("")
NUMBER_PATTERN = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
# Like NUMBER_PATTERN, without a sign "+", which Arrow does not cast.
PLAIN_TEXT = r"\A-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\z"
# A pattern that no text matches.
NEVER = r"[^\x00-\x{10FFFF}]"
# Base in which a signature is written: one digit per reading, of which there are six at most.
BASE = 8
# Signatures that a unit can have; the unit's place in UNITS is written before them.
UNIT_BASE = BASE ** len(ALL_SIGNS)
# What the kernel finds in a plain number.
NO_POINT, LIKE_A_GROUP, CERTAIN_POINT = 0, 1, 2


def list_possible_signs(source: SourceRows) -> tuple[NumberSigns, ...]:
    """Return the signs that the keys ``decimal`` and ``thousands`` of a source leave possible."""
    return tuple(
        signs
        for signs in ALL_SIGNS
        if source.decimal in (None, signs.decimal) and source.thousands in (None, signs.thousands)
    )


@dataclass(frozen=True)
class SignedNumbers:
    """Texts under all possible readings.

    Attributes:
        signs: The readings.
        values: float64 (readings, texts), NaN where a text does not fit; a single row stands for
            all readings that fit.
        codes: Signatures that occur or may occur, int64; 0 where no reading fits. Each reading has
            a digit: 0 if it does not fit, else 1 + the first reading with the same value. The
            place of the text's unit stands before them.
        labels: Place in ``codes`` of each text's signature.
    """

    signs: tuple[NumberSigns, ...]
    values: np.ndarray
    codes: np.ndarray
    labels: np.ndarray

    @classmethod
    def from_texts(cls, texts: pa.Array, signs: tuple[NumberSigns, ...]) -> SignedNumbers:
        """Read texts with each of the signs."""
        numbers = read_plain_texts(texts, signs)
        if numbers is not None:
            return numbers
        units = UnitTexts.from_texts(texts)
        numbers = cls._from_numbers(units.numbers, signs)
        if not units.places.any():
            return numbers
        unitless = numbers.signatures
        codes = np.where(unitless > 0, unitless + UNIT_BASE * units.places, 0)
        return cls(signs, numbers.values, *np.unique(codes, return_inverse=True))

    @classmethod
    def _from_numbers(cls, texts: pa.Array, signs: tuple[NumberSigns, ...]) -> SignedNumbers:
        """Read texts that have no units with each of the signs."""
        numbers = read_plain_texts(texts, signs)
        if numbers is not None:
            return numbers
        # Most texts of most columns are plain numbers, and only the others need all patterns.
        trimmed = pc.utf8_trim_whitespace(texts)
        is_plain = pc.fill_null(pc.match_substring_regex(trimmed, PLAIN_TEXT), False).to_numpy(
            zero_copy_only=False
        )
        numbers = read_plain_texts(trimmed.filter(pa.array(is_plain)), signs)
        rest = np.ones(len(texts), bool) if numbers is None else ~is_plain
        others = texts.filter(pa.array(rest))
        values = np.full((len(signs), len(texts)), np.nan)
        values[:, rest] = np.stack([_parse_numbers(others, pair) for pair in signs])
        signatures = np.zeros(len(texts), np.int64)
        signatures[rest] = _compute_signatures(values[:, rest])
        if numbers is not None:
            values[:, is_plain], signatures[is_plain] = numbers.values, numbers.signatures
        return cls(signs, values, *np.unique(signatures, return_inverse=True))

    @property
    def signatures(self) -> np.ndarray:
        """Return the signature of each text."""
        return self.codes[self.labels]

    def count(self, weights: np.ndarray | None = None) -> Counter[int]:
        """Return the number of texts by signature, each counted ``weights`` times."""
        size = len(self.codes)
        if weights is None:
            # Faster than bincount, which converts the labels.
            sums = [np.count_nonzero(self.labels == place) for place in range(size)]
        else:
            sums = np.bincount(self.labels, weights, minlength=size).astype(np.int64).tolist()
        return Counter({code: n for code, n in zip(self.codes.tolist(), sums, strict=True) if n})

    def find_first(self, code: int) -> int:
        """Return the place of the first text with a signature."""
        return int(np.argmax(self.labels == np.flatnonzero(self.codes == code)[0]))

    def resolve(self, choice: SignChoice) -> np.ndarray:
        """Return each text's number by a choice, NaN where it does not fit or is ambiguous."""
        numbers = self.values[min(choice.place, len(self.values) - 1)]
        # One row of values stands for all readings, but not all of them fit every text.
        if choice.place:
            digit = self.codes // BASE ** (len(self.signs) - 1 - choice.place) % BASE
            numbers = np.where((digit > 0)[self.labels], numbers, np.nan)
        readable = np.isin(self.codes // UNIT_BASE, choice.units.places)
        if not readable.all():
            numbers = np.where(readable[self.labels], numbers, np.nan)
        if not choice.ambiguous:
            return numbers
        return np.where(self.mask_ambiguous(choice), np.nan, numbers)

    def mask_ambiguous(self, choice: SignChoice) -> np.ndarray:
        """Return a mask of the texts that can be read two ways."""
        return np.isin(self.codes, np.array(sorted(choice.ambiguous), np.int64))[self.labels]

    def mask_other_units(self, choice: SignChoice) -> np.ndarray:
        """Return a mask of the numbers that have another unit than the column."""
        readable = np.isin(self.codes // UNIT_BASE, choice.units.places)
        return ((self.codes > 0) & ~readable)[self.labels]

    def take(self, places: np.ndarray) -> SignedNumbers:
        """Return the texts at some places."""
        return replace(self, values=self.values[:, places], labels=self.labels[places])


@dataclass(frozen=True)
class SignChoice:
    """The signs in a column, as the signatures of its texts decide.

    Attributes:
        place: Place of the chosen signs among the possible ones.
        signs: The chosen signs.
        evident: Those of them that texts or the config show; one that nothing shows is empty.
        other: Signs that fit as well and give other numbers; None if the choice is certain.
        ambiguous: Signatures of the texts on which the two disagree.
        ambiguous_cells: Number of cells with such a text.
        units: The unit of the numbers, and the number of cells with each unit.
    """

    place: int
    signs: NumberSigns
    evident: NumberSigns = UNKNOWN_SIGNS
    other: NumberSigns | None = None
    ambiguous: frozenset[int] = frozenset()
    ambiguous_cells: int = 0
    units: UnitChoice = NO_UNIT


def choose_signs(
    counts: Mapping[int, int],
    signs: tuple[NumberSigns, ...],
    limit: float,
    unit: str | None = None,
) -> SignChoice:
    """Return the unit and the signs that fit a column whose signatures have these counts.

    A ``unit`` that is given is that of the column, even if more texts have another one. Texts with
    another unit do not decide on the signs.

    Only texts that distinguish the readings decide. A reading is possible if it misses at most the
    share ``limit`` of them; where none is, all count as possible, so that a column that mixes them
    has no number that another reading contradicts.
    """
    units = choose_unit(count_units(counts))
    units = units if unit is None else replace(units, unit=unit)
    readable = {*units.places}
    digits = {
        code: _split_signature(code, len(signs))
        for code in counts
        if code and code // UNIT_BASE in readable
    }
    telling = {code: fits for code, fits in digits.items() if set(fits) != {1}}
    total = sum(counts[code] for code in telling)
    missed = [
        sum(counts[code] for code, fits in telling.items() if not fits[i])
        for i in range(len(signs))
    ]
    best = int(np.argmin(missed))
    possible = [i for i in range(len(signs)) if missed[i] <= limit * total] or list(
        range(len(signs))
    )
    ambiguous = {
        code for code, fits in telling.items() if len({fits[i] for i in possible} - {0}) > 1
    }
    certain = [digits[code] for code in telling if code not in ambiguous]
    evident = _find_evident_signs(certain, signs, best)
    if not ambiguous:
        return SignChoice(best, signs[best], evident, units=units)
    example = digits[max(ambiguous, key=lambda code: (counts[code], -code))]
    other = next(i for i in possible if example[i] not in (0, example[best] or -1))
    cells = sum(counts[code] for code in ambiguous)
    return SignChoice(best, signs[best], evident, signs[other], frozenset(ambiguous), cells, units)


def count_units(counts: Mapping[int, int]) -> Counter[int]:
    """Return the number of cells with a number by place of the unit in UNITS."""
    cells = Counter[int]()
    for code, n in counts.items():
        if code:
            cells[code // UNIT_BASE] += n
    return cells


def _find_evident_signs(
    certain: list[list[int]], signs: tuple[NumberSigns, ...], best: int
) -> NumberSigns:
    """Return the chosen signs that are the only possible ones, or that a certain text shows.

    A text shows a sign if no reading with another one gives its number.
    """
    chosen = signs[best]
    others = {
        "decimal": [i for i, pair in enumerate(signs) if pair.decimal != chosen.decimal],
        "thousands": [
            i
            for i, pair in enumerate(signs)
            if pair.decimal == chosen.decimal and pair.thousands != chosen.thousands
        ],
    }
    shown = {
        key: not places
        or any(fits[best] and all(fits[i] != fits[best] for i in places) for fits in certain)
        for key, places in others.items()
    }
    return NumberSigns(*(getattr(chosen, key) if shown[key] else "" for key in others))


def parse_signed_numbers(texts: pa.Array, signs: NumberSigns) -> np.ndarray:
    """Return the finite number of each text written with these signs, NaN for any other text.

    It may have a unit.
    """
    return _parse_numbers(UnitTexts.from_texts(texts).numbers, signs)


def _parse_numbers(texts: pa.Array, signs: NumberSigns) -> np.ndarray:
    """Return the finite numbers of texts without units.

    Digits may be grouped from the right in threes, all or none of them, and the first group does
    not begin with 0.
    """
    texts = pc.utf8_trim_whitespace(texts)
    for characters in (GROUPING_SPACES, GROUPING_APOSTROPHES):
        for other in characters[1:]:
            texts = pc.replace_substring(texts, other, characters[0])
    group = re.escape(signs.thousands)
    point = re.escape(signs.decimal) if signs.decimal else NEVER
    patterns = [rf"[+-]?(?:[0-9]+(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][+-]?[0-9]+)?"]
    if signs.thousands:
        patterns.append(rf"[+-]?[1-9][0-9]{{0,2}}(?:{group}[0-9]{{3}})+(?:{point}[0-9]*)?")
    fits = pc.match_substring_regex(texts, rf"\A(?:{'|'.join(patterns)})\z")
    if signs.thousands:
        texts = pc.replace_substring(texts, signs.thousands, "")
    if signs.decimal:
        texts = pc.replace_substring(texts, signs.decimal, ".")
    texts = pc.if_else(fits, texts, pa.scalar(None, pa.string()))
    return to_float_array(parse_plain_numbers(pa.chunked_array([texts])))


def parse_plain_numbers(column: pa.ChunkedArray) -> pa.Array:
    """Return each value's number, null if it is none or too large; -0.0 becomes 0.0."""
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        number = column.cast(pa.float64(), safe=False)
        return pc.add(set_null(number, pc.invert(pc.is_finite(number))), 0.0).combine_chunks()
    with suppress(pa.ArrowInvalid):  # fast path: most columns are all numbers
        return parse_plain_numbers(to_plain_text(to_text(column)).cast(pa.float64()))
    number = "CASE WHEN regexp_full_match(trim(text), $number) THEN try_cast(text AS DOUBLE) END"
    finite = f"CASE WHEN isfinite({number}) THEN {number} + 0.0 END"
    text = f"SELECT {finite} AS number FROM rows ORDER BY nr"  # noqa: S608 - our own expression
    return run_query(
        text,
        {"number": NUMBER_PATTERN},
        rows=pa.table(
            {"nr": pa.array(np.arange(len(column))), "text": to_plain_text(to_text(column))}
        ),
    )["number"].combine_chunks()


def to_float_array(numbers: pa.Array) -> np.ndarray:
    """Return float64 with NaN for null."""
    return pc.fill_null(numbers, np.nan).to_numpy(zero_copy_only=False)


def read_plain_texts(texts: pa.Array, signs: tuple[NumberSigns, ...]) -> SignedNumbers | None:
    """Return texts that are all plain numbers with a decimal point; None if any is not.

    This is the common case, in which nothing but the points must be looked at.
    """
    if signs[0].decimal != "." or texts.null_count:
        return None
    try:
        number = to_float_array(texts.cast(pa.float64()))
    except pa.ArrowInvalid:
        return None
    if not np.isfinite(number).all():
        return None
    kinds = np.zeros(len(texts), np.int8)
    data, ends = get_text_buffers(texts)
    # Whole numbers, and signs that the config fixes, need no look at each text.
    if any(pair.decimal == "," for pair in signs) and (data[ends[:1][0] : ends[-1]] == 46).any():
        _classify_points(data, ends, kinds)
    codes = np.array([_describe_plain(kind, signs) for kind in range(3)], np.int64)
    values = number + 0.0
    grouped = kinds == LIKE_A_GROUP
    if not grouped.any():
        # One row stands for all readings: they differ in nothing that fits.
        return SignedNumbers(signs, values[None, :], codes, kinds)
    rows = np.tile(values, (len(signs), 1))
    for i, pair in enumerate(signs):
        if pair.decimal == ",":
            joined = pc.replace_substring(texts.filter(pa.array(grouped)), ".", "")
            rows[i] = np.where(kinds == NO_POINT, values, np.nan)
            if pair.thousands == ".":
                rows[i, grouped] = joined.cast(pa.float64()).to_numpy()
    return SignedNumbers(signs, rows, codes, kinds)


def _describe_plain(kind: int, signs: tuple[NumberSigns, ...]) -> int:
    """Return the signature of a plain number with a point of this kind, or none."""
    digits = []
    for i, pair in enumerate(signs):
        if kind == NO_POINT or pair.decimal == ".":
            digits.append(1)
        else:
            grouped = kind == LIKE_A_GROUP and pair.thousands == "."
            digits.append(i + 1 if grouped else 0)
    return _join_signature(digits)


def _compute_signatures(values: np.ndarray) -> np.ndarray:
    """Return the signature of each column of (readings, texts)."""
    codes, first = np.zeros(values.shape[1], np.int64), np.zeros(values.shape, np.int64)
    for i in range(len(values)):
        fits = ~np.isnan(values[i])
        digit = np.where(fits, i + 1, 0)
        for j in range(i - 1, -1, -1):
            digit = np.where(fits & (values[j] == values[i]), first[j], digit)
        first[i] = digit
        codes = codes * BASE + digit
    return codes


def _join_signature(digits: list[int]) -> int:
    code = 0
    for digit in digits:
        code = code * BASE + digit
    return code


def _split_signature(code: int, size: int) -> list[int]:
    return [code // BASE ** (size - 1 - i) % BASE for i in range(size)]


@jit_kernel
def _classify_points(data: np.ndarray, ends: np.ndarray, kinds: np.ndarray) -> None:
    """Find plain numbers whose decimal point could group digits: 1.200, but not 0.200 or 1.2."""
    for i in range(len(kinds)):
        kinds[i] = _classify_point(data, ends[i], ends[i + 1])


@jit_inline
def _classify_point(data: np.ndarray, first: int, last: int) -> int:
    # Two decimals are the most frequent, so the point of most texts needs no search.
    if last - first >= 3 and data[last - 3] == 46:
        return CERTAIN_POINT
    point = first
    while point < last and data[point] != 46:
        point += 1
    if point == last:
        return NO_POINT
    while data[first] == 32 or data[first] == 45:
        first += 1
    while data[last - 1] == 32:
        last -= 1
    if not 1 <= point - first <= 3 or data[first] == 48 or last - point != 4:
        return CERTAIN_POINT
    # An exponent is no group of three digits.
    for at in range(point + 1, last):
        if not 48 <= data[at] <= 57:
            return CERTAIN_POINT
    return LIKE_A_GROUP
