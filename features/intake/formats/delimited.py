"""CSV files as text columns, read line by line; each broken line is separated from the good ones.

The grammar is RFC 4180, slightly extended: lines end in LF or CRLF, a blank line is not a row, and
a quote inside an unquoted field is a normal character. A quoted field may span lines. A quote that
is never closed affects only its own line, not the rest of the file; for this, lines are split
before the parser sees them.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from configs.errors import DataError
from features.tools.id_index import contains_nul, get_text_buffers
from features.tools.jit import jit_kernel

# Bytes read per block (64 MB); also the maximum size of a quoted field before its quote counts as
# broken.
BLOCK_BYTES = 1 << 26

# In order of preference, where a header has equally many of several.
DELIMITERS = ",;\t|"
QUOTE, RETURN, NEW_LINE = 34, 13, 10


@dataclass(frozen=True)
class BrokenRecord:
    """A record that could not be read.

    Attributes:
        line: Number of its first line, from 1.
        text: Its text, with undecodable bytes replaced.
    """

    line: int
    text: str


@dataclass(frozen=True)
class LineBlock:
    """Consecutive whole lines of a file.

    Attributes:
        first: Number of the first line, from 1.
        lines: Lines without LF, binary.
        last: Whether the block ends the file.
    """

    first: int
    lines: pa.Array
    last: bool


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
            and bool(_find_complete_lines(pa.array([text], pa.binary()), self)[0])
        )


def read_line_blocks(path: Path) -> Iterator[LineBlock]:
    """Yield a file as blocks of whole lines.

    Compressed files are decompressed by their extension; a leading UTF-8 BOM is removed.
    """
    rest, first, start = b"", 1, True
    with pa.input_stream(path) as stream:
        while block := stream.read(BLOCK_BYTES):
            # A BOM stands at the start of a file only; anywhere else the bytes are text.
            data = rest + (block.removeprefix(b"\xef\xbb\xbf") if start else block)
            end, start = data.rfind(b"\n") + 1, False
            rest = data[end:]
            if end:
                block_lines = LineBlock(first, split_lines(data[: end - 1]), False)
                first += len(block_lines.lines)
                yield block_lines
    yield LineBlock(first, split_lines(rest), True)


def split_lines(data: bytes) -> pa.Array:
    """Return the lines of a text without LF."""
    return pc.split_pattern(pa.array([data], pa.binary()), pattern=b"\n").flatten()


def find_unreadable_lines(lines: pa.Array) -> np.ndarray:
    """Return a mask of the lines that contain a NUL byte or are not UTF-8."""
    bad = (
        _to_numpy(pc.match_substring(lines, pattern=b"\0"))
        if contains_nul(lines)
        else np.zeros(len(lines), bool)
    )
    try:
        lines.cast(pa.string())
    except pa.ArrowInvalid:
        bad = bad | np.fromiter((not is_utf8(line.as_py()) for line in lines), bool, len(lines))
    return bad


def find_blank_lines(lines: pa.Array) -> np.ndarray:
    """Return a mask of the empty lines."""
    return _to_numpy(pc.is_in(lines, value_set=pa.array([b"", b"\r"], pa.binary())))


def read_csv(
    path: Path, delimiter: str | None
) -> Iterator[tuple[list[str], pa.Table, np.ndarray, list[BrokenRecord]]]:
    """Yield blocks of a CSV file: names, text columns ``c0`` …, line of each row, broken records.

    The first line that is not blank is the header. A file without lines yields one block without
    columns. Raises DataError for a header that is not UTF-8 text.
    """
    grammar, names = CsvDialect(",", 0), list[str]()
    rest, first = pa.array([], pa.binary()), 1
    for block in read_line_blocks(path):
        lines = pa.concat_arrays([rest, block.lines])
        if not names:
            at = int(np.argmin(find_blank_lines(lines))) if len(lines) else 0
            names, grammar = _read_header(lines[at].as_py(), delimiter, path)
            lines, first = lines[at + 1 :], first + at + 1
        table, rows, broken, used = _split_records(lines, first, grammar, block.last)
        yield names, table, rows, broken
        rest, first = lines[used:], first + used


def _read_header(line: bytes, delimiter: str | None, path: Path) -> tuple[list[str], CsvDialect]:
    if not is_utf8(line) or b"\0" in line or b"\r" in line[:-1]:
        problem = "not UTF-8, or contains a NUL byte or a lone carriage return"
        raise DataError(
            "unreadable header", where=str(path), found=problem, fix="save the file as UTF-8 CSV"
        )
    text = line.decode("utf-8").removesuffix("\r")
    # A delimiter inside a quoted name does not count.
    unquoted = re.sub(r'"[^"]*"', "", text)
    separator = delimiter or max(
        DELIMITERS, key=lambda candidate: (unquoted.count(candidate), -DELIMITERS.index(candidate))
    )
    try:
        names = next(csv.reader([text], delimiter=separator), [])
    except csv.Error as error:
        raise DataError(
            "unreadable header", where=str(path), found=str(error), fix="check that the file is CSV"
        ) from error
    return names, CsvDialect(separator, len(names))


def _split_records(
    lines: pa.Array, first: int, grammar: CsvDialect, last: bool
) -> tuple[pa.Table, np.ndarray, list[BrokenRecord], int]:
    """Return the rows, the line of each, the broken records, and the number of lines consumed."""
    complete = _find_complete_lines(lines, grammar) & ~find_unreadable_lines(lines)
    starts, keep, consumed, next_free = complete.copy(), complete.copy(), len(lines), 0
    broken, incomplete = (
        list[BrokenRecord](),
        np.flatnonzero(~complete & ~find_blank_lines(lines)).tolist(),
    )
    odd = (
        np.flatnonzero(_to_numpy(pc.count_substring(lines, pattern=b'"')) % 2)
        if incomplete
        else np.empty(0, np.int64)
    )
    for i in incomplete:
        if i < next_free:
            continue
        opened, end = _find_closing_line(odd, i)
        # The closing quote may be in the next block, but no farther than a block away.
        if opened and end is None and not last and lines[i:].nbytes < BLOCK_BYTES:
            consumed = i
            break
        if end is not None and grammar.matches(b"\n".join(lines[i : end + 1].to_pylist())):
            starts[i : end + 1], keep[i : end + 1] = False, True
            starts[i], next_free = True, end + 1
        else:
            broken.append(BrokenRecord(first + i, lines[i].as_py().decode("utf-8", "replace")))
    starts[consumed:] = keep[consumed:] = False
    return (
        _parse_records(lines.filter(pa.array(keep)), grammar),
        first + np.flatnonzero(starts),
        broken,
        consumed,
    )


def _find_closing_line(odd: np.ndarray, line: int) -> tuple[bool, int | None]:
    """Return whether a line leaves a quote open, and the next line that can close it.

    Both have an odd number of quotes; ``odd`` are the numbers of such lines.
    """
    at = int(np.searchsorted(odd, line))
    opened = at < len(odd) and bool(odd[at] == line)
    return opened, int(odd[at + 1]) if opened and at + 1 < len(odd) else None


def _find_complete_lines(lines: pa.Array, grammar: CsvDialect) -> np.ndarray:
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


def _parse_records(lines: pa.Array, grammar: CsvDialect) -> pa.Table:
    names = [f"c{i}" for i in range(grammar.width)]
    if not len(lines):
        return pa.table({name: pa.array([], pa.string()) for name in names})
    data = pc.binary_join(pa.ListArray.from_arrays([0, len(lines)], lines), b"\n")[0].as_buffer()
    # One block for all: Arrow (25.0.1) refuses a quoted value that straddles two. No text is null
    # here, not even "NA": which texts mean a missing value is up to the config.
    return arrow_csv.read_csv(
        pa.BufferReader(data),
        arrow_csv.ReadOptions(column_names=names, block_size=len(data) + 1),
        arrow_csv.ParseOptions(delimiter=grammar.delimiter, newlines_in_values=True),
        arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    )


def is_utf8(text: bytes) -> bool:
    """Return whether bytes are UTF-8 text."""
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _to_numpy(values: pa.Array) -> np.ndarray:
    return values.to_numpy(zero_copy_only=False)
