"""The header of a CSV file: its fields obey the grammar of the rows, and the rows help to find it.

The delimiter is the one with which most of the first rows have as many fields as the header; the
header alone may hold more commas than semicolons in a file that is separated by semicolons.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from configs.errors import DataError
from configs.names import BLANKS
from features.intake.formats.csv_grammar import (
    CsvDialect,
    find_blank_lines,
    find_complete_lines,
    split_fields,
)
from features.intake.storage.source_file import SourceFile

# In order of preference, where nothing else decides.
DELIMITERS = ",;\t|"

# Lines that are looked at to find header and delimiter.
HEADER_LINES = 200

# Characters of the longest heading; a longer one is not a heading but a file without line ends.
MAX_HEADING = 1 << 17

# A spreadsheet program writes the delimiter into a line of its own before the header.
SEPARATOR_LINE = re.compile(rb'"?sep=([ -~\t])"?\r?', re.IGNORECASE)

# Name of a column whose heading is empty; of several, all but the first have a number.
UNNAMED_PATTERN = re.compile(r"(?: \(\d+\))?")

# Fewest rows that must agree with each other before they prove the header wrong.
MIN_AGREEING_ROWS = 3


@dataclass(frozen=True)
class Header:
    """Header of a file.

    Attributes:
        names: Headings, without outer blanks.
        dialect: Delimiter, and number of fields.
        lines: Number of lines up to the first row.
    """

    names: list[str]
    dialect: CsvDialect
    lines: int


def is_unnamed(name: str) -> bool:
    """Return whether a column has an empty heading."""
    return UNNAMED_PATTERN.fullmatch(name) is not None


def read_header(lines: pa.Array, delimiter: str | None, file: SourceFile) -> Header:
    """Read the header from the first lines of a file; without any line it has no name.

    ``delimiter`` is that of the config, if given. Raises DataError if no delimiter makes the first
    lines a record, and if the first rows agree on another number of fields than the header's.
    """
    nonblank = np.flatnonzero(~find_blank_lines(lines))
    if not len(nonblank):
        return Header([], CsvDialect(delimiter or DELIMITERS[0], 0), len(lines))
    begin, candidates = int(nonblank[0]), delimiter or DELIMITERS
    if (hint := SEPARATOR_LINE.fullmatch(lines[begin].as_py())) and len(nonblank) > 1:
        begin, candidates = int(nonblank[1]), delimiter or hint[1].decode()
    parsed = (_parse_header(lines, begin, candidate) for candidate in candidates)
    headers = [header for header in parsed if header is not None]
    if not headers:
        raise DataError(
            "unreadable header",
            where=file.address,
            found="not UTF-8, or contains a NUL byte, a lone carriage return or a broken quote",
            fix="save the file as UTF-8 CSV",
        )
    rows = lines[begin : begin + HEADER_LINES]
    chosen = max(headers, key=lambda header: _rank_header(header, rows, candidates))
    _check_width(chosen, lines[chosen.lines : chosen.lines + HEADER_LINES], file)
    return chosen


def _parse_header(lines: pa.Array, begin: int, delimiter: str) -> Header | None:
    """Read the record that begins in a line, and may go on in the next ones."""
    for end in range(begin, min(begin + HEADER_LINES, len(lines))):
        # A record of several lines ends where its quotes are balanced.
        record = b"\n".join(lines[begin : end + 1].to_pylist())
        if end == begin or record.count(b'"') % 2 == 0:
            fields = split_fields(record, delimiter)
            if fields is not None and max(map(len, fields)) <= MAX_HEADING:
                names = [field.strip(BLANKS) for field in fields]
                return Header(names, CsvDialect(delimiter, len(names)), end + 1)
            if end > begin:
                return None
    return None


def _rank_header(header: Header, lines: pa.Array, candidates: str) -> tuple[int, int, int]:
    """Rank a reading of the header: by rows that fit it, its fields, and the preference."""
    width = header.dialect.width
    fits = int(find_complete_lines(lines, header.dialect).sum()) if width > 1 else 0
    return fits, width, -candidates.index(header.dialect.delimiter)


def _check_width(header: Header, lines: pa.Array, file: SourceFile) -> None:
    """Raise DataError if the first rows agree on another number of fields than the header's.

    Rows without their last fields, or with empty ones behind them, do not prove it wrong.
    """
    rows = lines.filter(pa.array(~find_blank_lines(lines))).to_pylist()
    parsed = [split_fields(row, header.dialect.delimiter) for row in rows]
    widths = {len(fields) if fields else 0 for fields in parsed}
    width = header.dialect.width
    if len(rows) < MIN_AGREEING_ROWS or len(widths) != 1 or not width < max(widths):
        return
    if not any(field for fields in parsed if fields for field in fields[width:]):
        return
    raise DataError(
        "header and rows differ in their number of fields",
        where=file.address,
        found=f"{width} in the header, {max(widths)} in each of the first {len(rows)} rows",
        fix="give each column a heading, or give the delimiter",
    )
