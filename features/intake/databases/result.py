"""Rows of a query as they arrive: names, types and batches."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Self

import pyarrow as pa

from configs.errors import ConfigError
from features.intake.formats.texts import is_text_type, to_source_type

# Rows of a batch where the driver lets us choose: some ten megabytes of a wide table.
ROWS_PER_BATCH = 1 << 16


@dataclass(frozen=True)
class QueryResult:
    """Rows of a query, read once, in their order.

    Attributes:
        names: Names of the columns, as the database gives them; some may be equal.
        schema: Columns ``c0`` … and their types.
        pieces: The rows.
    """

    names: Sequence[str]
    schema: pa.Schema
    pieces: Iterator[pa.Table]

    @classmethod
    def from_reader(cls, names: Sequence[str], reader: pa.RecordBatchReader) -> Self:
        """Return the rows of a reader in types that a source can have."""
        empty = _convert_columns(reader.schema.empty_table().columns)
        return cls(names, empty.schema, map(_convert_batch, reader))


def import_driver(module: str, package: str) -> ModuleType:
    """Return a driver's module; raise ConfigError with the command that installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(
            "the driver of the database is not installed",
            where="sources",
            found=f"{error.name or module} cannot be imported",
            fix=f"pip install '{package}'",
        ) from None


def _convert_batch(batch: pa.RecordBatch) -> pa.Table:
    # Drivers do not check that texts are UTF-8; later steps would fail at them.
    batch.validate(full=True)
    return _convert_columns([pa.chunked_array([column]) for column in batch.columns])


def _convert_columns(columns: Sequence[pa.ChunkedArray]) -> pa.Table:
    converted = [_convert_column(column) for column in columns]
    return pa.table(converted, [f"c{i}" for i in range(len(converted))])


def _convert_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column in a type that a source can have; numbers of any type keep theirs."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        storage = [chunk.storage for chunk in column.chunks]
        return _convert_column(pa.chunked_array(storage, kind.storage_type))
    if pa.types.is_dictionary(kind):
        # A spilled table cannot hold another dictionary in each batch.
        return _convert_column(column.cast(kind.value_type))
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        texts = [None if value is None else value.hex().upper() for value in column.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.string())])
    return column.cast(pa.string()) if is_text_type(kind) else to_source_type(column)
