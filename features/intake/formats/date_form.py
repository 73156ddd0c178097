"""Form of the dates in an attribute: as for times, but a column in doubt is no date."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from configs.errors import DataError
from configs.forms.time_formats import ISO, TEXT_FORMATS, find_time_format
from configs.names import AUTO
from features.readings.columns import Locator, ReadingRules
from features.readings.source_form import FormEntry
from features.times.time_choice import (
    UNREADABLE_TEXT,
    Example,
    FormatChoice,
    choose_format,
    describe_ambiguity,
    explain_choice,
    is_number,
    sign_texts,
)
from features.tools.distinct_texts import DistinctTexts

# A year of two digits could be any number of a code or a version, such as 1.10.23.
FULL_YEAR_PATTERN = "[0-9]{4}"


@dataclass(frozen=True)
class DateForm:
    """The form of the dates in one attribute.

    Attributes:
        name: Name of the form.
        entries: What establishes it.
        ambiguity: Why it is in doubt; empty if it is not.
    """

    name: str = ISO
    entries: tuple[FormEntry, ...] = ()
    ambiguity: str = ""


def find_date_form(
    name: str, distinct: DistinctTexts, rules: ReadingRules, locate: Locator, *, hidden: bool
) -> DateForm:
    """Return the form of the dates in an attribute's texts.

    Plain numbers and years of two digits are dates only in a column that the config declares so.
    """
    form, is_date = find_time_format(rules.time_format, name), rules.kinds.get(name) == "date"
    if form != AUTO and (is_date or form in TEXT_FORMATS or "%" in form):
        return DateForm(form, (FormEntry("time_format", name, form, "config"),))
    plausible = np.ones(len(distinct.texts), bool)
    if not is_date:
        has_year = pc.match_substring_regex(distinct.texts, FULL_YEAR_PATTERN)
        plausible = has_year.to_numpy(zero_copy_only=False)
    codes = sign_texts(distinct.texts, plausible)
    if not is_date:
        codes[is_number(codes)] = UNREADABLE_TEXT
    counts = Counter[int]()
    for code in np.unique(codes).tolist():
        counts[code] = int(distinct.counts[codes == code].sum())
    choice = choose_format(counts, rules.limit)
    readable = sum(n for code, n in counts.items() if code != UNREADABLE_TEXT)
    # Where few values are dates the column is none, in any form.
    if 2 * readable <= distinct.total:
        return DateForm()
    return _describe_choice(name, choice, counts, _find_examples(distinct, codes, locate), hidden)


def _describe_choice(
    name: str,
    choice: FormatChoice,
    counts: Counter[int],
    examples: dict[int, Example],
    hidden: bool,
) -> DateForm:
    if choice.ambiguity is not None:
        ambiguity = describe_ambiguity(choice.ambiguity, counts, examples, hidden)
        return DateForm(ambiguity=ambiguity if choice.refused else "")
    shown = choice.shown & examples.keys()
    if not shown:
        return DateForm(choice.name)
    evidence = explain_choice(choice, min(examples[code] for code in shown), hidden)
    entry = FormEntry("time_format", name, choice.name, choice.origin, evidence)
    return DateForm(choice.name, (entry,))


def _find_examples(
    distinct: DistinctTexts, codes: np.ndarray, locate: Locator
) -> dict[int, Example]:
    """Return the first cell of each signature: its place among the cells, text and row."""
    if not len(codes):
        return {}
    cells = pc.fill_null(distinct.indices, -1).to_numpy(zero_copy_only=False)
    by_cell = np.where(cells >= 0, codes[cells], UNREADABLE_TEXT)
    examples = dict[int, Example]()
    for code in np.unique(codes).tolist():
        if code != UNREADABLE_TEXT:
            row = int(np.argmax(by_cell == code))
            examples[code] = row, distinct.texts[int(cells[row])].as_py(), locate(row)
    return examples


def make_date_error(name: str, rules: ReadingRules, dates: DateForm) -> DataError:
    """Return the error of a column of dates that can be read two ways."""
    return DataError(
        "dates can be read two ways",
        where=f"{rules.key}: {name}",
        found=dates.ambiguity,
        fix=f"set {rules.key}.time_format for {name}, or declare {rules.key}.kinds: "
        f"{{{name}: category}}",
    )


def describe_text_dates(name: str, rules: ReadingRules, dates: DateForm) -> str:
    """Return the warning about a column of dates that is read as text, as they are ambiguous."""
    return (
        f"attribute {name} is read as text: {dates.ambiguity}; set {rules.key}.time_format for it"
    )
