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

# Whole floats below these limits are written as an integer of 64 bits. A float of lower precision
# above its own limit is written with the fewest digits that identify it, and zeros.
EXACT_WHOLE_LIMITS = {pa.float64(): 2.0**63, pa.float32(): 2.0**24, pa.float16(): 2.0**11}


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


def to_source_type(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column in a supported type, or as the number that it is.

    The point of a typed number is a decimal point; that of a text can be in doubt.
    """
    kind = column.type
    if pa.types.is_decimal(kind) or pa.types.is_float32(kind):
        return column
    return to_supported_type(column)


def to_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column as text; NaN becomes null.

    Whole numbers are written in plain digits, of any type and size: 12.0 of a float column
    becomes 12, and 1e17 becomes 100000000000000000.
    """
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


def find_long_texts(column: pa.ChunkedArray, limit: int) -> pa.ChunkedArray | None:
    """Return a mask of the texts of more than ``limit`` characters; None if there is none."""
    chunks = (c.dictionary if pa.types.is_dictionary(column.type) else c for c in column.chunks)
    # No text has more characters than bytes, which are counted without reading it.
    if not any((pc.max(pc.binary_length(chunk)).as_py() or 0) > limit for chunk in chunks):
        return None
    return pc.fill_null(pc.greater(pc.utf8_length(to_plain_text(column)), limit), False)


def cut_texts(column: pa.ChunkedArray, limit: int) -> pa.ChunkedArray:
    """Return a text column with longer texts cut to ``limit`` characters and an ellipsis."""
    is_long = find_long_texts(column, limit)
    if is_long is None:
        return column
    short = pc.utf8_slice_codeunits(to_plain_text(column), 0, limit)
    cut = pc.binary_join_element_wise(short, pa.scalar(" …"), pa.scalar(""))
    return pc.if_else(is_long, cut, to_plain_text(column))


def is_text_type(kind: pa.DataType) -> bool:
    """Return whether a type holds text."""
    return (
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def is_text_column(column: pa.ChunkedArray) -> bool:
    """Return whether a column is text; one without any value counts as text."""
    if pa.types.is_null(column.type):
        return True
    kind = column.type
    return is_text_type(kind.value_type if pa.types.is_dictionary(kind) else kind)


def _format_as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_floating(column.type):
        return _format_floats(column)
    if pa.types.is_decimal(column.type):
        # Arrow (25.0.1) writes a negative scale with an exponent; DuckDB lacks decimal256.
        text = column.cast(pa.string())
        return pc.replace_substring_regex(text, pattern=r"\.0+$", replacement="")
    if pa.types.is_timestamp(column.type):
        return _format_timestamps(column)
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return _format_binary(column)
    sql = "SELECT CAST(value AS VARCHAR) AS text FROM rows"
    return run_query(sql, rows=pa.table({"value": column}))["text"]


def _format_binary(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return bytes as the UTF-8 text that many writers store so; other bytes are escaped."""
    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid:
        sql = "SELECT CAST(value AS VARCHAR) AS text FROM rows"
        escaped = run_query(sql, rows=pa.table({"value": column}))["text"]
        decoded = pa.array(map(_decode_text, column.to_pylist()), pa.string())
        return pc.coalesce(pa.chunked_array([decoded]), escaped)


def _decode_text(value: bytes | None) -> str | None:
    """Return the text of UTF-8 bytes, None for other bytes."""
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def _format_floats(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Format floats: whole numbers in plain digits, others as Python does; NaN becomes null."""
    number = column.cast(pa.float64())
    is_whole = pc.and_(pc.is_finite(number), pc.equal(number, pc.floor(number)))
    is_short = pc.less(pc.abs(number), EXACT_WHOLE_LIMITS[column.type])
    short = _keep_where(number, pc.and_(is_whole, is_short)).cast(pa.int64()).cast(pa.string())
    if short.null_count == column.null_count:
        return short
    large = _keep_where(column, pc.and_(is_whole, pc.invert(is_short))).combine_chunks()
    text = pc.coalesce(short, _format_large(large))
    fraction = _keep_where(column, pc.invert(is_whole))
    if fraction.null_count == len(fraction):
        return text
    return pc.coalesce(text, _format_fractions(fraction))


def _keep_where(column: pa.ChunkedArray, mask: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(mask, column, pa.scalar(None, column.type))


def _format_large(column: pa.Array) -> pa.Array:
    """Format whole floats, each distinct one once: float64 exactly, others with fewest digits."""
    kind = column.type.to_pandas_dtype()
    if pa.types.is_float16(column.type):  # Arrow (25.0.1) does not encode it
        return pa.array(map(_format_half_float, column.to_pylist()), pa.string())
    distinct = column.dictionary_encode()
    texts = [
        str(int(value)) if kind is np.float64 else np.format_float_positional(kind(value), trim="-")
        for value in distinct.dictionary.to_pylist()
    ]
    return pa.array(texts, pa.string()).take(distinct.indices)


def _format_fractions(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Format floats that are not whole with the fewest digits that identify them."""
    if pa.types.is_float16(column.type):  # DuckDB lacks it
        return pa.chunked_array(
            [pa.array(map(_format_half_float, column.to_pylist()), pa.string())]
        )
    # NaN is recognised by its text: in files whose statistics, which leave NaN out, are finite,
    # isnan of DuckDB 2.0.0 was always false.
    sql = "SELECT nullif(CAST(value AS VARCHAR), 'nan') AS text FROM rows"
    return run_query(sql, rows=pa.table({"value": column}))["text"]


def _format_half_float(value: float | None) -> str | None:
    """Format a half-precision number with the fewest digits that identify it."""
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
