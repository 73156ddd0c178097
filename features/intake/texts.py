"""Columns of any type as the text that a person would write, where they cannot be read as they are."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from features.sql import query

CODES = pa.dictionary(pa.int32(), pa.string())
"""Texts of a column that has few different ones."""


def direct(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column in a type that is read as it is, as text if its own is none of these.

    They are text (string, or CODES), whole numbers, float64, true and false, dates and timestamps. A float of less
    precision goes through text, since 0.1 means 0.1 and not the nearest float32.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        return column.cast(CODES if is_text(kind.value_type) else kind.value_type)
    if pa.types.is_string(kind) or pa.types.is_float64(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return column
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return column
    return column.cast(pa.string()) if is_text(kind) or pa.types.is_null(kind) else _written(column)


def texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column as text: 12.0 of a float column is 12, and its NaN is no value."""
    column = direct(column)
    kind = column.type
    if pa.types.is_string(kind) or kind == CODES:
        return column
    return column.cast(pa.string()) if pa.types.is_integer(kind) or pa.types.is_boolean(kind) else _written(column)


def plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of text as strings, not codes."""
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column


def without(column: pa.ChunkedArray, no_value: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column with null where a mask says so."""
    return pc.if_else(no_value, pa.scalar(None, column.type), column) if pc.any(no_value).as_py() else column


def is_text(kind: pa.DataType) -> bool:
    """Say whether a type is one of those that hold text."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _written(column: pa.ChunkedArray) -> pa.ChunkedArray:
    text = "CAST(value AS VARCHAR)"
    if pa.types.is_floating(column.type):
        text = f"regexp_replace(nullif({text}, 'nan'), '\\.0$', '')"
    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        # As naive ones, since DuckDB fails at instants beyond its microseconds.
        column, text = column.cast(pa.int64()).cast(pa.timestamp(column.type.unit)), f"{text} || '+00'"
    return query(f"SELECT {text} AS text FROM rows", rows=pa.table({"value": column}))["text"]  # noqa: S608 - our own
