"""Grammar of a CSV record, for header and rows alike.

The grammar is RFC 4180, slightly extended: a quote inside an unquoted field is a normal character,
and a quoted field may span lines. A carriage return before the line's end belongs to the line end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.tools.id_index import get_text_buffers
from features.tools.jit import jit_kernel

QUOTE, RETURN, NEW_LINE, BLANK = 34, 13, 10, 32


@dataclass(frozen=True)
class CsvDialect:
    """Delimiter and number of fields of the records of one CSV file."""

    delimiter: str
    width: int


def fit_record(text: bytes, grammar: CsvDialect) -> tuple[bytes, int] | None:
    """Return a record of several lines with all its fields, and how many it had.

    None if the text is no record, or has one field only.
    """
    lines = pa.array([text], pa.binary())
    fields = count_fields(lines, grammar)
    if b"\0" in text or not is_utf8(text) or fields[0] < min(2, grammar.width):
        return None
    return fit_lines(lines, fields, grammar)[0].as_py(), int(fields[0])


def split_fields(record: bytes, delimiter: str) -> list[str] | None:
    """Return the fields of one record; None if it has a NUL byte, is not UTF-8 or malformed."""
    cells = split_cells(record, delimiter)
    return cells and [
        cell[1:-1].replace('""', '"') if cell.startswith('"') else cell for cell in cells
    ]


def split_cells(record: bytes, delimiter: str) -> list[str] | None:
    """Return the fields of one record with their quotes; None as in ``split_fields``."""
    if b"\0" in record or not is_utf8(record):
        return None
    texts = np.frombuffer(record, np.uint8)
    at, end = 0, len(record) - record.endswith(b"\r")
    cells = list[str]()
    while True:
        begin, at = at, int(_find_field_end(texts, np.int64(at), np.int64(end), ord(delimiter)))
        if at < 0:
            return None
        cells.append(record[begin:at].decode())
        if at == end:
            return cells
        at += 1


def find_blank_lines(lines: pa.Array) -> np.ndarray:
    """Return a mask of the empty lines."""
    is_blank = pc.is_in(lines, value_set=pa.array([b"", b"\r"], pa.binary()))
    return is_blank.to_numpy(zero_copy_only=False)


def find_complete_lines(lines: pa.Array, grammar: CsvDialect) -> np.ndarray:
    """Return a mask of the lines that are one record each."""
    return (count_fields(lines, grammar) == grammar.width) & ~find_blank_lines(lines)


def count_fields(lines: pa.Array, grammar: CsvDialect) -> np.ndarray:
    """Return the number of fields of each line, at most ``width`` + 1.

    Fields beyond ``width`` count only if all of them are empty; a line with other ones, and a line
    that is no record, has 0 fields.
    """
    fields = np.zeros(len(lines), np.int32)
    _count_fields(*get_text_buffers(lines), ord(grammar.delimiter), grammar.width, fields)
    return fields


def fit_lines(lines: pa.Array, fields: np.ndarray, grammar: CsvDialect) -> pa.Array:
    """Return lines with all fields: missing ones added as empty ones, surplus ones removed.

    ``fields`` are their numbers of fields by ``count_fields``; a line with 0 stays as it is.
    """
    texts, ends = get_text_buffers(lines)
    missing = np.where(fields > 0, grammar.width - fields, 0).clip(0)
    fitted = np.empty(int(ends[-1] - ends[0] + missing.sum()), np.uint8)
    new_ends = np.zeros(len(lines) + 1, np.int64)
    _fit_lines(texts, ends, ord(grammar.delimiter), grammar.width, fields, fitted, new_ends)
    buffers = [None, pa.py_buffer(new_ends), pa.py_buffer(fitted)]
    return pa.Array.from_buffers(pa.large_binary(), len(lines), buffers).cast(lines.type)


@jit_kernel
def _count_fields(
    texts: np.ndarray, ends: np.ndarray, delimiter: int, width: int, counts: np.ndarray
) -> None:
    """Set the number of fields of each line."""
    for line in range(len(counts)):
        at, end, fields = np.int64(ends[line]), np.int64(ends[line + 1]), 0
        if end > at and texts[end - 1] == RETURN:
            end -= 1
        while True:
            begin = at
            at = _find_field_end(texts, at, end, delimiter)
            if at < 0 or (fields >= width and not _is_empty(texts, begin, at)):
                fields = 0
                break
            fields += 1
            if at == end:
                break
            at += 1
        counts[line] = min(fields, width + 1)


@jit_kernel
def _is_empty(texts: np.ndarray, begin: np.int64, end: np.int64) -> bool:
    """Return whether a field has no text: nothing, blanks, or two quotes."""
    if end - begin == 2 and texts[begin] == QUOTE:
        return True
    while begin < end and texts[begin] == BLANK:
        begin += 1
    return bool(begin >= end)


@jit_kernel
def _fit_lines(
    texts: np.ndarray,
    ends: np.ndarray,
    delimiter: int,
    width: int,
    counts: np.ndarray,
    fitted: np.ndarray,
    new_ends: np.ndarray,
) -> None:
    """Write each line with ``width`` fields, and the end of each."""
    size = np.int64(0)
    for line in range(len(counts)):
        begin, end = np.int64(ends[line]), np.int64(ends[line + 1])
        missing = 0
        if counts[line] > 0 and counts[line] != width:
            if end > begin and texts[end - 1] == RETURN:
                end -= 1
            missing = max(width - counts[line], 0)
        if counts[line] > width:
            cut = begin - 1
            for _ in range(width):
                cut = _find_field_end(texts, cut + 1, end, delimiter)
            end = cut
        fitted[size : size + end - begin] = texts[begin:end]
        size += end - begin
        fitted[size : size + missing] = delimiter
        size += missing
        new_ends[line + 1] = size


@jit_kernel
def _find_field_end(texts: np.ndarray, at: np.int64, end: np.int64, delimiter: int) -> np.int64:
    """Return the end of the field that begins here; -2 if the field is invalid.

    A field ends at a delimiter or at the end of the line.
    """
    if at < end and texts[at] == QUOTE:
        at += 1
        while at < end and (texts[at] != QUOTE or (at + 1 < end and texts[at + 1] == QUOTE)):
            at += 1 + (texts[at] == QUOTE)
        if at >= end or (at + 1 < end and texts[at + 1] != delimiter):
            return np.int64(-2)
        return np.int64(at + 1)
    while at < end and texts[at] != delimiter:
        if texts[at] == RETURN or texts[at] == NEW_LINE:
            return np.int64(-2)
        at += 1
    return np.int64(at)


def is_utf8(text: bytes) -> bool:
    """Return whether bytes are UTF-8 text."""
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
