"""CSV files as text columns, read line by line; each broken line is separated from the good ones.

Records obey the grammar of ``csv_grammar``. Lines end in LF or CRLF, and a blank line is not a row.
A quote that is never closed affects only its own line, not the rest of the file; for this, lines
are split before the parser sees them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from features.intake.formats.csv_grammar import (
    CsvDialect,
    find_blank_lines,
    find_complete_lines,
    is_utf8,
)
from features.intake.formats.csv_header import HEADER_LINES, Header, read_header
from features.intake.formats.limits import (
    MAX_BLOCK_LINES,
    MAX_COLUMNS,
    require_few_columns,
    require_plausible_size,
    require_short_line,
)
from features.intake.storage.packing import open_unpacked
from features.intake.storage.source_file import SourceFile
from features.tools.id_index import contains_nul

# Bytes read per block (64 MB); also the maximum size of a quoted field before its quote counts as
# broken.
BLOCK_BYTES = 1 << 26


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


def read_line_blocks(file: SourceFile) -> Iterator[LineBlock]:
    """Yield a file as blocks of whole lines.

    Compressed files are decompressed by their extension; a leading UTF-8 BOM is removed. Raises
    DataError for a line of more than MAX_LINE_BYTES, and for a file that unpacks without end.
    """
    rest, first, size, packed = b"", 1, 0, file.size
    with open_unpacked(file) as stream:
        while block := stream.read(BLOCK_BYTES):
            # A BOM stands at the start of a file only; anywhere else the bytes are text.
            data = rest + (block if size else block.removeprefix(b"\xef\xbb\xbf"))
            size += len(block)
            require_plausible_size(file, size, packed)
            end = data.rfind(b"\n") + 1
            rest = data[end:]
            for lines in _split_block(data[: end - 1]) if end else ():
                yield LineBlock(first, lines, False)
                first += len(lines)
            require_short_line(file, len(rest), first)
    yield LineBlock(first, split_lines(rest), True)


def _split_block(data: bytes) -> Iterator[pa.Array]:
    """Yield the lines of a text without its last LF, at most MAX_BLOCK_LINES at a time."""
    if data.count(b"\n") < MAX_BLOCK_LINES:
        yield split_lines(data)
        return
    begin = 0
    while begin <= len(data):
        # No line has less than its LF, so so many bytes are not more lines.
        end = data.find(b"\n", begin + MAX_BLOCK_LINES)
        end = len(data) if end < 0 else end
        yield split_lines(data[begin:end])
        begin = end + 1


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


def read_csv(
    file: SourceFile, delimiter: str | None
) -> Iterator[tuple[list[str], pa.Table, np.ndarray, list[BrokenRecord]]]:
    """Yield blocks of a CSV file: names, text columns ``c0`` …, line of each row, broken records.

    The first record is the header, after blank lines and a line such as ``sep=;``. A file without
    lines yields one block without columns. Raises DataError for an unreadable header.
    """
    header: Header | None = None
    rest, first = pa.array([], pa.binary()), 1
    for block in read_line_blocks(file):
        lines = pa.concat_arrays([rest, block.lines])
        if header is None:
            # A header may span lines, and the rows after it help to find the delimiter.
            if len(lines) < HEADER_LINES and not block.last and lines.nbytes < BLOCK_BYTES:
                rest = lines
                continue
            header = read_header(lines, delimiter, file)
            require_few_columns(len(header.names), MAX_COLUMNS, file)
            lines, first = lines[header.lines :], first + header.lines
        table, rows, broken, used = _split_records(lines, first, header.dialect, block.last)
        yield header.names, table, rows, broken
        rest, first = lines[used:], first + used


def _split_records(
    lines: pa.Array, first: int, grammar: CsvDialect, last: bool
) -> tuple[pa.Table, np.ndarray, list[BrokenRecord], int]:
    """Return the rows, the line of each, the broken records, and the number of lines consumed."""
    complete = find_complete_lines(lines, grammar) & ~find_unreadable_lines(lines)
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


def _to_numpy(values: pa.Array) -> np.ndarray:
    return values.to_numpy(zero_copy_only=False)
