"""CSV by RFC 4180, written column by column: a million rows take a few seconds.

Text is made safe for spreadsheets. A text that starts with ``=``, ``+``, ``-``, ``@`` or a control
character (tab and CR included) gets a leading apostrophe. Control characters and line breaks become
spaces, so that each line is one record. Fractions have twelve significant digits and no exponent; a
missing value is empty.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.contracts import INSTANT
from features.tools.instants import format_iso
from features.tools.parallel import parallel_map

# Rows formatted at a time, so that the texts of a large table are never all in memory.
BATCH_ROWS = 50_000
# Control characters, and the line and paragraph separators of Unicode.
UNSAFE_CHARACTERS = r"[\p{Cc}\p{Zl}\p{Zp}]"
# Within this range Arrow writes a number of twelve digits without an exponent.
PLAIN_DECIMAL_RANGE = (1e-4, 1e10)
# Bytes that may start an unsafe character or that require quotes. 0xC2 and 0xE2 also start many
# safe ones.
SUSPECT_BYTES = np.isin(np.arange(256), [*range(0x20), 0x7F, 0xC2, 0xE2, *b'",'])
# Bytes that start a formula when they are the first of a cell.
FORMULA_BYTES = np.isin(np.arange(256), [*b"=+-@"])
# Nearer than this to the midpoint between two numbers of twelve digits, a floating-point product
# cannot decide the rounding.
TIE_TOLERANCE = 1e-3


def write_csv(table: pa.Table, file: IO[bytes], line_end: str = "\r\n") -> None:
    """Write the header and rows of a table as UTF-8, with the cells of ``format_cells``."""
    file.write((",".join(table.column_names) + line_end).encode())
    for lines in parallel_map(
        partial(_format_lines, line_end=line_end), table.to_batches(max_chunksize=BATCH_ROWS)
    ):
        file.write(lines)


def _format_lines(batch: pa.RecordBatch, line_end: str) -> pa.Buffer:
    columns = [pc.fill_null(format_cells(column), "") for column in batch.columns]
    return concatenate_texts(
        pc.binary_join_element_wise(pc.binary_join_element_wise(*columns, ","), line_end, "")
    )


def escape_for_spreadsheet(texts: pa.Array) -> pa.Array:
    """Return texts that a spreadsheet reads as text, each without line breaks."""
    marked = pc.replace_substring_regex(
        texts, rf"^([=+\-@]|{UNSAFE_CHARACTERS})", r"'\1", max_replacements=1
    )
    return pc.replace_substring_regex(marked, UNSAFE_CHARACTERS, " ")


def format_instant(instant: datetime) -> str:
    """Return an aware instant as ISO-8601 text in UTC."""
    return format_iso(instant).replace("+00:00", "Z")


def format_fractions(column: pa.Array) -> pa.Array:
    """Return numbers as texts of twelve significant digits without an exponent.

    The rounding is that of ``f"{value:.12g}"``. Null stays null.
    """
    values = column.to_numpy(zero_copy_only=False)
    magnitude = np.abs(values)
    is_plain = (magnitude >= PLAIN_DECIMAL_RANGE[0]) & (magnitude < PLAIN_DECIMAL_RANGE[1])
    operand = np.where(is_plain, values, 1.0)
    # These powers of ten are exact, so the division returns the float nearest to the decimal.
    power = 10.0 ** (11 - np.floor(np.log10(np.abs(operand))))
    scaled = operand * power
    is_plain &= np.abs(np.abs(scaled - np.trunc(scaled)) - 0.5) > TIE_TOLERANCE
    rounded = np.where(is_plain, np.rint(scaled) / power, np.where(values == 0, values, 0.0))
    texts = pa.array(rounded).cast(pa.string())
    is_exceptional = pa.array(~(is_plain | (values == 0)) & ~np.isnan(values))
    exceptional_texts = pa.array(
        [_format_fraction(value) for value in values[is_exceptional]], pa.string()
    )
    return pc.if_else(
        pc.is_valid(column), pc.replace_with_mask(texts, is_exceptional, exceptional_texts), None
    )


def _format_fraction(value: float) -> str:
    text = f"{value:.12g}"
    return format(Decimal(text), "f") if "e" in text else text


def format_cells(column: pa.Array) -> pa.Array:
    """Return the cells of a column of texts, numbers, instants, or true and false.

    Null stays null.
    """
    if column.type == pa.string():
        return column if needs_no_escaping(column) else quote_texts(escape_for_spreadsheet(column))
    if column.type == pa.float64():
        return format_fractions(column)
    if column.type == INSTANT:
        return format_instants(column)
    return column.cast(pa.string())


def needs_no_escaping(texts: pa.Array) -> bool:
    """Return whether certainly no text requires quotes or escaping.

    Inspecting the bytes costs far less than matching each text.
    """
    data, offsets = texts.buffers()[2], np.frombuffer(texts.buffers()[1], np.int32)
    offsets = offsets[texts.offset : texts.offset + len(texts) + 1]
    if data is None or offsets[0] == offsets[-1]:
        return True
    content = np.frombuffer(data, np.uint8)
    first_bytes = content[offsets[:-1][offsets[:-1] < offsets[1:]]]
    return not (
        SUSPECT_BYTES[content[offsets[0] : offsets[-1]]].any() or FORMULA_BYTES[first_bytes].any()
    )


def quote_texts(texts: pa.Array) -> pa.Array:
    """Quote the texts that hold a comma or a quote. Line breaks have been replaced before."""
    inner = pc.replace_substring(texts, '"', '""')
    return pc.if_else(
        pc.match_substring_regex(texts, '[",]'),
        pc.binary_join_element_wise('"', inner, '"', ""),
        texts,
    )


def format_instants(column: pa.Array) -> pa.Array:
    """Return ISO-8601 texts in UTC, with fractional seconds only where they are not zero."""
    encoded = column.dictionary_encode()
    texts = pc.strftime(encoded.dictionary, "%Y-%m-%dT%H:%M:%SZ")
    return pc.replace_substring(texts, ".000000Z", "Z").take(encoded.indices)


def concatenate_texts(lines: pa.Array) -> pa.Buffer:
    """Return the concatenated bytes of the texts of an array without nulls."""
    ends = np.frombuffer(lines.buffers()[1], np.int32)[lines.offset : lines.offset + len(lines) + 1]
    return (
        lines.buffers()[2].slice(int(ends[0]), int(ends[-1] - ends[0]))
        if len(lines)
        else pa.py_buffer(b"")
    )
