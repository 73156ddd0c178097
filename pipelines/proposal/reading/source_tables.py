"""Tables to look at: all rows of a small source, an even sample of a large one."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from configs.errors import ConfigError, DataError
from configs.loading.yaml_file import expand_variables
from configs.source_rows import SourceRows
from features.intake.formats.files import Selection
from features.intake.formats.texts import to_plain_text, to_text
from features.intake.reading import RawRows, SourceReader
from features.intake.values import clean_column
from pipelines.proposal.reading.column_profile import TIME, ColumnProfile, profile_column
from pipelines.proposal.reading.words import count_nouns, load_texts, split_words

# Cells that are kept of a table: enough to see rare values, bounded in memory.
MAX_CELLS = 20_000_000
MIN_SAMPLE_ROWS, MAX_SAMPLE_ROWS = 2_000, 500_000
# A placeholder that so many rows have, such as a choice in a form that was never made.
MIN_PLACEHOLDER_ROWS = 10


@dataclass(frozen=True)
class SourceTable:
    """A source with the columns that were read of it.

    Attributes:
        name: Name in messages: that of the file, or of the table of a database.
        origin: Keys of the config that give its rows: ``path``, or ``database`` and ``query``.
        reader: Reads the source again.
        rows: Number of rows of the source.
        names: Names of the columns.
        columns: Cleaned values of the kept rows by name.
        broken: Number of rows that cannot be read, such as the footer of a report.
    """

    name: str
    origin: dict[str, str]
    reader: SourceReader = field(repr=False)
    rows: int
    names: tuple[str, ...]
    columns: dict[str, pa.ChunkedArray] = field(repr=False)
    broken: int = 0

    @property
    def is_sample(self) -> bool:
        """Return whether fewer rows were kept than the source has."""
        return self.kept + self.broken < self.rows

    @property
    def kept(self) -> int:
        """Return the number of rows that were kept."""
        return len(next(iter(self.columns.values())))

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Return the words of the table's name, without the ending of a file."""
        stem = Path(self.name).name.partition(".")[0] if "path" in self.origin else self.name
        return split_words(stem)

    @cached_property
    def profiles(self) -> dict[str, ColumnProfile]:
        """Return the profile of each column, by name."""
        return {name: profile_column(name, column) for name, column in self.columns.items()}

    def read_as_times(self, name: str) -> ColumnProfile | None:
        """Return the profile of a column whose numbers count seconds or days; None if none do."""
        profile = profile_column(name, self.columns[name], counted=True)
        return profile if profile.kind == TIME else None

    @cached_property
    def placeholders(self) -> tuple[str, ...]:
        """Return the texts of the table that mean “no value”, the most frequent first."""
        counts = dict[str, int]()
        for profile in self.profiles.values():
            for text in load_texts("placeholders"):
                counts[text] = counts.get(text, 0) + profile.counts.get(text, 0)
        # A placeholder of a source holds for all of its columns.
        return tuple(
            sorted(
                (t for t, n in counts.items() if n >= MIN_PLACEHOLDER_ROWS), key=counts.__getitem__
            )
        )

    def read_all(self, *names: str) -> tuple[pa.ChunkedArray, ...]:
        """Return the given columns with all rows of the source.

        Raises the errors of reading a source.
        """
        if not self.is_sample:
            return tuple(self.columns[name] for name in names)
        pieces = self.reader.iter_pieces({name: name for name in names})
        read = [[clean_column(raw.column(name, name), ()) for name in names] for raw in pieces]
        return tuple(_concat_columns([row[i] for row in read]) for i in range(len(names)))


