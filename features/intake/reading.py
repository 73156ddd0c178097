"""Raw rows of a source, piece by piece, from files of any format or a query.

A column keeps the type that it has in Parquet, in a workbook or in the database; all other columns
are text. Module ``values`` interprets both by the same rules, so that equal rows give equal tables
in any format.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Self

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import DataError, join_names
from configs.source_rows import SourceRows
from configs.suggestions import did_you_mean
from features.intake.databases.query import read_query
from features.intake.formats.content import check_content
from features.intake.formats.files import (
    RowBlock,
    Selection,
    read_blocks,
)
from features.intake.formats.listing import detect_format, list_files
from features.intake.formats.texts import is_text_type, to_plain_text, to_text
from features.intake.storage.source_file import SourceFile
from features.progress.report import report_progress
from features.readings.source_form import FormEntry
from features.times.time_format import TimeFormat
from features.tools.id_index import contains_nul

LOG = logging.getLogger(__name__)

# Minimum rows of a piece: 1 M rows keep memory bounded and the work per piece efficient. A block of
# a file may have more.
ROWS_PER_PIECE = 1 << 20

# Warnings about the text of files that are listed; a folder may have a file of each day.
MAX_WARNINGS = 6

# The error of a column that the config names and a source lacks.
NO_COLUMN = "no such column"

# Columns of raw rows that are not the source's own.
METADATA_COLUMNS = ("file", "row", "nr", "broken")


@dataclass(frozen=True)
class RawRows:
    """Raw rows of a source, in its order.

    ``table`` has the metadata columns ``file``, ``row`` (line of a text file, else number of the
    row, from 1), ``nr`` (number among all records of the source, from 0) and ``broken`` (text of an
    unreadable record, else null), followed by ``c0`` … for the source's columns. Columns that were
    not requested may be absent.

    Attributes:
        names: Names of the source's columns.
        table: Metadata columns, and the columns ``c0`` ….
        label: Name of the source for messages.
        form: The form in which the files are written that were read so far.
        warnings: One line for each doubtful reading of these files.
        time_formats: Form of the times by column; ISO for the others.
    """

    names: tuple[str, ...]
    table: pa.Table
    label: str
    form: tuple[FormEntry, ...] = ()
    warnings: tuple[str, ...] = ()
    time_formats: Mapping[str, TimeFormat] = field(default_factory=dict)

    @cached_property
    def places(self) -> dict[str, str]:
        """Column of the table by the source's name for it; the first of equal names."""
        return {name: f"c{i}" for i, name in reversed(list(enumerate(self.names)))}

    def column(self, name: str, key: str) -> pa.ChunkedArray:
        """Return a column by the source's name for it.

        Raises DataError with file, config key and a suggestion if it does not exist.
        """
        if name in self.places:
            return self.table[self.places[name]]
        raise make_column_error(name, self.names, f"{self.label}: {key}")

    def unreadable_rows(self) -> pa.ChunkedArray:
        """Return a mask of broken records and of rows with a NUL byte.

        Many readers fail at NUL bytes.
        """
        bad = pc.is_valid(self.table["broken"])
        for name in self.table.column_names[len(METADATA_COLUMNS) :]:
            if (holds := _find_nul(self.table[name])) is not None:
                bad = pc.or_(bad, holds)
        return bad

    def filter_rows(self, keep: np.ndarray) -> Self:
        """Return the rows that a mask selects."""
        return replace(self, table=self.table.filter(pa.array(keep)))


def make_column_error(name: str, names: Sequence[str], where: str) -> DataError:
    """Return the error of a column that the config names and a source lacks."""
    other = (
        "name a column of the source" if names else "the source needs at least a header or one row"
    )
    return DataError(
        NO_COLUMN,
        where=where,
        found=f"{name!r}; the columns are {join_names(names, 20) or 'none, the source is empty'}",
        fix=did_you_mean(name, names, min_similarity=0.5) or other,
    )


