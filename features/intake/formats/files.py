"""Files of a source, read in blocks of rows: CSV, JSON lines, Parquet or a workbook."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from configs.source_rows import SourceRows
from features.intake.formats.delimited import BrokenRecord, read_csv
from features.intake.formats.json_document import JsonDocument
from features.intake.formats.json_lines import read_json_objects
from features.intake.formats.limits import (
    MAX_COLUMNS,
    require_few_columns,
    require_plausible_rows,
)
from features.intake.formats.listing import JSON, JSONL, PARQUET, WORKBOOK
from features.intake.formats.texts import is_text_type, to_source_type
from features.intake.formats.workbook import read_workbook
from features.intake.storage.source_file import SourceFile
from features.readings.source_form import FormEntry

# Maximum rows of a Parquet block: a row group may hold the whole file.
PARQUET_BLOCK_ROWS = 1 << 20

# Read in steps of 1 MB instead of buffering whole column chunks, so that memory stays bounded.
# Checksums are verified where the writer stored them: a changed bit must not be another value.
PARQUET_OPTIONS: dict[str, Any] = {
    "pre_buffer": False,
    "buffer_size": 1 << 20,
    "page_checksum_verification": True,
}


@dataclass(frozen=True)
class RowBlock:
    """Consecutive rows of a file, in its order.

    Attributes:
        names: Names of all columns of the file.
        table: Selected columns, named by their position among ``names`` (``c0`` …).
        rows: Line of each row in a text file, else number of the row, from 1.
        broken: Unreadable records among them.
        form: The form in which the file is written, as far as it is first known in this block.
        warnings: One line for each kind of doubtful reading; in the last block only.
    """

    names: Sequence[str]
    table: pa.Table
    rows: np.ndarray
    broken: Sequence[BrokenRecord] = field(default_factory=list)
    form: Sequence[FormEntry] = ()
    warnings: Sequence[str] = ()


@dataclass(frozen=True)
class Selection:
    """Requested columns and rows of a file; a format may return more.

    Attributes:
        columns: Names of columns; None for all.
        rows: Numbers of rows, from 0; None for all.
        low_cardinality: Columns with few distinct texts.
    """

    columns: frozenset[str] | None = None
    rows: np.ndarray | None = None
    low_cardinality: frozenset[str] = frozenset()

    def shift(self, begin: int) -> Self:
        """Return the selection for a file whose first row has the number ``begin``."""
        return self if self.rows is None else replace(self, rows=self.rows - begin)


def read_blocks(
    file: SourceFile, kind: str, source: SourceRows, selection: Selection
) -> Iterator[RowBlock]:
    """Yield a file of a source in blocks, at least one, which may be empty."""
    if kind == PARQUET:
        yield from _read_parquet_blocks(file, selection)
    elif kind in (JSON, JSONL):
        yield from _read_json_blocks(file, kind, source, selection)
    elif kind == WORKBOOK:
        sheet = read_workbook(file, source)
        names = number_repeated_names(sheet.names)
        yield RowBlock(names, sheet.table, sheet.rows, form=sheet.form, warnings=sheet.warnings)
    else:
        yield from _read_csv_blocks(file, source)


def _read_json_blocks(
    file: SourceFile, kind: str, source: SourceRows, selection: Selection
) -> Iterator[RowBlock]:
    document = (
        JsonDocument.open(file, source.records) if kind == JSON else JsonDocument(file, lines=True)
    )
    form = document.form
    for table, rows, broken in read_json_objects(document, selection.columns):
        yield RowBlock(table.column_names, _rename_by_position(table), rows, broken, form)
        form = ()


def _read_csv_blocks(file: SourceFile, source: SourceRows) -> Iterator[RowBlock]:
    named = False
    for block in read_csv(file, source):
        if block.names:
            named = True
            names = number_repeated_names(block.names)
            form, warnings = block.form, block.warnings
            yield RowBlock(names, block.table, block.rows, block.broken, form, warnings)
    if not named:
        yield RowBlock([], pa.table({}), np.empty(0, np.int64))


def number_repeated_names(names: Sequence[str]) -> list[str]:
    """Append a number to repeated names: a spreadsheet may leave several columns unnamed."""
    seen, unique = Counter[str](), list[str]()
    for name in names:
        seen[name] += 1
        unique.append(f"{name} ({seen[name]})" if seen[name] > 1 else name)
    return unique


def _rename_by_position(table: pa.Table) -> pa.Table:
    return table.rename_columns([f"c{i}" for i in range(table.num_columns)])


def _read_parquet_blocks(file: SourceFile, selection: Selection) -> Iterator[RowBlock]:
    """Yield row groups in batches.

    A group without a selected row is not read: its rows come without columns.
    """
    with file.open() as stream:
        schema = parquet.read_schema(stream)
    require_few_columns(len(schema), MAX_COLUMNS, file)
    encoded = [
        field.name
        for field in schema
        if field.name in selection.low_cardinality and is_text_type(field.type)
    ]
    with (
        file.open() as stream,
        parquet.ParquetFile(stream, read_dictionary=encoded, **PARQUET_OPTIONS) as reader,
    ):
        require_plausible_rows(file, reader.metadata.num_rows, file.size)
        all_names = schema.names
        names = number_repeated_names(all_names)
        positions = [
            i
            for i, name in enumerate(names)
            if selection.columns is None or name in selection.columns
        ]
        columns = [all_names[i] for i in positions]
        labels = [f"c{i}" for i, name in enumerate(all_names) if name in columns]
        begin = 0
        # Row groups may be empty too, and then give no batch.
        if not reader.metadata.num_rows:
            empty = reader.schema_arrow.empty_table().select(columns).rename_columns(labels)
            yield RowBlock(names, empty, np.arange(0))
        for group in range(reader.metadata.num_row_groups):
            size = reader.metadata.row_group(group).num_rows
            if selection.rows is not None and not _any_between(selection.rows, begin, begin + size):
                rows = begin + np.arange(1, size + 1)
                yield RowBlock(names, pa.table({"c0": pa.nulls(size)}), rows)
                # Skipped, but counted: row numbers go through the whole file.
                begin += size
                continue
            for batch in reader.iter_batches(PARQUET_BLOCK_ROWS, [group], columns):
                # The reader does not check that texts are UTF-8; later steps would fail at them.
                batch.validate(full=True)
                # Unsupported values must fail here, where the error can name the file.
                values = [to_source_type(pa.chunked_array([column])) for column in batch.columns]
                table = pa.table(values, names=labels)
                yield RowBlock(names, table, begin + np.arange(1, len(batch) + 1))
                begin += len(batch)


def _any_between(rows: np.ndarray, first: int, end: int) -> bool:
    return bool(((rows >= first) & (rows < end)).any())
