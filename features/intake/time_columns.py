"""Columns of a source that hold times, and the form in which each is written.

A piece alone cannot decide on a form, and a log may exceed memory. So the first piece gives a guess
with which a first pass reads, while the signatures of all texts are counted. Only where all pieces
together decide otherwise is the source read a second time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock

import numpy as np
import pyarrow as pa

from configs.contract import SourceContract
from configs.errors import DataError
from configs.forms.time_formats import find_time_format
from configs.names import AUTO
from configs.schema import Project
from configs.source_rows import AttributeRows, TimedRows
from features.intake.formats.texts import to_supported_type
from features.intake.reading import RawRows, describe_place
from features.intake.values import clean_column, to_trimmed_text
from features.readings.source_form import FormEntry
from features.times.time_choice import (
    Example,
    FormatAmbiguity,
    FormatChoice,
    choose_format,
    describe_ambiguity,
    explain_choice,
    sign_texts,
    suggest_format,
)
from features.times.time_format import TimeFormat


@dataclass
class TimeColumns:
    """The columns of one source; its methods may be called from several threads.

    Attributes:
        source: The source.
        key: Config key of the source, such as ``sources.events[0]``.
        names: Columns whose form is to be found.
        limit: Largest share of a column's texts that may stay unread because they are in doubt.
        hidden: Columns of which no value may appear in a message.
        formats: Form of each column, as its rows carry it.
        counts: Number of texts by signature, over all pieces, by column.
        examples: For each signature the first text: its number among the rows, text and place.
        choices: The choice for each column, once it is settled.
        guessed: Number of the first row of the piece that gave the guess, and is counted; -1 for
            none.
    """

    source: TimedRows
    key: str
    names: tuple[str, ...]
    limit: float
    hidden: frozenset[str]
    formats: dict[str, TimeFormat]
    counts: dict[str, Counter[int]] = field(default_factory=dict)
    examples: dict[str, dict[int, Example]] = field(default_factory=dict)
    choices: dict[str, FormatChoice] = field(default_factory=dict)
    guessed: int = -1
    lock: Lock = field(default_factory=Lock, repr=False)

    @classmethod
    def from_source(
        cls,
        project: Project,
        source: TimedRows,
        key: str,
        contract: SourceContract,
        formats: dict[str, TimeFormat],
    ) -> TimeColumns:
        """Return the columns of times of a source, and those of which its contract bounds dates.

        ``formats`` becomes the form of each column.
        """
        names = [*list_time_columns(source)]
        # A rule of a long history may name an attribute, which is no column.
        if not (isinstance(source, AttributeRows) and source.attribute):
            for name, rules in contract.columns.items():
                names += [name] if any(rule.bounds_dates for rule in rules) else []
        declared = {name: find_time_format(source.time_format, name) for name in names}
        formats.update({n: TimeFormat(form) for n, form in declared.items() if form != AUTO})
        return cls(
            source,
            key,
            tuple(name for name, form in declared.items() if form == AUTO),
            project.sources.max_unreadable_cells,
            frozenset(project.privacy.personal),
            formats,
        )

    def guess(self, raw: RawRows) -> None:
        """Choose the forms by the first piece of a first pass, and count its texts."""
        if self.counts or self.choices:
            return
        self.add(raw)
        self.guessed = _number_piece(raw)
        for name in self.names:
            choice = choose_format(self.counts[name], self.limit)
            self.formats[name] = TimeFormat(choice.name)

    def add(self, raw: RawRows) -> None:
        """Count the texts of a piece in a first pass, unless they were for the guess."""
        if self.choices or (self.guessed >= 0 and self.guessed == _number_piece(raw)):
            return
        for name in self.names:
            counts, examples = self._count_column(raw, name)
            with self.lock:
                self.counts[name] = self.counts.get(name, Counter()) + counts
                known = self.examples.setdefault(name, {})
                for code, example in examples.items():
                    known[code] = min(example, known.get(code, example))

    def settle(self) -> bool:
        """Choose the forms after a pass; return whether the source must be read once more.

        Raises DataError if too many texts of a column are in doubt.
        """
        if self.choices or not self.names:
            return False
        changed = False
        for name in self.names:
            choice = choose_format(self.counts.get(name, {}), self.limit)
            if choice.ambiguity and choice.refused:
                raise self._make_error(name, choice.ambiguity)
            changed |= self.formats.get(name, TimeFormat()).name != choice.name
            self.choices[name], self.formats[name] = choice, TimeFormat(choice.name)
        return changed

    def settle_rows(self, raw: RawRows) -> RawRows:
        """Return all rows of a source with the forms of their times, and these as its form.

        Raises DataError as ``settle``.
        """
        self.add(raw)
        self.settle()
        form = (*raw.form, *self.list_form())
        return replace(raw, time_formats=self.formats, form=form)

    def list_form(self) -> Iterator[FormEntry]:
        """Yield the form of each column of texts, with the text that establishes it."""
        for name, form in self.formats.items():
            if name not in self.names:
                yield FormEntry("time_format", name, form.name, "config")
                continue
            choice, examples = self.choices[name], self.examples.get(name, {})
            if examples and choice.shown & examples.keys():
                example = min(examples[code] for code in choice.shown & examples.keys())
                evidence = explain_choice(choice, example, name in self.hidden)
                yield FormEntry("time_format", name, form.name, choice.origin, evidence)

    def list_warnings(self) -> Iterator[str]:
        """Yield a line for each column in which a few times can be read two ways."""
        for name, choice in self.choices.items():
            if choice.ambiguity is not None:
                yield (
                    f"{self.source.label}: {self.key}: {name}: "
                    f"{self._describe(name, choice.ambiguity)}; their rows are in quarantine; "
                    f"{suggest_format(choice.ambiguity, self.key, name)}"
                )

    def _count_column(self, raw: RawRows, name: str) -> tuple[Counter[int], dict[int, Example]]:
        """Return the number of a column's texts by signature, and the first text of each."""
        column = to_supported_type(raw.column(name, ""))
        if pa.types.is_temporal(column.type) or not len(column):
            return Counter(), {}
        cleaned = clean_column(column, self.source.list_missing(name))
        texts = to_trimmed_text(cleaned).combine_chunks()
        valid = texts.is_valid().to_numpy(zero_copy_only=False)
        codes = sign_texts(texts, valid)
        codes[~valid] = -1
        sums = np.bincount(codes + 1)[1:].tolist()
        counts = Counter({code: n for code, n in enumerate(sums) if n})
        first = {code: int(np.argmax(codes == code)) for code in counts}
        return counts, {code: _show_text(raw, texts, first[code]) for code in counts}

    def _make_error(self, name: str, ambiguity: FormatAmbiguity) -> DataError:
        return DataError(
            "times of one column are written in different ways"
            if ambiguity.contradicts
            else "times can be read two ways",
            where=f"{self.source.label}: {self.key}: {name}",
            found=self._describe(name, ambiguity),
            fix=suggest_format(ambiguity, self.key, name),
        )

    def _describe(self, name: str, ambiguity: FormatAmbiguity) -> str:
        counts, examples = self.counts[name], self.examples[name]
        return describe_ambiguity(ambiguity, counts, examples, name in self.hidden)


def list_time_columns(source: TimedRows) -> Sequence[str]:
    """Return the columns of a source that hold the times of its rows."""
    times = ("created_at", "event_time", "valid_from", "valid_to", "known_at")
    keys = (*times, "date", "revoked_at", "assigned_at")
    # One column may have two meanings.
    return list(dict.fromkeys(name for key in keys if (name := getattr(source, key, None))))


def restore_formats(form: Sequence[FormEntry]) -> dict[str, TimeFormat]:
    """Return the form of the times of each column, as it was found at the first reading."""
    return {entry.column: TimeFormat(entry.value) for entry in form if entry.key == "time_format"}


def _number_piece(raw: RawRows) -> int:
    """Return the number of the first row of a piece; -1 if it has none."""
    return raw.table["nr"][0].as_py() if len(raw.table) else -1


def _show_text(raw: RawRows, texts: pa.Array, row: int) -> Example:
    return raw.table["nr"][row].as_py(), texts[row].as_py(), describe_place(raw.table, row)
