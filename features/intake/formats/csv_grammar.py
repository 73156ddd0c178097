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

QUOTE, RETURN, NEW_LINE = 34, 13, 10


@dataclass(frozen=True)
class CsvDialect:
    """Delimiter and number of fields of the records of one CSV file."""

    delimiter: str
    width: int

    def matches(self, text: bytes) -> bool:
        """Return whether a text, joined from several lines, is one record of this file."""
        return (
            b"\0" not in text
            and is_utf8(text)
            and bool(find_complete_lines(pa.array([text], pa.binary()), self)[0])
        )


def split_fields(record: bytes, delimiter: str) -> list[str] | None:
    """Return the fields of one record; None if it has a NUL byte, is not UTF-8 or malformed."""
    if b"\0" in record or not is_utf8(record):
        return None
    texts = np.frombuffer(record, np.uint8)
    at, end = 0, len(record) - record.endswith(b"\r")
    fields = list[str]()
    while True:
        begin, at = at, int(_find_field_end(texts, np.int64(at), np.int64(end), ord(delimiter)))
        if at < 0:
            return None
        field = record[begin:at].decode()
        fields.append(field[1:-1].replace('""', '"') if field.startswith('"') else field)
        if at == end:
            return fields
        at += 1


def find_blank_lines(lines: pa.Array) -> np.ndarray:
    """Return a mask of the empty lines."""
    is_blank = pc.is_in(lines, value_set=pa.array([b"", b"\r"], pa.binary()))
    return is_blank.to_numpy(zero_copy_only=False)


def find_complete_lines(lines: pa.Array, grammar: CsvDialect) -> np.ndarray:
    """Return a mask of the lines that are one record each."""
    complete = np.zeros(len(lines), bool)
    _check_fields(*get_text_buffers(lines), ord(grammar.delimiter), grammar.width, complete)
    return complete & ~find_blank_lines(lines)


@jit_kernel
def _check_fields(
    texts: np.ndarray, ends: np.ndarray, delimiter: int, width: int, complete: np.ndarray
) -> None:
    """Set for each line whether it has ``width`` fields and every quoted field is closed."""
    for line in range(len(complete)):
        at, end, fields = np.int64(ends[line]), np.int64(ends[line + 1]), 0
        if end > at and texts[end - 1] == RETURN:
            end -= 1
        while at >= 0 and fields <= width:
            fields += 1
            at = _find_field_end(texts, at, end, delimiter)
            if at == end:
                complete[line] = fields == width
                break
            at += at >= 0


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
