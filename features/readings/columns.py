"""How a column was read: its kind, the signs in its numbers, and the cells that do not fit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import pyarrow as pa

from configs.errors import DataError
from configs.forms.time_formats import ISO
from configs.names import AUTO
from configs.source_rows import ColumnKind
from features.readings.source_form import FormEntry

# Returns file and row of the value at a position of a column, in words.
Locator = Callable[[int], str]
# Replacement of a personal value.
MASK = "***"


@dataclass(frozen=True)
class NumberSigns:
    """Signs in written numbers.

    Attributes:
        decimal: Sign before the decimals; empty if unknown.
        thousands: Sign between groups of three digits; empty if digits are never grouped. A space
            stands for no-break spaces too.
    """

    decimal: str = "."
    thousands: str = ""

    def __str__(self) -> str:
        """Return the signs in the form of the config."""
        signs = {"decimal": self.decimal, "thousands": self.thousands}
        return ", ".join(f"{key}: {sign!r}" for key, sign in signs.items() if sign)


@dataclass(frozen=True)
class ReadingRules:
    """What the config says about the columns of one source.

    Attributes:
        key: Config key of the source, such as ``sources.leads``.
        signs: Signs in numbers that are possible, the preferred ones first.
        limit: Largest share of a column's values that may not fit its kind.
        kinds: Declared kinds by name of the column.
        names: Categories that the config lists, so that they are no near-twins of others.
        time_format: Form of the times, for all columns or by name of the column.
    """

    key: str
    signs: tuple[NumberSigns, ...]
    limit: float
    kinds: Mapping[str, ColumnKind] = field(default_factory=dict)
    names: Collection[str] = ()
    time_format: str | Mapping[str, str] = AUTO


@dataclass(frozen=True)
class Misfits:
    """Values of a column that do not fit a kind.

    Attributes:
        cells: Number of cells with such a value.
        total: Number of cells with any value.
        text: The most frequent of these values, ties by text.
        text_cells: Number of cells with it.
        place: File and row of the first of these cells.
    """

    cells: int
    total: int
    text: str
    text_cells: int
    place: str

    def __str__(self) -> str:
        """Return counts and example."""
        repeated = f", {self.text_cells:,} times, first" if self.text_cells > 1 else ""
        return (
            f"{self.cells:,} of {self.total:,} values, such as {self.text!r}{repeated} in "
            f"{self.place}"
        )


@dataclass(frozen=True)
class StoredReading:
    """Kind, number signs, unit and form of dates for an attribute, stored with a model.

    Attributes:
        kind: Kind of the column.
        signs: Signs in its numbers.
        time_format: Form of its dates.
        unit: Unit of its numbers, such as ``€``; empty for none.
    """

    kind: ColumnKind
    signs: NumberSigns = NumberSigns()
    time_format: str = ISO
    unit: str = ""

    def agrees_with(self, other: StoredReading) -> bool:
        """Return whether a column of the other kind has values of this one's meaning."""
        # Truths are the numbers 1 and 0.
        return self.kind == other.kind or {self.kind, other.kind} == {"number", "truth"}


@dataclass(frozen=True)
class ColumnReading:
    """The reading of one attribute.

    Attributes:
        name: Name of the attribute.
        rules: Rules of its source.
        stored: Kind of the column, by most of its values or as declared, and signs in its numbers.
        problem: The error to raise if the column is used and no model settles its kind; None if the
            reading is certain.
        warnings: One line for each doubtful reading.
        written: Values as written, one per row that was read.
        locate: Returns file and row of the value at a position of ``written``, in words.
        hidden: No value may appear in a message.
        form: The form in which its dates are written, if it has dates.
    """

    name: str
    rules: ReadingRules
    stored: StoredReading
    written: pa.Array = field(repr=False, compare=False)
    locate: Locator = field(repr=False, compare=False)
    problem: DataError | None = field(default=None, compare=False)
    warnings: tuple[str, ...] = ()
    hidden: bool = False
    form: tuple[FormEntry, ...] = ()


@dataclass(frozen=True)
class Readings:
    """The readings of all attributes of a data set.

    Attributes:
        columns: Reading by attribute, of the leads source and of histories.
        entities: Ids of the leads as they were read, to which ``written`` of the leads' attributes
            is parallel.
    """

    columns: Mapping[str, ColumnReading] = field(default_factory=dict)
    entities: pa.ChunkedArray | None = None

    def require_certain(self, names: Iterable[str]) -> None:
        """Raise the DataError of the first of these attributes whose reading is in doubt."""
        for name in names:
            reading = self.columns.get(name)
            if reading is not None and reading.problem is not None:
                raise reading.problem

    def trust(self, names: Iterable[str]) -> Readings:
        """Return the readings without the doubts and warnings about these attributes."""
        trusted = {
            name: replace(self.columns[name], problem=None, warnings=())
            for name in names
            if name in self.columns
        }
        return replace(self, columns={**self.columns, **trusted})

    def list_changes(self, stored: Mapping[str, StoredReading]) -> Iterator[tuple[str, str]]:
        """Yield attribute and finding where the values alone would be read unlike at training."""
        for name, before in stored.items():
            reading = self.columns.get(name)
            if reading is None or not len(reading.written):
                continue
            if reading.problem is not None:
                yield name, f"read as {before.kind}, as in training: {reading.problem.found}"
            elif not before.agrees_with(reading.stored) and reading.written.null_count < len(
                reading.written
            ):
                yield (
                    name,
                    f"read as {before.kind}, as in training; now it is {reading.stored.kind}",
                )
