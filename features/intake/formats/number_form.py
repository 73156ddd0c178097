"""Form of a source's numbers: their decimal and thousands characters, and unit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.source_rows import GROUPING_APOSTROPHES, GROUPING_SPACES, SourceRows
from features.intake.formats.number_signs import ALL_SIGNS, parse_signed_numbers
from features.intake.formats.number_units import UnitTexts, select_unit_texts
from features.readings.columns import ColumnReading, NumberSigns
from features.readings.source_form import FormEntry

SIGN_KEYS = ("decimal", "thousands")
# Characters that are written for one sign.
GROUPS = (GROUPING_SPACES, GROUPING_APOSTROPHES)


def list_sign_entries(
    source: SourceRows,
    column: str,
    signs: NumberSigns,
    unit: str,
    evidence: Mapping[str, str],
) -> Iterator[FormEntry]:
    """Yield an entry for each sign that the numbers of a column show or the config gives.

    ``signs`` are those that are evident, empty otherwise; ``evidence`` is by key of the entry. A
    unit is always shown by the numbers.
    """
    for key in SIGN_KEYS:
        sign = getattr(signs, key)
        if sign and getattr(source, key) is not None:
            yield FormEntry(key, column, repr(sign), "config")
        elif sign and key in evidence:
            yield FormEntry(key, column, repr(sign), "proven", evidence[key])
    if unit and "unit" in evidence:
        yield FormEntry("unit", column, unit, "proven", evidence["unit"])


def list_attribute_form(
    source: SourceRows, readings: Iterable[ColumnReading]
) -> Iterator[FormEntry]:
    """Yield the entries about all attributes of a source that are read as numbers or dates."""
    for reading in readings:
        yield from reading.form
        if reading.stored.kind == "number" and reading.problem is None:
            signs = reading.stored.signs
            unit = reading.stored.unit
            examples = {key: _find_example(reading, key) for key in (*SIGN_KEYS, "unit")}
            evidence = {key: text for key, text in examples.items() if text}
            yield from list_sign_entries(source, reading.name, signs, unit, evidence)


def _find_example(reading: ColumnReading, key: str) -> str:
    """Return the first written value that shows a sign or the unit, with its place; or ""."""
    written = reading.written
    if not pa.types.is_dictionary(written.type):
        return ""
    texts, stored = written.dictionary, reading.stored
    if key == "unit":
        telling = select_unit_texts(texts, stored.unit)
    else:
        telling = select_telling_texts(texts, stored.signs, key)
    row = pc.index(pc.is_in(written.cast(pa.string()), value_set=telling), True).as_py()
    if row < 0:
        return ""
    place = reading.locate(row)
    return place if reading.hidden else f"{place}: {written[row].as_py()!r}"


def select_telling_texts(texts: pa.Array, signs: NumberSigns, key: str) -> pa.Array:
    """Return the texts with a sign that are no numbers with another; without any, all with it."""
    sign = getattr(signs, key)
    if not sign:
        return texts.slice(0, 0)
    pattern = f"[{re.escape(next((group for group in GROUPS if sign in group), sign))}]"
    # A blank or point of the unit is none between digits.
    texts = texts.filter(pc.match_substring_regex(UnitTexts.from_texts(texts).numbers, pattern))
    others = [parse_signed_numbers(texts, pair) for pair in ALL_SIGNS if getattr(pair, key) != sign]
    certain = np.isnan(np.array(others)).all(axis=0)
    return texts.filter(pa.array(certain)) if certain.any() else texts
