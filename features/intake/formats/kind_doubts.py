"""Messages about the kind of an attribute: what makes it uncertain, and what does not fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import DataError
from configs.source_rows import ColumnKind
from features.intake.formats.number_signs import SignChoice, SignedNumbers
from features.readings.columns import MASK, ColumnReading, Locator, Misfits
from features.tools.distinct_texts import DistinctTexts


@dataclass(frozen=True)
class ParsedKinds:
    """Distinct texts as numbers, truths and dates; NaN where a text does not fit.

    Attributes:
        numbers: The texts as numbers, by all possible signs.
        choice: The chosen signs.
        values: float64 by kind.
        fits: Mask of the texts that fit, by kind; NaN and infinity are numbers without a value.
        codes: Mask of numbers with leading zeros, which are no numbers.
    """

    numbers: SignedNumbers
    choice: SignChoice
    values: dict[ColumnKind, np.ndarray]
    fits: dict[ColumnKind, np.ndarray]
    codes: np.ndarray

    @property
    def any_signs(self) -> np.ndarray:
        """Return a mask of the texts that are numbers in any of the possible signs."""
        return (self.numbers.signatures > 0) & ~self.codes


def describe_misfits(
    distinct: DistinctTexts, fits: np.ndarray, locate: Locator, hidden: bool
) -> Misfits | None:
    """Return the texts of a column that do not fit; None if all do.

    The most frequent of them is the example, ties by text, independent of the order of rows.
    """
    cells = np.where(fits, 0, distinct.counts)
    if not cells.any():
        return None
    most = np.flatnonzero(cells == cells.max())
    names = distinct.texts.take(pa.array(most)).to_pylist()
    place = int(most[names.index(min(names))])
    row = pc.index(distinct.indices, pa.scalar(place, distinct.indices.type)).as_py()
    text = MASK if hidden else distinct.texts[place].as_py()
    return Misfits(int(cells.sum()), distinct.total, text, int(cells[place]), locate(row))


def make_kind_error(
    reading: ColumnReading,
    distinct: DistinctTexts,
    parsed: ParsedKinds,
    kind: ColumnKind,
    declared: ColumnKind | None,
) -> DataError:
    """Return the error of a column that is neither clearly of one kind nor a category."""
    rules, choice = reading.rules, parsed.choice
    where = f"{rules.key}: {reading.name}"
    if kind == "number" and choice.ambiguous_cells > rules.limit * distinct.total:
        return make_ambiguity_error(reading, distinct, parsed)
    if kind == "number" and choice.units.other_cells > rules.limit * distinct.total:
        return _make_unit_error(reading, distinct, parsed)
    misfits = describe_misfits(distinct, parsed.fits[kind], reading.locate, reading.hidden)
    what = f"most values are {_PLURALS[kind]}, but too many are not, so the kind is uncertain"
    if declared:
        what = f"too many values are not of the declared kind, {kind}"
    return DataError(
        what,
        where=where,
        found=f"{misfits} do not fit",
        fix=f"correct them, list them in {rules.key}.missing, declare "
        f"{rules.key}.kinds: {{{reading.name}: category}}, or raise "
        f"sources.max_unreadable_cells ({rules.limit:g})",
    )


_PLURALS = {"number": "numbers", "truth": "true or false", "date": "dates"}


def make_ambiguity_error(
    reading: ColumnReading, distinct: DistinctTexts, parsed: ParsedKinds
) -> DataError:
    """Return the error of a column whose numbers can be read two ways."""
    misfits, readings = _describe_ambiguity(reading, distinct, parsed)
    rules = reading.rules
    return DataError(
        "numbers can be read two ways",
        where=f"{rules.key}: {reading.name}",
        found=f"{misfits}: {readings}",
        fix=f"set {rules.key}.decimal, or declare {rules.key}.kinds: {{{reading.name}: category}}",
    )


def _make_unit_error(
    reading: ColumnReading, distinct: DistinctTexts, parsed: ParsedKinds
) -> DataError:
    """Return the error of a column whose numbers have several units."""
    others = parsed.numbers.mask_other_units(parsed.choice)
    misfits = describe_misfits(distinct, ~others, reading.locate, reading.hidden)
    key = reading.rules.key
    return DataError(
        "numbers have different units",
        where=f"{key}: {reading.name}",
        found=f"{parsed.choice.units}: {misfits}",
        fix="convert them to one unit, keep the unit of each row in a column of its own, or "
        f"declare {key}.kinds: {{{reading.name}: category}}",
    )


def _describe_ambiguity(
    reading: ColumnReading, distinct: DistinctTexts, parsed: ParsedKinds
) -> tuple[Misfits, str]:
    """Return the texts that can be read two ways, and the two readings of the example."""
    numbers, choice = parsed.numbers, parsed.choice
    ambiguous = numbers.mask_ambiguous(choice)
    misfits = describe_misfits(distinct, ~ambiguous, reading.locate, hidden=False)
    # Only called where there are some.
    if misfits is None or choice.other is None:
        raise ValueError("no number can be read two ways")
    place = pc.index(distinct.texts, misfits.text).as_py()
    other = numbers.values[numbers.signs.index(choice.other), place]
    first = numbers.values[choice.place, place]
    readings = (
        f"{first:.15g} with decimal {choice.signs.decimal!r}, {other:.15g} with decimal "
        f"{choice.other.decimal!r}"
    )
    if reading.hidden:
        return replace(misfits, text=MASK), "both signs fit"
    return misfits, readings


def list_misfit_warnings(
    reading: ColumnReading, distinct: DistinctTexts, parsed: ParsedKinds
) -> Iterator[str]:
    """Yield a line for values that are missing since they do not fit."""
    kind, key, name = reading.stored.kind, reading.rules.key, reading.name
    misfits = describe_misfits(distinct, parsed.fits[kind], reading.locate, reading.hidden)
    if misfits is not None:
        listed = "" if reading.hidden else f" ({key}.missing: [{misfits.text!r}])"
        fix = f"list them as missing{listed}"
        if parsed.choice.ambiguous_cells:
            # Such a number has a value as soon as a key says which.
            fix = f"set {key}.decimal for numbers that can be read two ways"
        reason, units = "", parsed.choice.units
        if kind == "number" and units.other_cells:
            reason = f" ({units}; one unit is read)"
        yield (
            f"attribute {name} is read as {_PLURALS[kind]}{reason}: {misfits} do not fit and are "
            "missing; "
            f"correct them, {fix}, or declare "
            f"{key}.kinds: {{{name}: category}}"
        )