def read_source_table(
    name: str, origin: dict[str, str], scratch: Path, log: Callable[[str], None]
) -> SourceTable:
    """Read a source; ``scratch`` holds the result of a large query.

    Raises the errors of reading a source, and DataError for one without rows or columns.
    """
    reader = open_origin(origin, scratch)
    sampler = _Sampler()
    try:
        for raw in reader.iter_blocks(Selection(), {}):
            sampler.add(raw)
    except DataError as error:
        # The reader's advice is a key of the config, which is still to be written.
        advice = error.fix.replace("sheet: NAME", f"{name}#NAME for the sheet")
        advice = advice.replace("delimiter: ", "--delimiter ")
        raise DataError(error.what, where=error.where, found=error.found, fix=advice) from error
    if not sampler.total or not sampler.names:
        what = "no rows" if sampler.names else "no columns"
        raise DataError(
            f"the file has {what}",
            where=name,
            fix="export it again with a line of headings and one row for each lead or event",
        )
    table = SourceTable(
        name, origin, reader, sampler.total, sampler.names, sampler.collect(), sampler.broken
    )
    sample = f", of which {table.kept:,} are looked at" if table.is_sample else ""
    rows, columns = count_nouns(table.rows, "row"), count_nouns(len(table.names), "column")
    log(f"{name}: {rows}, {columns}{sample}")
    return table


def open_origin(origin: dict[str, str], scratch: Path) -> SourceReader:
    """Return the reader of a path, or of a query on a database.

    Raises ConfigError for an address that is not one, or a variable that is not set.
    """
    where = origin.get("path", "the database")
    expanded = expand_variables(dict(origin), dict(os.environ), where)
    try:
        source = SourceRows.model_validate(expanded)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(
            "not a file or database that can be read",
            where=where,
            found=str(first["msg"]).removeprefix("Value error, "),
            fix=str(first.get("ctx", {}).get("fix", "")) or "give the path of a file",
        ) from None
    return SourceReader.open(source, scratch)


@dataclass
class _Sampler:
    """Keeps each row whose number is a multiple of the step, which doubles as rows come in."""

    total: int = 0
    broken: int = 0
    step: int = 1
    names: tuple[str, ...] = ()
    parts: list[RawRows] = field(default_factory=list)

    def add(self, raw: RawRows) -> None:
        self.names = tuple(dict.fromkeys((*self.names, *raw.names)))
        self.total += len(raw.table)
        self.broken += len(raw.table) - raw.table["broken"].null_count
        self.parts.append(self._thin(raw))
        limit = MAX_CELLS // max(len(self.names), 1)
        limit = min(max(limit, MIN_SAMPLE_ROWS), MAX_SAMPLE_ROWS)
        while sum(len(part.table) for part in self.parts) > limit:
            self.step *= 2
            self.parts = [self._thin(part) for part in self.parts]

    def _thin(self, raw: RawRows) -> RawRows:
        if self.step == 1:
            return raw
        return raw.filter_rows(raw.table["nr"].to_numpy() % self.step == 0)

    def collect(self) -> dict[str, pa.ChunkedArray]:
        """Return the cleaned columns of the kept rows that can be read."""
        parts = list[dict[str, pa.ChunkedArray]]()
        for part in self.parts:
            readable = pc.is_null(part.table["broken"])
            rows = part.table if pc.all(readable).as_py() else part.table.filter(readable)
            held = dict(zip(rows.column_names, rows.columns, strict=True))
            places, empty = part.places, pa.chunked_array([pa.nulls(len(rows))])
            parts.append({name: held.get(places.get(name, ""), empty) for name in self.names})
        return {
            name: _concat_columns([clean_column(part[name], ()) for part in parts])
            for name in self.names
        }


def _concat_columns(columns: list[pa.ChunkedArray]) -> pa.ChunkedArray:
    """Return columns one after the other; as text if their types differ."""
    kinds = {column.type for column in columns if not pa.types.is_null(column.type)}
    if len(kinds) > 1:
        columns, kinds = [to_plain_text(to_text(column)) for column in columns], {pa.string()}
    kind = kinds.pop() if kinds else pa.string()
    chunks = [chunk for column in columns for chunk in column.cast(kind).chunks]
    return pa.chunked_array(chunks, kind)
