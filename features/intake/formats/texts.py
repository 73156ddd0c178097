"""Columns of any type as supported types, or as the text that a person would write."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.tools.duckdb_sql import run_query

# Type of a text column with few distinct values.
TEXT_CODES = pa.dictionary(pa.int32(), pa.string())

# Microseconds per timestamp unit, in which DuckDB counts; it counts nanoseconds as such.
MICROSECONDS_PER_UNIT = {"s": 1_000_000, "ms": 1_000, "us": 1, "ns": 1}


def to_supported_type(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column in a supported type, or as text if its own is not supported.

    Supported are text (string or TEXT_CODES), integers, float64, booleans, dates and timestamps.
    Floats of lower precision become text, since 0.1 means 0.1 and not the nearest float32.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        return column.cast(TEXT_CODES if is_text_type(kind.value_type) else kind.value_type)
    if (
        pa.types.is_string(kind)
        or pa.types.is_float64(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_boolean(kind)
    ):
        return column
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return column
    return (
        column.cast(pa.string())
        if is_text_type(kind) or pa.types.is_null(kind)
        else _format_as_text(column)
    )


def to_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column as text; 12.0 of a float column becomes 12, and NaN null."""
    column = to_supported_type(column)
    kind = column.type
    if pa.types.is_string(kind) or kind == TEXT_CODES:
        return column
    return (
        column.cast(pa.string())
        if pa.types.is_integer(kind) or pa.types.is_boolean(kind)
        else _format_as_text(column)
    )


def to_plain_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a text column as strings instead of dictionary codes."""
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column


def set_null(column: pa.ChunkedArray, no_value: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column with null where a mask is true."""
    return (
        pc.if_else(no_value, pa.scalar(None, column.type), column)
        if pc.any(no_value).as_py()
        else column
    )


def is_text_type(kind: pa.DataType) -> bool:
    """Return whether a type holds text."""
    return (
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _format_as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_float16(column.type):
        return pa.chunked_array(
            [pa.array(map(_format_half_float, column.to_pylist()), pa.string())]
        )
    if pa.types.is_decimal256(column.type):  # DuckDB lacks it
        return column.cast(pa.string())
    if pa.types.is_timestamp(column.type):
        return _format_timestamps(column)
    text = "CAST(value AS VARCHAR)"
    if pa.types.is_floating(column.type):
        # NaN is recognised by its text: in files whose statistics, which leave NaN out, are finite,
        # isnan of DuckDB 2.0.0 was always false.
        text = f"regexp_replace(nullif({text}, 'nan'), '\\.0$', '')"
    sql = f"SELECT {text} AS text FROM rows"  # noqa: S608
    return run_query(sql, rows=pa.table({"value": column}))["text"]


def _format_half_float(value: float | None) -> str | None:
    """Format a half-precision number with the fewest digits that identify it; DuckDB lacks it."""
    is_valid = value is not None and not np.isnan(value)
    return np.format_float_positional(np.float16(value), trim="-") if is_valid else None


def _format_timestamps(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Format timestamps, those with a zone in UTC; one outside DuckDB's range as its integer."""
    counts, unit = column.cast(pa.int64()), column.type.unit
    last = (1 << 63) // MICROSECONDS_PER_UNIT[unit] - 1
    far = pc.or_(pc.greater(counts, last), pc.less(counts, -last))
    # Without a zone, since DuckDB fails at zoned instants outside its range of microseconds.
    near = set_null(counts, pc.fill_null(far, False)).cast(pa.timestamp(unit))
    zone = "" if column.type.tz is None else " || '+00'"
    text = f"SELECT CAST(value AS VARCHAR){zone} AS text FROM rows"  # noqa: S608
    written = run_query(text, rows=pa.table({"value": near}))["text"]
    return pc.coalesce(written, counts.cast(pa.string())) if pc.any(far).as_py() else written
