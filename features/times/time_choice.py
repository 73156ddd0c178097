"""Choice of the form in which the times of a column are written, from all its texts.

Each text has a *signature*: which forms fit it, and which of these agree. The signatures of a
column, counted, decide on its form, independent of the order of rows and of how they are
distributed over files. A form is proven if a text fits no other; where two forms fit all texts and
differ, the column is in doubt.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import combinations

import numpy as np
import pyarrow as pa

from configs.forms.time_formats import (
    DAY_FIRST,
    EPOCH_UNITS,
    EXCEL,
    ISO,
    MONTH_FIRST,
    NAMED_FORMATS,
    TICKS,
    YEAR_FIRST,
)
from features.readings.source_form import Origin
from features.times.counted_time import (
    DAYS_1900,
    DIGITS,
    NANOSECONDS,
    NANOSECONDS_OR_TICKS,
    NOT_POSITIVE,
    OTHER,
    SECONDS,
    SINCE_YEAR_1,
    classify_counts,
)
from features.times.time_format import ORDERS, ParsedTimes, TimeFormat, parse_iso, parse_written
from features.times.written_time import FULL_YEAR_FIRST, NAME_FIRST, NAME_SECOND, POINTS, SIGNS
from features.tools.id_index import get_text_buffers
from features.tools.instants import US_PER_DAY

# The first text of a signature: its number among all rows, the text, and file and row in words.
Example = tuple[int, str, str]

# ISO times on the 1st to 12th, whose day could be a month, have a signature of their own.
UNREADABLE_TEXT, ISO_TEXT, LOW_ISO_TEXT = 0, 1, 2
# Texts of each kind from which on it is no chance that a spreadsheet can have swapped one of them.
MIN_SWAPPED = 5
# Signatures of numbers are this plus what they can count; those of written dates have this bit,
# then the shape, a bit for each pair of orders that agree, and a bit for each order that fits.
NUMBER, WRITTEN = 0x10, 0x400
_SHAPE, _PAIR = 6, 3
ORDER_NAMES = tuple(ORDERS)
PAIRS = tuple(combinations(range(len(ORDER_NAMES)), 2))
_UNIT_NAMES = {SECONDS + i: name for i, name in enumerate(EPOCH_UNITS)}
_UNIT_NAMES |= {DAYS_1900: EXCEL, DIGITS: YEAR_FIRST, SINCE_YEAR_1: TICKS}
_SHAPE_NAMES = {FULL_YEAR_FIRST: YEAR_FIRST, NAME_FIRST: MONTH_FIRST, NAME_SECOND: DAY_FIRST}
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


@dataclass(frozen=True)
class FormatAmbiguity:
    """Why a column's form is in doubt.

    Attributes:
        names: The forms that are possible.
        signatures: Of a column that can be read in several ways, those of the texts that differ; of
            one whose texts contradict each other, for each form those that fit no other one.
    """

    names: tuple[str, ...]
    signatures: tuple[frozenset[int], ...]

    @property
    def contradicts(self) -> bool:
        """Return whether texts contradict each other, rather than leave the form open."""
        return len(self.signatures) > 1

    @property
    def is_swapped(self) -> bool:
        """Return whether a spreadsheet seems to have read days as months."""
        return LOW_ISO_TEXT in self.signatures[0]


@dataclass(frozen=True)
class FormatChoice:
    """The form of a column's times.

    Attributes:
        name: Name of the form.
        origin: How it was established.
        shown: Signatures of the texts that establish it.
        ambiguity: Why the form is in doubt, if it is; the texts in doubt are then not read.
        refused: Whether too many texts are in doubt to go on.
    """

    name: str = ISO
    origin: Origin = "proven"
    shown: frozenset[int] = frozenset()
    ambiguity: FormatAmbiguity | None = None
    refused: bool = False


def find_iso_signatures(times: ParsedTimes) -> np.ndarray:
    """Return the signature of each ISO time, int64; that of an unreadable text otherwise."""
    days = (times.wall // US_PER_DAY).astype("datetime64[D]")
    is_low = days - days.astype("datetime64[M]") < np.timedelta64(12, "D")
    return np.where(times.unreadable, UNREADABLE_TEXT, np.where(is_low, LOW_ISO_TEXT, ISO_TEXT))


def sign_texts(texts: pa.Array, candidates: np.ndarray) -> np.ndarray:
    """Return the signature of each text; of no ISO times, only those of a mask are looked at."""
    codes = find_iso_signatures(parse_iso(texts))
    rest = np.flatnonzero((codes == UNREADABLE_TEXT) & candidates)
    if len(rest):
        codes[rest] = find_signatures(texts.take(pa.array(rest)))
    return codes


def find_signatures(texts: pa.Array) -> np.ndarray:
    """Return the signature of each text that is not an ISO time, int64."""
    unit = np.empty(len(texts), np.int8)
    classify_counts(*get_text_buffers(texts), unit)
    codes = np.where(unit > 0, NUMBER + unit, UNREADABLE_TEXT).astype(np.int64)
    rest = np.flatnonzero(unit == 0)
    if len(rest):
        codes[rest] = _find_written(texts.take(pa.array(rest)))
    return codes


def _find_written(texts: pa.Array) -> np.ndarray:
    """Return the signatures of texts that are no plain numbers."""
    parsed = [parse_written(texts, order) for order in ORDERS.values()]
    fits = [~times.unreadable for times, _ in parsed]
    instants = [times.wall - times.offset for times, _ in parsed]
    codes = np.zeros(len(texts), np.int64)
    for place, fit in enumerate(fits):
        codes |= fit.astype(np.int64) << place
    for place, (i, j) in enumerate(PAIRS):
        same = fits[i] & fits[j] & (instants[i] == instants[j])
        codes |= same.astype(np.int64) << (place + _PAIR)
    shape = np.max([shapes for _, shapes in parsed], axis=0).astype(np.int64)
    return np.where(codes > 0, WRITTEN | (shape << _SHAPE) | codes, UNREADABLE_TEXT)


def choose_format(counts: Mapping[int, int], limit: float) -> FormatChoice:
    """Return the form of a column by the number of its texts with each signature.

    ``limit`` is the largest share of texts that may stay unread because they are in doubt, or, in a
    column of numbers, of those that lie in no plausible span.
    """
    total = sum(counts.values())
    numbers = {code: n for code, n in counts.items() if NUMBER < code < WRITTEN and n}
    written = {code: n for code, n in counts.items() if code >= WRITTEN and n}
    if 2 * sum(numbers.values()) > total:
        return _choose_unit(numbers, limit)
    if not written:
        return FormatChoice(shown=frozenset({ISO_TEXT, LOW_ISO_TEXT} & {*counts}))
    if (swapped := _find_swapped(counts, written)) is not None:
        return FormatChoice(ambiguity=swapped, refused=True)
    choice = _choose_order(written)
    if choice.ambiguity is None:
        return choice
    # A few odd cells are bad rows; they need not stop the reading of a column of ISO times.
    refused = sum(written.values()) > limit * total
    return FormatChoice(
        choice.name if refused else ISO, ambiguity=choice.ambiguity, refused=refused
    )


def _find_swapped(counts: Mapping[int, int], written: Mapping[int, int]) -> FormatAmbiguity | None:
    """Return the ambiguity of dates that a spreadsheet has read in the wrong order.

    It took those with a day up to 12 for dates, day and month swapped, and left the others as
    texts.
    """
    enough = min(counts.get(LOW_ISO_TEXT, 0), sum(written.values())) >= MIN_SWAPPED
    if not enough or counts.get(ISO_TEXT, 0):
        return None
    for name, other in ((DAY_FIRST, MONTH_FIRST), (MONTH_FIRST, DAY_FIRST)):
        order, swapped = ORDER_NAMES.index(name), ORDER_NAMES.index(other)
        if all(
            _shape_of(code) in (POINTS, SIGNS)
            and _has_order(code, order)
            and not _has_order(code, swapped)
            for code in written
        ):
            return FormatAmbiguity((ISO, name), (frozenset({LOW_ISO_TEXT}), frozenset(written)))
    return None


def _choose_unit(numbers: Mapping[int, int], limit: float) -> FormatChoice:
    units = sorted(code for code in numbers if code - NUMBER not in (OTHER, NOT_POSITIVE))
    if (both := NUMBER + NANOSECONDS_OR_TICKS) in units:
        either = (NUMBER + NANOSECONDS, NUMBER + SINCE_YEAR_1)
        units = [code for code in units if code != both]
        if not units:
            names = tuple(_UNIT_NAMES[code - NUMBER] for code in either)
            ambiguity = FormatAmbiguity(names, (frozenset({both}),))
            return FormatChoice(names[0], ambiguity=ambiguity, refused=True)
        # Beside numbers that can be one of the two only, it is that one.
        units += [either[0]] if not set(units) & set(either) else []
    names = tuple(_UNIT_NAMES[code - NUMBER] for code in units)
    if len(units) > 1:
        signatures = tuple(frozenset({code}) for code in units)
        return FormatChoice(names[0], ambiguity=FormatAmbiguity(names, signatures), refused=True)
    if not units or numbers.get(NUMBER + OTHER, 0) > limit * sum(numbers.values()):
        return FormatChoice()
    # No file shows which of the two systems its days are of, and the one of 1904 is long gone.
    origin: Origin = "default" if names[0] == EXCEL else "proven"
    return FormatChoice(names[0], origin, frozenset(units))


def _choose_order(written: Mapping[int, int]) -> FormatChoice:
    points = {code for code in written if _shape_of(code) == POINTS}
    signs = {code for code in written if _shape_of(code) == SIGNS}
    orders = range(len(ORDER_NAMES))
    possible = [o for o in orders if all(_has_order(code, o) for code in points | signs)]
    by_points = [o for o in orders if all(_has_order(code, o) for code in points)]
    if not points | signs:
        names = Counter[str]()
        for code, n in written.items():
            names[_SHAPE_NAMES[_shape_of(code)]] += n
        name = min(names, key=lambda name: (-names[name], name))
        return FormatChoice(name, shown=frozenset(written))
    if not possible:
        return _report_contradiction(points | signs)
    day_first = ORDER_NAMES.index(DAY_FIRST)
    # Between points the day comes first wherever dates are written so.
    conventional = day_first in by_points and _find_differing(points, by_points)
    if conventional and day_first not in possible:
        return _report_ambiguity(conventional, by_points, possible)
    if differing := _find_differing(signs, possible):
        return _report_ambiguity(differing, possible)
    if differing := _find_differing(points, possible):
        if day_first not in possible:
            return _report_ambiguity(differing, possible)
        return FormatChoice(DAY_FIRST, "default", frozenset(differing))
    only = frozenset(code for code in points | signs if not _has_other_order(code, possible[0]))
    # Several texts may together leave one order, of which each alone would leave two.
    origin: Origin = "proven" if only or len(possible) == 1 else "open"
    return FormatChoice(ORDER_NAMES[possible[0]], origin, only or frozenset(points | signs))


def _report_ambiguity(codes: set[int], *possible: Iterable[int]) -> FormatChoice:
    """Return the ambiguity about texts that differ in the orders that are possible."""
    orders = sorted({order for part in possible for order in part})
    orders = [o for o in orders if all(_has_order(code, o) for code in codes)]
    names = tuple(ORDER_NAMES[order] for order in orders)
    return FormatChoice(names[0], ambiguity=FormatAmbiguity(names, (frozenset(codes),)))


def _report_contradiction(codes: set[int]) -> FormatChoice:
    """Return the ambiguity about texts of which no order fits all."""
    only = {
        name: frozenset(code for code in codes if not _has_other_order(code, order))
        for order, name in enumerate(ORDER_NAMES)
    }
    by_order = {name: group for name, group in only.items() if group}
    if len(by_order) < 2:
        # Each order is excluded by some text, but not by two that fit a single one each.
        groups = [
            frozenset(c for c in codes if not _has_order(c, o)) for o in range(len(ORDER_NAMES))
        ]
        by_order = {f"not {ORDER_NAMES[o]}": group for o, group in enumerate(groups) if group}
    return FormatChoice(ambiguity=FormatAmbiguity(tuple(by_order), tuple(by_order.values())))


def _find_differing(codes: set[int], orders: list[int]) -> set[int]:
    """Return the signatures of texts that mean different times in two of the orders."""
    pairs = [i for i, (a, b) in enumerate(PAIRS) if a in orders and b in orders]
    return {code for code in codes if any(not code >> (i + _PAIR) & 1 for i in pairs)}


def _has_order(code: int, order: int) -> bool:
    return bool(code >> order & 1)


def _has_other_order(code: int, order: int) -> bool:
    """Return whether a text fits another order, or does not fit this one."""
    return (code & 0b111) != 1 << order


def _shape_of(code: int) -> int:
    return (code & ~WRITTEN) >> _SHAPE


def is_number(codes: np.ndarray) -> np.ndarray:
    """Return a mask of the signatures of plain numbers."""
    return (codes > NUMBER) & (codes < WRITTEN)


def describe_ambiguity(
    ambiguity: FormatAmbiguity,
    counts: Mapping[int, int],
    examples: Mapping[int, Example],
    hidden: bool,
) -> str:
    """Return how many texts are in doubt, with an example of each form."""
    total, parts = sum(counts.values()), []
    says = "are on the 1st to 12th of a month and " if ambiguity.is_swapped else ""
    for names, codes in zip(ambiguity.names, ambiguity.signatures, strict=False):
        _, text, place = min(examples[code] for code in codes)
        cells = f"{sum(counts[code] for code in codes):,} of {total:,} values"
        shown = place if hidden else f"{text!r} in {place}"
        if not ambiguity.contradicts:
            read = " or ".join(
                f"{describe_reading(text, name)} ({name})" for name in ambiguity.names
            )
            read = "" if hidden else f": {read}"
            return f"{cells} can be read two ways, such as {shown}{read}"
        parts.append(f"{cells} {says}fit {names} only, such as {shown}")
        says = says and "are on no such day and "
    swapped = ": a spreadsheet seems to have swapped day and month of the former"
    return ", ".join(parts) + (swapped if says else "")


def suggest_format(ambiguity: FormatAmbiguity, key: str, column: str) -> str:
    """Return how to settle the form of a column of the source with a config key."""
    if ambiguity.is_swapped:
        return (
            "export the dates again, without opening the file in a spreadsheet program; if they "
            f"are right, write all of them in one way, or set {key}.time_format: "
            f"{{{column}: {ambiguity.names[1]}}}"
        )
    names = [name for name in ambiguity.names if name in NAMED_FORMATS]
    forms = " or ".join(f"{key}.time_format: {{{column}: {name}}}" for name in names[:2])
    if ambiguity.contradicts:
        return (
            "write all of them in one way, or give each file a source of its own"
            f"{f'; {forms} sets the others aside' if forms else ''}"
        )
    return f"set {forms}"


def explain_choice(choice: FormatChoice, example: Example, hidden: bool) -> str:
    """Return the text that establishes a form, or why the form is used if none proves it."""
    _, text, place = example
    shown = place if hidden else f"{place}: {text!r}"
    if choice.origin == "open":
        return f"{shown} in any order"
    if choice.origin != "default":
        return shown
    means = "" if hidden else f" means {describe_reading(text, choice.name)}"
    if choice.name == EXCEL:
        return f"{shown}{means}, counted from 1900 as usual"
    return f"{shown}{means}: between points the day comes first"


def describe_reading(text: str, name: str) -> str:
    """Return what a text means in a form, such as “2 January 2024”."""
    times = TimeFormat(name).parse(pa.array([text], pa.string()))
    if times.unreadable[0]:
        return "no time"
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(times.wall[0]))
    clock = f" {moment:%H:%M}" if moment.hour or moment.minute else ""
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}{clock}"
