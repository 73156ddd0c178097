"""Decimal and thousands signs in written numbers: which signs fit a column, and its values.

A number such as ``1.200`` can be read two ways. A column's *readings* are all pairs of signs that
are possible; each text has a *signature*, the readings that fit it and which of them agree. The
signatures of a column, counted, decide on its signs, independent of the order of rows and of how
they are distributed over pieces.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.source_rows import GROUPING_APOSTROPHES, GROUPING_SPACES, SourceRows
from features.intake.formats.texts import set_null, to_plain_text, to_text
from features.readings import NumberSigns
from features.tools.duckdb_sql import run_query
from features.tools.id_index import get_text_buffers
from features.tools.jit import jit_kernel

# The first one that fits is used, so that plain numbers have the decimal point.
ALL_SIGNS = tuple(
    NumberSigns(decimal, thousands)
    for decimal, others in ((".", ",' "), (",", ".' "))
    for thousands in others
)
PLAIN_SIGNS = NumberSigns()
NUMBER_PATTERN = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
# Base in which a signature is written: one digit per reading, of which there are six at most.
BASE = 8
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
        values: float64 (readings, texts), NaN where a text does not fit.
        signatures: Signature of each text, int64; 0 where no reading fits. Each reading has a
            digit: 0 if it does not fit, else 1 + the first reading with the same value.
    """

    signs: tuple[NumberSigns, ...]
    values: np.ndarray
    signatures: np.ndarray

    @classmethod
    def from_texts(cls, texts: pa.Array, signs: tuple[NumberSigns, ...]) -> SignedNumbers:
        """Read texts with each of the signs."""
        numbers = _read_plain(texts, signs)
        if numbers is not None:
            return numbers
        values = np.stack([parse_signed_numbers(texts, pair) for pair in signs])
        return cls(signs, values, _compute_signatures(values))

    def count(self, weights: np.ndarray | None = None) -> Counter[int]:
        """Return the number of texts by signature, each counted ``weights`` times."""
        present, place = np.unique(self.signatures, return_inverse=True)
        sums = np.bincount(place, weights, minlength=len(present))
        return Counter(dict(zip(present.tolist(), sums.astype(np.int64).tolist(), strict=True)))

    def resolve(self, choice: SignChoice) -> np.ndarray:
        """Return each text's number by a choice, NaN where it does not fit or is ambiguous."""
        # One row of values stands for all readings, but not all of them fit every text.
        numbers = self.values[min(choice.place, len(self.values) - 1)]
        if choice.place:
            digit = self.signatures // BASE ** (len(self.signs) - 1 - choice.place) % BASE
            numbers = np.where(digit > 0, numbers, np.nan)
        if not choice.ambiguous:
            return numbers
        return np.where(self.mask_ambiguous(choice), np.nan, numbers)

    def mask_ambiguous(self, choice: SignChoice) -> np.ndarray:
        """Return a mask of the texts that can be read two ways."""
        return np.isin(self.signatures, np.array(sorted(choice.ambiguous), np.int64))


@dataclass(frozen=True)
class SignChoice:
    """The signs in a column, as the signatures of its texts decide.

    Attributes:
        place: Place of the chosen signs among the possible ones.
        signs: The chosen signs.
        other: Signs that fit as well and give other numbers; None if the choice is certain.
        ambiguous: Signatures of the texts on which the two disagree.
        ambiguous_cells: Number of cells with such a text.
    """

    place: int
    signs: NumberSigns
    other: NumberSigns | None = None
    ambiguous: frozenset[int] = frozenset()
    ambiguous_cells: int = 0


def choose_signs(
    counts: Mapping[int, int], signs: tuple[NumberSigns, ...], limit: float
) -> SignChoice:
    """Return the signs that fit a column whose signatures have these counts.

    Only texts that distinguish the readings decide. A reading is possible if it misses at most the
    share ``limit`` of them; where none is, all count as possible, so that a column that mixes them
    has no number that another reading contradicts.
    """
    digits = {code: _split_signature(code, len(signs)) for code in counts if code}
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
    if not ambiguous:
        return SignChoice(best, signs[best])
    example = digits[max(ambiguous, key=lambda code: (counts[code], -code))]
    other = next(i for i in possible if example[i] not in (0, example[best] or -1))
    cells = sum(counts[code] for code in ambiguous)
    return SignChoice(best, signs[best], signs[other], frozenset(ambiguous), cells)


def parse_signed_numbers(texts: pa.Array, signs: NumberSigns) -> np.ndarray:
    """Return the finite number of each text written with these signs, NaN for any other text.

    Digits may be grouped from the right in threes, all or none of them, and the first group does
    not begin with 0.
    """
    texts = pc.utf8_trim_whitespace(texts)
    for characters in (GROUPING_SPACES, GROUPING_APOSTROPHES):
        for other in characters[1:]:
            texts = pc.replace_substring(texts, other, characters[0])
    decimal, group = re.escape(signs.decimal), re.escape(signs.thousands)
    patterns = [rf"[+-]?(?:[0-9]+(?:{decimal}[0-9]*)?|{decimal}[0-9]+)(?:[eE][+-]?[0-9]+)?"]
    if signs.thousands:
        patterns.append(rf"[+-]?[1-9][0-9]{{0,2}}(?:{group}[0-9]{{3}})+(?:{decimal}[0-9]*)?")
    fits = pc.match_substring_regex(texts, rf"\A(?:{'|'.join(patterns)})\z")
    if signs.thousands:
        texts = pc.replace_substring(texts, signs.thousands, "")
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


def _read_plain(texts: pa.Array, signs: tuple[NumberSigns, ...]) -> SignedNumbers | None:
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
        return SignedNumbers(signs, values[None, :], codes[kinds])
    rows = np.tile(values, (len(signs), 1))
    for i, pair in enumerate(signs):
        if pair.decimal == ",":
            joined = pc.replace_substring(texts.filter(pa.array(grouped)), ".", "")
            rows[i] = np.where(kinds == NO_POINT, values, np.nan)
            if pair.thousands == ".":
                rows[i, grouped] = joined.cast(pa.float64()).to_numpy()
    return SignedNumbers(signs, rows, codes[kinds])


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
        point, last, first = -1, ends[i + 1], ends[i]
        for at in range(first, last):
            if data[at] == 46:
                point = at
                break
        if point < 0:
            continue
        kinds[i] = 2
        while data[first] == 32 or data[first] == 43 or data[first] == 45:
            first += 1
        while data[last - 1] == 32:
            last -= 1
        whole = point - first
        if 1 <= whole <= 3 and data[first] != 48 and last - point == 4:
            kinds[i] = 1
            for at in range(first, last):
                if at != point and not 48 <= data[at] <= 57:
                    kinds[i] = 2