@dataclass(frozen=True)
class SourceReader:
    """Reads the rows of a source from files, or from the stored result of its query.

    A query runs once, since its result need not be the same twice.

    Attributes:
        source: The source of the config.
        query_result: Column names and table of the query; None for files.
        form: The form in which the files are written that were read so far, in that order; a file
            adds to it when its first and its last block are read.
        warnings: One line for each doubtful reading of these files.
        time_formats: Form of the times by column; ISO for the others. It may be settled after a
            first reading.
    """

    source: SourceRows
    query_result: tuple[list[str], pa.Table] | None
    form: dict[FormEntry, None] = field(default_factory=dict, compare=False, repr=False)
    warnings: dict[str, None] = field(default_factory=dict, compare=False, repr=False)
    time_formats: dict[str, TimeFormat] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def open(cls, source: SourceRows, scratch: Path | None = None) -> Self:
        """Return a reader; a query is run now, and a large result is stored in ``scratch``.

        Raises DataError if the database or the query fails, ConfigError for an unknown database.
        """
        if source.database is None:
            return cls(source, None)
        return cls(source, read_query(source.database, source.query or "", source.label, scratch))

    def list_warnings(self) -> tuple[str, ...]:
        """Return the warnings about the first files that have any, and how many more there are."""
        lines = list(self.warnings)
        more = len(lines) - MAX_WARNINGS
        rest = [f"{self.source.label}: {more:,} more warnings like these"] if more > 0 else []
        return (*lines[:MAX_WARNINGS], *rest)

    @cached_property
    def files(self) -> Sequence[SourceFile]:
        """Return the files of the source; a later pass reads the same ones."""
        return list_files(self.source.path or "")

    def iter_pieces(self, needed: dict[str, str], few: Sequence[str] = ()) -> Iterator[RawRows]:
        """Yield the rows in pieces with the required columns; at least one, possibly empty, piece.

        ``needed`` maps each config key to the column it names; ``few`` are columns of low
        cardinality, which may be dictionary-encoded.

        Raises DataError if a file is missing or unreadable, or lacks a column; ConfigError for an
        unknown format.
        """
        columns = frozenset(needed.values())
        parts, size = list[RawRows](), 0
        for part in self.iter_blocks(
            Selection(columns, low_cardinality=columns.intersection(few)), needed
        ):
            parts.append(part)
            size += len(part.table)
            if size >= ROWS_PER_PIECE:
                yield self._merge(parts)
                parts, size = [], 0
        if parts:
            yield self._merge(parts)

    def _merge(self, parts: Sequence[RawRows]) -> RawRows:
        merged = _concat_rows(parts, self.source.label)
        return replace(merged, time_formats=self.time_formats)

    def reread(self, row_numbers: np.ndarray) -> Iterator[RawRows]:
        """Yield the rows with the given numbers ``nr``, ascending, once more and with all columns.

        Raises DataError if they no longer exist.
        """
        count = 0
        for part in self.iter_blocks(Selection(rows=row_numbers), {}):
            keep = np.isin(part.table["nr"].to_numpy(), row_numbers)
            if keep.any():
                count += int(keep.sum())
                yield replace(part.filter_rows(keep), time_formats=self.time_formats)
            # The rest of the source need not be read.
            if count == len(row_numbers):
                return
        raise DataError(
            "the source changed while it was read", where=self.source.label, fix="run again"
        )

    def iter_blocks(self, selection: Selection, needed: dict[str, str]) -> Iterator[RawRows]:
        """Yield the selection block by block; ``needed`` and errors as in ``iter_pieces``."""
        begin, names = 0, dict[str, None]()
        for label, block in self._iter_file_blocks(selection, frozenset(needed.values())):
            names.update(dict.fromkeys(block.names))
            self.form.update(dict.fromkeys(block.form))
            self.warnings.update(dict.fromkeys(block.warnings))
            part = _to_raw_rows(label, block, begin)
            # Checked for every block, since each file has a header of its own.
            for key, name in needed.items():
                part.column(name, key)
            self.warnings.update(dict.fromkeys(_describe_twice(label, block.names, needed)))
            begin += len(part.table)
            yield part
        # Only now: the files of a folder may have different columns.
        for key, name in self.source.columns_by_key.items():
            if name not in names:
                raise make_column_error(name, tuple(names), f"{self.source.label}: {key}")

    def _iter_file_blocks(
        self, selection: Selection, required: frozenset[str]
    ) -> Iterator[tuple[str, RowBlock]]:
        if self.query_result is not None:
            names, table = self.query_result
            # An empty result gives one block too, since callers need its columns.
            for begin in range(0, max(len(table), 1), ROWS_PER_PIECE):
                part = table.slice(begin, ROWS_PER_PIECE)
                yield self.source.label, RowBlock(names, part, begin + np.arange(1, len(part) + 1))
            return
        begin, files = 0, self.files
        for done, file in enumerate(files):
            LOG.debug("reading %s", file.address)
            report_progress(f"reading {file.address}", done, len(files))
            kind, file_selection = self.source.format or detect_format(file), selection.shift(begin)
            try:
                check_content(file, kind)
                for block in read_blocks(file, kind, self.source, file_selection):
                    begin += len(block.rows) + len(block.broken)
                    report_progress(f"reading {file.address}: {begin:,} rows", done, len(files))
                    yield file.address, _add_partitions(block, file, required)
                file.require_unchanged()
            except (OSError, pa.ArrowException, duckdb.Error, UnicodeError) as error:
                raise file.explain(error) from error


