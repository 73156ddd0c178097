"""A source's column of amounts, read piece by piece with one choice of number signs.

A piece alone cannot decide on the signs, and a log may exceed memory. So the first pass reads with
the preferred signs and counts how the texts can be read. Only where all pieces together decide
otherwise is the source read a second time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import DataError
from configs.schema import Project
from configs.source_rows import SourceRows
from features.intake.formats.number_form import SIGN_KEYS, list_sign_entries, select_telling_texts
from features.intake.formats.number_signs import (
    UNIT_BASE,
    SignChoice,
    SignedNumbers,
    choose_signs,
    list_possible_signs,
    parse_signed_numbers,
    read_plain_texts,
)
from features.intake.formats.number_units import select_unit_texts
from features.intake.formats.texts import is_text_column, to_plain_text
from features.intake.reading import RawRows, describe_place
from features.intake.values import WRONG_TYPE, clean_column, parse_numbers
from features.readings.columns import MASK, NumberSigns
from features.readings.source_form import FormEntry
from features.tools.distinct_texts import DistinctTexts


@dataclass
class EventValues:
    """Reader of one source's amounts; its methods may be called from several threads.

    Attributes:
        source: The source of the config.
        name: Column of the values; None if the source has none.
        key: Config key of the source, such as ``sources.events[0]``.
        missing: Texts that mean “no value”.
        signs: Possible signs, the preferred ones first.
        limit: Largest share of values that may be ambiguous.
        hidden: No value may appear in a message.
        choice: Signs with which the values are read.
        role: Key of the source that maps the column.
        counts: Number of values by signature, over all pieces of the current pass.
        examples: For each signature the first value: its number among the rows, text and place.
    """

    source: SourceRows
    name: str | None
    key: str
    missing: tuple[str, ...]
    signs: tuple[NumberSigns, ...]
    limit: float
    hidden: bool
    choice: SignChoice
    role: str = "value"
    counts: Counter[int] = field(default_factory=Counter)
    examples: dict[int, tuple[int, str, str]] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock, repr=False)

    @classmethod
    def from_source(
        cls, project: Project, source: SourceRows, key: str, role: str = "value"
    ) -> EventValues:
        """Return a reader of the column that the key ``role`` of a source maps."""
        name: str | None = getattr(source, role)
        signs = list_possible_signs(source)
        return cls(
            source,
            name,
            key,
            source.list_missing(name),
            signs,
            project.sources.max_unreadable_cells,
            name in project.privacy.personal,
            SignChoice(0, signs[0]),
            role,
        )

    def parse_piece(self, raw: RawRows) -> tuple[pa.Array, pa.Array]:
        """Return the numbers of a piece and the reason for each invalid value, both null for none.

        Numbers that have a type in the source are used directly.
        """
        if self.name is None:
            return parse_numbers(pa.chunked_array([pa.nulls(len(raw.table), pa.float64())]))
        column = raw.column(self.name, "")
        cleaned = clean_column(column, self.missing)
        if not is_text_column(column):
            return parse_numbers(cleaned)
        return self._parse_texts(to_plain_text(cleaned).combine_chunks(), raw)

    def settle_signs(self) -> bool:
        """Choose unit and signs after a pass; return whether the source must be read once more.

        Raises DataError if too many values can be read two ways, or have another unit.
        """
        choice = choose_signs(self.counts, self.signs, self.limit)
        if choice.units.other_cells > self.limit * sum(self.counts.values()):
            raise DataError(
                "numbers have different units",
                where=f"{self.key}.{self.role}: {self.name}",
                found=self._describe_units(choice),
                fix="convert them to one unit, or read the rows of each unit as a source",
            )
        if choice.ambiguous_cells > self.limit * sum(self.counts.values()):
            raise DataError(
                "numbers can be read two ways",
                where=f"{self.key}.{self.role}: {self.name}",
                found=self._describe_ambiguity(choice),
                fix=f"set {self.key}.decimal",
            )
        before, self.choice = self.choice, choice
        return (choice.place, choice.ambiguous, choice.units.unit) != (
            before.place,
            before.ambiguous,
            before.units.unit,
        )

    def reset_counts(self) -> None:
        """Forget the values of a pass, before the next one."""
        self.counts, self.examples = Counter(), {}

    def list_warnings(self) -> Iterator[str]:
        """Yield a line for numbers that can be read two ways, and for those of another unit."""
        if self.choice.units.other_cells:
            yield (
                f"{self.role} {self.name} ({self.key}): numbers have different units, "
                f"{self._describe_units(self.choice)}; one unit is read, the rows of others are in "
                "quarantine"
            )
        if self.choice.ambiguous:
            yield (
                f"{self.role} {self.name} ({self.key}): {self._describe_ambiguity(self.choice)}; "
                f"their rows are in quarantine; set {self.key}.decimal"
            )

    def list_form(self) -> Iterator[FormEntry]:
        """Yield the entries about unit and signs that the values show or the config gives."""
        evident, evidence = self.choice.evident, dict[str, str]()
        certain = sorted(self.examples[code] for code in {*self.examples} - self.choice.ambiguous)
        places = {text: place for _, text, place in reversed(certain)}
        texts = pa.array([text for _, text, _ in certain], pa.string())
        unit = self.choice.units.unit
        telling = {key: select_telling_texts(texts, evident, key) for key in SIGN_KEYS}
        telling["unit"] = select_unit_texts(texts, unit)
        for key, shown in telling.items():
            for text in shown.to_pylist()[:1]:
                evidence[key] = places[text] if self.hidden else f"{places[text]}: {text!r}"
        yield from list_sign_entries(self.source, self.name or "", evident, unit, evidence)

    def _parse_texts(self, texts: pa.Array, raw: RawRows) -> tuple[pa.Array, pa.Array]:
        present = texts.drop_null()
        numbers = read_plain_texts(present, self.signs)
        if numbers is None:
            distinct = DistinctTexts.from_column(present)
            numbers = SignedNumbers.from_texts(distinct.texts, self.signs).take(
                distinct.indices.to_numpy()
            )
        self._count_signatures(numbers, texts, raw)
        values = numbers.resolve(self.choice)
        if not texts.null_count and not np.isnan(values).any():
            return pa.array(values), pa.nulls(len(texts), pa.string())
        number = np.full(len(texts), np.nan)
        valid = texts.is_valid().to_numpy(zero_copy_only=False)
        number[valid] = values
        wrong = pa.array(valid & np.isnan(number))
        problem = pc.if_else(wrong, WRONG_TYPE, pa.scalar(None, pa.string()))
        return pa.array(number, from_pandas=True), problem

    def _count_signatures(self, numbers: SignedNumbers, texts: pa.Array, raw: RawRows) -> None:
        """Count a piece's values by signature, and remember the first value of each."""
        counts = numbers.count()
        examples = {}
        for code in counts:
            row = numbers.find_first(code)
            if texts.null_count:
                row = int(np.flatnonzero(texts.is_valid().to_numpy(zero_copy_only=False))[row])
            place = describe_place(raw.table, row)
            examples[code] = (raw.table["nr"][row].as_py(), texts[row].as_py(), place)
        with self.lock:
            self.counts += counts
            for code, example in examples.items():
                self.examples[code] = min(example, self.examples.get(code, example))

    def _describe_units(self, choice: SignChoice) -> str:
        """Return the units with their counts, and the first value with each."""
        readable = choice.units.places
        firsts = [
            example
            for code, example in self.examples.items()
            if code and code // UNIT_BASE not in readable
        ]
        _, text, place = min(firsts)
        return f"{choice.units}, such as {MASK if self.hidden else repr(text)} in {place}"

    def _describe_ambiguity(self, choice: SignChoice) -> str:
        _, text, place = min(self.examples[code] for code in choice.ambiguous & {*self.examples})
        pairs = [choice.signs, choice.other or choice.signs]
        read = [
            f"{parse_signed_numbers(pa.array([text]), pair)[0]:.15g} with decimal {pair.decimal!r}"
            for pair in pairs
        ]
        shown = f"{MASK} in {place}" if self.hidden else f"{text!r} in {place}: {', '.join(read)}"
        return (
            f"{choice.ambiguous_cells:,} of {sum(self.counts.values()):,} values can be read two "
            f"ways, such as {shown}"
        )
