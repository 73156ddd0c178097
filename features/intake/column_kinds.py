"""Kind of an attribute by the bulk of its values: number, truth, date or category.

A value that does not fit a column's kind is missing, counted and named in a warning. Beyond
``sources.max_unreadable_cells`` the column is a category where the values that fit are no majority;
else its reading is in doubt, and using it raises the error that says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import ConfigError, DataError, join_names
from configs.forms.time_formats import ISO
from configs.schema import Project
from configs.source_rows import AttributeRows, ColumnKind, LeadRows
from configs.suggestions import did_you_mean
from features.intake.formats.date_form import (
    DateForm,
    describe_text_dates,
    find_date_form,
    make_date_error,
)
from features.intake.formats.kind_doubts import (
    ParsedKinds,
    describe_misfits,
    list_misfit_warnings,
    make_kind_error,
)
from features.intake.formats.number_signs import (
    PLAIN_SIGNS,
    UNKNOWN_SIGNS,
    SignedNumbers,
    choose_signs,
    list_possible_signs,
    to_float_array,
)
from features.intake.formats.number_units import differ_in_meaning
from features.intake.formats.texts import is_text_column, to_plain_text, to_text
from features.intake.reading import RawRows, describe_place
from features.intake.values import (
    LEADING_ZERO_PATTERN,
    NOT_FINITE_PATTERN,
    infer_attribute,
    parse_days,
)
from features.names.twins import describe_twins, find_text_twins
from features.readings.columns import (
    ColumnReading,
    Locator,
    NumberSigns,
    ReadingRules,
    StoredReading,
)
from features.times.time_format import TimeFormat
from features.tools.distinct_texts import DistinctTexts

# A column needs this share of values of one length for numbers with leading zeros to be codes of
# a fixed length, such as postal codes.
FIXED_LENGTH_SHARE = 0.95
PARSED_KINDS: tuple[ColumnKind, ...] = ("number", "truth", "date")


def make_rules(
    project: Project, source: LeadRows | AttributeRows, key: str, names: Iterable[str]
) -> ReadingRules:
    """Return the rules for the columns of a source.

    ``names`` are the names that its key ``kinds`` may use; raise ConfigError for another.
    """
    known = list(names)
    if unknown := sorted(set(source.kinds) - set(known)):
        raise ConfigError(
            "a kind is declared for a column that does not exist",
            where=f"{project.path}: {key}.kinds.{unknown[0]}",
            found=f"there are {join_names(known, 20) or 'no columns'}",
            fix=did_you_mean(unknown[0], known) or "name an attribute, or remove it",
        )
    limit, formats = project.sources.max_unreadable_cells, source.time_format
    # Who says how the times of a column are written says that it has some.
    dates: dict[str, ColumnKind] = {
        name: "date" for name in known if not isinstance(formats, str) and name in formats
    }
    kinds, signs = {**dates, **source.kinds}, list_possible_signs(source)
    return ReadingRules(key, signs, limit, kinds, tuple(source.names), formats)


def make_locator(raw: RawRows, nr: pa.ChunkedArray) -> Locator:
    """Return a function that gives file and row of the value at a position.

    ``nr`` holds the number of each position among the raw rows.
    """
    places = nr.to_numpy()
    return lambda at: describe_place(raw.table, places[at])


def list_warnings(readings: Mapping[str, ColumnReading]) -> tuple[str, ...]:
    """Return the warnings about all columns of a source."""
    return tuple(line for reading in readings.values() for line in reading.warnings)


def read_attribute(
    name: str,
    column: pa.ChunkedArray,
    rules: ReadingRules,
    locate: Locator,
    *,
    typed: bool = False,
    hidden: bool = False,
) -> tuple[pa.Array, ColumnReading]:
    """Return a column as float64 or text, and its reading.

    ``column`` is cleaned; ``typed`` says that the source gives it a type other than text, so that
    its numbers have the usual signs. With ``hidden`` no value appears in a message. A column in
    doubt is returned as text.
    """
    declared = rules.kinds.get(name)
    if not is_text_column(column):
        values = infer_attribute(column)
        # A type of its own says nothing about signs in texts.
        stored = StoredReading(_name_typed_kind(column.type), UNKNOWN_SIGNS)
        if pa.types.is_floating(values.type) and (
            declared is None or stored.agrees_with(StoredReading(declared))
        ):
            written = column.combine_chunks()
            return values, ColumnReading(name, rules, stored, written, locate, hidden=hidden)
        column = to_text(column)
    texts = to_plain_text(column).combine_chunks()
    distinct = DistinctTexts.from_column(texts)
    written, stored = distinct.to_array(), StoredReading("category")
    reading = ColumnReading(name, rules, stored, written, locate, hidden=hidden)
    if declared == "category":
        return texts, replace(reading, warnings=_warn_about_twins(reading, distinct))
    parsed = _parse_kinds(distinct, (PLAIN_SIGNS,) if typed else rules.signs, rules.limit)
    dates = DateForm()
    if declared == "date" or not parsed.fits["number"].all():
        dates = find_date_form(name, distinct, rules, locate, hidden=hidden)
        parsed = _parse_dates(parsed, distinct, dates.name) if dates.name != ISO else parsed
    return _settle_kind(reading, distinct, parsed, dates)


def _settle_kind(
    reading: ColumnReading, distinct: DistinctTexts, parsed: ParsedKinds, dates: DateForm
) -> tuple[pa.Array, ColumnReading]:
    """Return texts in the kind of most of them, and the reading; texts if it is in doubt."""
    rules, texts = reading.rules, distinct.to_array().cast(pa.string())
    declared = rules.kinds.get(reading.name)
    kind, uncertain = _decide_kind(distinct, parsed, rules.limit, declared)
    stored = StoredReading(kind, parsed.choice.evident)
    if kind == "number":
        stored = replace(stored, unit=parsed.choice.units.unit)
    if kind == "date":
        stored = replace(stored, time_format=dates.name)
        reading = replace(reading, form=dates.entries)
    reading = replace(reading, stored=stored)
    if uncertain:
        problem = make_kind_error(reading, distinct, parsed, kind, declared)
        if kind == "date" and dates.ambiguity:
            problem = make_date_error(reading.name, rules, dates)
        return texts, replace(reading, problem=problem)
    if kind == "category":
        warnings = _warn_about_twins(reading, distinct)
        if dates.ambiguity:
            warnings += (describe_text_dates(reading.name, rules, dates),)
        return texts, replace(reading, warnings=warnings)
    reading = replace(reading, warnings=tuple(list_misfit_warnings(reading, distinct, parsed)))
    return distinct.spread(parsed.values[kind]), reading


def settle_reading(reading: ColumnReading, stored: StoredReading) -> StoredReading:
    """Return kind and signs in which a model reads a column: its own kind, if the column fits it.

    Signs are the column's own where they are certain, since a file may be written in other signs
    than the one of the training. Raises DataError if more values than the config allows do not fit,
    or if numbers have another unit.
    """
    certain = reading.problem is None
    if stored.kind == "category":
        return stored
    if certain and reading.stored.agrees_with(stored):
        _require_unit(reading, stored)
        return replace(reading.stored, unit=reading.stored.unit or stored.unit)
    distinct = DistinctTexts.from_column(_to_texts(reading.written))
    parsed = _parse_kinds(
        distinct, (stored.signs,), reading.rules.limit, stored.time_format, stored.unit or None
    )
    stored = replace(stored, unit=parsed.choice.units.unit)
    fits = parsed.fits[stored.kind]
    misfits = describe_misfits(distinct, fits, reading.locate, reading.hidden)
    if misfits is None or misfits.cells <= reading.rules.limit * misfits.total:
        return stored
    now_read_as = "a doubtful mixture" if not certain else f"a {reading.stored.kind}"
    raise DataError(
        f"an attribute was a {stored.kind} when the model was trained, and is {now_read_as} now",
        where=f"{reading.rules.key}: {reading.name}",
        found=f"{misfits} do not fit",
        fix=f"correct the source, list the texts in {reading.rules.key}.missing, raise "
        f"sources.max_unreadable_cells ({reading.rules.limit:g}), or train again",
    )


def _require_unit(reading: ColumnReading, stored: StoredReading) -> None:
    """Raise DataError if the numbers of a column have another unit than at training."""
    unit, before = reading.stored.unit, stored.unit
    if not reading.written.null_count < len(reading.written) or not differ_in_meaning(unit, before):
        return
    raise DataError(
        "an attribute has another unit than when the model was trained",
        where=f"{reading.rules.key}: {reading.name}",
        found=f"{unit!r} now, {before!r} then" if unit else f"no unit now, {before!r} then",
        fix="convert the numbers to the unit of the training, or train again",
    )


def parse_as(column: pa.Array | pa.ChunkedArray, stored: StoredReading) -> pa.Array:
    """Return written values in a kind: text for a category, else float64, null if unfit."""
    texts = _to_texts(column)
    if stored.kind == "category":
        return texts
    distinct = DistinctTexts.from_column(texts)
    parsed = _parse_kinds(distinct, (stored.signs,), 0, stored.time_format, stored.unit)
    return distinct.spread(parsed.values[stored.kind])


def _to_texts(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    chunked = column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])
    return to_plain_text(to_text(chunked)).combine_chunks()


def _name_typed_kind(kind: pa.DataType) -> ColumnKind:
    timed = pa.types.is_timestamp(kind) or pa.types.is_date(kind)
    return "truth" if pa.types.is_boolean(kind) else "date" if timed else "number"


def _parse_kinds(
    distinct: DistinctTexts,
    signs: tuple[NumberSigns, ...],
    limit: float,
    time_format: str = ISO,
    unit: str | None = None,
) -> ParsedKinds:
    """Return distinct texts in all kinds; numbers with a unit, the most frequent one for None."""
    texts = distinct.texts
    numbers = SignedNumbers.from_texts(texts, signs)
    choice = choose_signs(numbers.count(distinct.counts), signs, limit, unit)
    codes = _match_pattern(texts, LEADING_ZERO_PATTERN) & (numbers.signatures > 0)
    number = np.where(codes, np.nan, numbers.resolve(choice))
    is_number = ~np.isnan(number)
    unknown = np.full(len(texts), np.nan)
    none = np.zeros(len(texts), bool)
    values: dict[ColumnKind, np.ndarray] = {"number": number, "truth": unknown, "date": unknown}
    fits: dict[ColumnKind, np.ndarray] = {"number": is_number, "truth": none, "date": none}
    # The other kinds need a look only where the column is not all numbers.
    if not is_number.all():
        fits["number"] = is_number | _match_pattern(texts, NOT_FINITE_PATTERN)
        lower = pc.utf8_lower(pc.utf8_trim_whitespace(texts))
        values["truth"] = to_float_array(
            pc.case_when(
                pc.make_struct(pc.equal(lower, "true"), pc.equal(lower, "false")), 1.0, 0.0
            )
        )
        fits["truth"] = ~np.isnan(values["truth"])
    parsed = ParsedKinds(numbers, choice, values, fits, codes)
    needs_dates = time_format != ISO or not is_number.all()
    return _parse_dates(parsed, distinct, time_format) if needs_dates else parsed


def _parse_dates(parsed: ParsedKinds, distinct: DistinctTexts, time_format: str) -> ParsedKinds:
    """Return the kinds with the texts as dates in a form."""
    form, texts = TimeFormat(time_format), pa.chunked_array([distinct.texts])
    days = to_float_array(parse_days(texts, form))
    values, fits = {**parsed.values, "date": days}, {**parsed.fits, "date": ~np.isnan(days)}
    return replace(parsed, values=values, fits=fits)


def _match_pattern(texts: pa.Array, pattern: str) -> np.ndarray:
    trimmed = pc.utf8_trim_whitespace(texts)
    return pc.match_substring_regex(trimmed, rf"\A(?:{pattern})\z").to_numpy(zero_copy_only=False)


def _decide_kind(
    distinct: DistinctTexts, parsed: ParsedKinds, limit: float, declared: ColumnKind | None
) -> tuple[ColumnKind, bool]:
    """Return the kind of a column, and whether it is in doubt."""
    total, counts = distinct.total, distinct.counts
    if not total:
        return declared or "number", False
    cells = {kind: int(counts[parsed.fits[kind]].sum()) for kind in PARSED_KINDS}
    # A number in other signs, or in signs that can be read two ways, is a number all the same.
    alike = cells | {"number": int(counts[parsed.fits["number"] | parsed.any_signs].sum())}
    most = max(PARSED_KINDS, key=lambda kind: alike[kind])
    best: ColumnKind = declared or most
    if best == "number" and declared is None and _has_codes(distinct, parsed, limit):
        return "category", False
    if total - cells[best] <= limit * total:
        return best, False
    return (best, True) if declared or alike[best] > total / 2 else ("category", False)


def _has_codes(distinct: DistinctTexts, parsed: ParsedKinds, limit: float) -> bool:
    """Return whether numbers with leading zeros show that a column has codes, such as 00501."""
    counts = distinct.counts
    cells = int(counts[parsed.codes].sum())
    if not cells:
        return False
    if cells > limit * distinct.total:
        return True
    lengths = pc.utf8_length(pc.utf8_trim_whitespace(distinct.texts)).to_numpy()
    wholes = _match_pattern(distinct.texts, "[0-9]+")
    same = wholes & (lengths == np.bincount(lengths[parsed.codes]).argmax())
    return bool(counts[same].sum() >= FIXED_LENGTH_SHARE * distinct.total)


def _warn_about_twins(reading: ColumnReading, distinct: DistinctTexts) -> tuple[str, ...]:
    """Return the warning about categories that a person would take for one, if there are any."""
    subject, key = f"attribute {reading.name} ({reading.rules.key})", reading.rules.key
    twins = find_text_twins(distinct, reading.rules.names)
    return tuple(describe_twins(twins, subject, key, reading.hidden))