def describe_place(table: pa.Table, row: int) -> str:
    """Return file and row, in words, of a row of a table with these columns of raw rows."""
    return f"{table['file'][row].as_py()}, row {table['row'][row].as_py()}"


def read_rows(source: SourceRows, needed: dict[str, str]) -> RawRows:
    """Return all rows of a source with all columns; ``needed`` and errors as in SourceReader."""
    reader = SourceReader.open(source)
    raw = _concat_rows(list(reader.iter_blocks(Selection(), needed)), source.label)
    return replace(raw, form=tuple(reader.form), warnings=reader.list_warnings())


def _add_partitions(block: RowBlock, file: SourceFile, required: frozenset[str]) -> RowBlock:
    """Return a block with the required columns that only the folders of its file name."""
    missing = required - set(block.names)
    extra = {name: value for name, value in file.partitions.items() if name in missing}
    if not extra:
        return block
    names, table = list(block.names), block.table
    for name, value in extra.items():
        table = table.append_column(f"c{len(names)}", pa.array([value] * len(table), pa.string()))
        names.append(name)
    return replace(block, names=names, table=table)


def _describe_twice(label: str, names: Sequence[str], needed: dict[str, str]) -> Iterator[str]:
    """Yield a warning for each heading that the config maps and that several columns have."""
    used = set(needed.values())
    for key, name in needed.items():
        second = f"{name} (2)"
        if second in names and second not in used:
            yield (
                f"{label}: two columns have the heading {name!r}; {key} means the first of them; "
                f"name the other one {second!r} if it is meant"
            )


def _to_raw_rows(label: str, block: RowBlock, begin: int) -> RawRows:
    """Merge rows and broken records by line; ``begin`` is the number of the first row."""
    size = len(block.rows)
    columns = {"row": pa.array(block.rows, pa.int64()), "broken": pa.nulls(size, pa.string())}
    table = pa.table(
        columns | dict(zip(block.table.column_names, block.table.columns, strict=True))
    )
    if block.broken:
        broken = {
            "row": [record.line for record in block.broken],
            "broken": [record.text for record in block.broken],
        }
        bad = pa.table(broken, schema=pa.schema([("row", pa.int64()), ("broken", pa.string())]))
        # Back in the order of the file, so that row numbers do not depend on what is broken.
        table = pa.concat_tables([table, bad], promote_options="default").sort_by("row")
    nr = begin + np.arange(len(table))
    file = pa.DictionaryArray.from_arrays(np.zeros(len(table), np.int8), pa.array([label]))
    metadata = {"file": file, "row": table["row"], "nr": pa.array(nr), "broken": table["broken"]}
    return RawRows(
        tuple(block.names),
        pa.table(metadata | {name: table[name] for name in table.column_names[2:]}),
        label,
    )


def _concat_rows(parts: Sequence[RawRows], label: str) -> RawRows:
    """Return all parts as one, with the union of their columns."""
    if len(parts) == 1:
        return RawRows(parts[0].names, parts[0].table, label)
    names = tuple(dict.fromkeys(name for part in parts for name in part.names))
    merged = {
        name: _concat_columns([part.table[name] for part in parts]) for name in METADATA_COLUMNS
    }
    for i, name in enumerate(names):
        columns = [_find_column(part, name) for part in parts]
        if any(column is not None for column in columns):
            sizes = (len(part.table) for part in parts)
            filled = [
                pa.chunked_array([pa.nulls(size)]) if column is None else column
                for column, size in zip(columns, sizes, strict=True)
            ]
            merged[f"c{i}"] = _concat_columns(filled)
    return RawRows(names, pa.table(merged), label)


def _find_column(part: RawRows, name: str) -> pa.ChunkedArray | None:
    place = part.table.schema.get_field_index(part.places.get(name, ""))
    return part.table[place] if place >= 0 else None


def _concat_columns(columns: Sequence[pa.ChunkedArray]) -> pa.ChunkedArray:
    """Concatenate columns; as text if their types differ."""
    # The files of a folder may have different types for one column; text fits all of them.
    kinds = {column.type for column in columns if not pa.types.is_null(column.type)}
    if len(kinds) > 1:
        columns, kinds = [to_plain_text(to_text(column)) for column in columns], {pa.string()}
    kind = kinds.pop() if kinds else pa.null()
    return pa.chunked_array(
        [chunk for column in columns for chunk in column.cast(kind).chunks], kind
    )


def _find_nul(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """Return a mask of texts with a NUL byte; None if there is none, or no text."""
    coded = pa.types.is_dictionary(column.type)
    if not is_text_type(column.type.value_type if coded else column.type):
        return None
    if not any(contains_nul(chunk.dictionary if coded else chunk) for chunk in column.chunks):
        return None
    return pc.fill_null(pc.match_substring(column.cast(pa.string()), pattern="\0"), False)
