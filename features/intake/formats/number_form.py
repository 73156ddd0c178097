"""Form of a source's numbers: their decimal and thousands characters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import astuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.source_rows import GROUPING_APOSTROPHES, GROUPING_SPACES, SourceRows
from features.intake.formats.number_signs import ALL_SIGNS, parse_signed_numbers
from features.readings.columns import ColumnReading, NumberSigns
from features.readings.source_form import FormEntry

SIGN_KEYS = ("decimal", "thousands")
# Characters that are written for one sign.
GROUPS = (GROUPING_SPACES, GROUPING_APOSTROPHES)


def list_sign_entries(
    source: SourceRows, column: str, signs: NumberSigns, evidence: dict[str, str]
) -> Iterator[FormEntry]:
    """Yield an entry for each sign that the numbers of a column show or the config gives.

    ``signs`` are those that are evident, empty otherwise; ``evidence`` is by sign.
    """
    for key in SIGN_KEYS:
        sign = getattr(signs, key)
        if sign and getattr(source, key) is not None:
            yield FormEntry(key, column, repr(sign), "config")
        elif sign and sign in evidence:
            yield FormEntry(key, column, repr(sign), "proven", evidence[sign])


def list_attribute_signs(
    source: SourceRows, readings: Iterable[ColumnReading]
) -> Iterator[FormEntry]:
    """Yield the entries about all attributes of a source that are read as numbers."""
    for reading in readings:
        if reading.stored.kind == "number" and reading.problem is None:
            signs = reading.stored.signs
            examples = {
                sign: _find_example(reading, sign) for sign in (signs.decimal, signs.thousands)
            }
            evidence = {sign: text for sign, text in examples.items() if text}
            yield from list_sign_entries(source, reading.name, signs, evidence)


def _find_example(reading: ColumnReading, sign: str) -> str:
    """Return the first written value that has a sign, with its place; empty if none has.

    A value that no other sign explains comes before one that two signs explain.
    """
    written = reading.written
    if not sign or not pa.types.is_dictionary(written.type):
        return ""
    pattern = f"[{re.escape(next((group for group in GROUPS if sign in group), sign))}]"
    has_sign = pc.match_substring_regex(written.dictionary, pattern)
    texts = written.dictionary.filter(has_sign)
    if not len(texts):
        return ""
    telling = _prefer_certain(texts, sign)
    row = pc.index(pc.is_in(written.cast(pa.string()), value_set=telling), True).as_py()
    if row < 0:
        return ""
    place = reading.locate(row)
    return place if reading.hidden else f"{place}: {written[row].as_py()!r}"


def _prefer_certain(texts: pa.Array, sign: str) -> pa.Array:
    """Return the texts that are numbers only if ``sign`` is used; all of them if there are none."""
    fits = [parse_signed_numbers(texts, signs) for signs in ALL_SIGNS if sign not in astuple(signs)]
    certain = np.isnan(np.array([*fits])).all(axis=0)
    return texts.filter(pa.array(certain)) if certain.any() else texts
