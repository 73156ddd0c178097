"""The header of a CSV file: its fields obey the grammar of the rows, and the rows help to find it.

The header is the first record from which on the records have as many fields as itself. The
delimiter is the one with which most of the first records do; the header alone may hold more commas
than semicolons in a file that is separated by semicolons.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from configs.errors import DataError
from configs.names import AUTO, BLANKS
from configs.source_rows import SourceRows
from features.intake.csv_text.grammar import CsvDialect, find_blank_lines, split_fields
from features.intake.storage.source_file import SourceFile
from features.readings.source_form import FormEntry

# In order of preference, where nothing else decides.
DELIMITERS = ",;\t|"
TAB = "\t"

# Lines that are looked at to find header and delimiter.
HEADER_LINES = 200

# Characters of the longest heading; a longer one is not a heading but a file without line ends.
MAX_HEADING = 1 << 17

# A spreadsheet program writes the delimiter into a line of its own before the header.
SEPARATOR_LINE = re.compile(rb'"?sep=([ -~\t])"?[,;\t]*\r?', re.IGNORECASE)

# Name of a column whose heading is empty; of several, all but the first have a number.
UNNAMED_PATTERN = re.compile(r"(?: \(\d+\))?|Unnamed: \d+")

# Fewest rows that must agree with each other before they prove the header wrong.
MIN_AGREEING_ROWS = 3

# Characters of a skipped line that are shown, and skipped lines.
MAX_SHOWN, MAX_SHOWN_LINES = 60, 6

_DIGIT = re.compile(r"\d")


@dataclass(frozen=True)
class Record:
    """A record among the first lines.

    Attributes:
        begin: Number of its first line, from 0.
        end: Number of the line after its last one.
        fields: Its fields; None if they cannot be read.
    """

    begin: int
    end: int
    fields: list[str] | None

    @property
    def width(self) -> int:
        """Return the number of fields."""
        return len(self.fields or ())

    @property
    def filled(self) -> int:
        """Return the number of fields up to the last one that is not empty."""
        cells = self.fields or ()
        return max((i for i, cell in enumerate(cells, 1) if cell.strip(BLANKS)), default=0)


@dataclass(frozen=True)
class Header:
    """Header of a file.

    Attributes:
        names: Headings, without outer blanks.
        dialect: Delimiter, and number of fields.
        lines: Number of lines up to the first row.
        form: How delimiter and skipped lines were found.
        fits: Records with as many fields as the header, itself included, among the first lines.
        records: Records from the header on, among the first lines.
    """

    names: list[str]
    dialect: CsvDialect
    lines: int
    form: tuple[FormEntry, ...] = ()
    fits: int = 0
    records: int = 0


def is_unnamed(name: str) -> bool:
    """Return whether a column has an empty heading, or the one that pandas gives to such."""
    return UNNAMED_PATTERN.fullmatch(name) is not None


def read_header(lines: pa.Array, source: SourceRows, file: SourceFile) -> Header:
    """Read the header from the first lines of a file; without any line it has no name.

    Raises DataError if no delimiter makes the first lines a record, if two do so equally well, and
    if the first rows agree on another number of fields than the header's.
    """
    skipped = source.skip_above if isinstance(source.skip_above, int) else 0
    nonblank = np.flatnonzero(~find_blank_lines(lines))
    hint = SEPARATOR_LINE.fullmatch(lines[int(nonblank[0])].as_py()) if len(nonblank) else None
    hint = hint if len(nonblank) > 1 else None
    nonblank = nonblank[1:] if hint else nonblank
    nonblank = nonblank[nonblank >= skipped]
    if not len(nonblank):
        return Header([], CsvDialect(source.delimiter or DELIMITERS[0], 0), len(lines))
    stated = hint[1].decode() if hint else None
    candidates = source.delimiter or stated or DELIMITERS
    headers = [
        header
        for candidate in candidates
        if (header := _find_header(lines, int(nonblank[0]), candidate, source.skip_above))
    ]
    if not headers:
        raise DataError(
            "unreadable header",
            where=file.address,
            found="not UTF-8, or contains a NUL byte, a lone carriage return or a broken quote",
            fix="save the file as UTF-8 CSV, or give its encoding",
        )
    chosen = max(headers, key=lambda header: _rank_header(header, candidates))
    _check_only_reading(chosen, headers, file)
    _check_width(chosen, lines[chosen.lines : chosen.lines + HEADER_LINES], file)
    return replace(chosen, form=(*_describe_delimiter(chosen, source, stated), *chosen.form))


def _find_header(
    lines: pa.Array, begin: int, delimiter: str, skip_above: int | str
) -> Header | None:
    """Return the header as it is with one delimiter."""
    records = _list_records(lines, begin, delimiter)
    first = records[0]
    if first.fields is None or max(map(len, first.fields)) > MAX_HEADING:
        return None
    body = Counter(record.width for record in records[1:] if record.fields)
    width = max(body, key=lambda fields: (body[fields], fields), default=first.width)
    place = 0
    if skip_above == AUTO and _is_above(first, width, records):
        place = _find_place(records, width)
    header = records[place]
    names = [field.strip(BLANKS) for field in header.fields or ()]
    if _lacks_index_heading(header, records[place + 1 :]):
        names = ["", *names]
    rows = records[place + 1 :]
    fits = 1 + sum(row.width >= len(names) >= row.filled and row.width > 1 for row in rows)
    dialect = CsvDialect(delimiter, len(names))
    form = _describe_above(lines, header.begin, skip_above) if place or skip_above != AUTO else ()
    return Header(names, dialect, header.end, form, fits, len(records) - place)


def _list_records(lines: pa.Array, begin: int, delimiter: str) -> list[Record]:
    """Return the records of the first lines from one on, without blank lines."""
    texts = lines[begin : begin + HEADER_LINES].to_pylist()
    records, at = list[Record](), 0
    while at < len(texts):
        if texts[at] in (b"", b"\r"):
            at += 1
            continue
        end, fields = at + 1, split_fields(texts[at], delimiter)
        if fields is None and texts[at].count(b'"') % 2:
            # A record of several lines ends where its quotes are balanced.
            closing = next((i for i in range(end, len(texts)) if texts[i].count(b'"') % 2), None)
            if closing is not None:
                fields = split_fields(b"\n".join(texts[at : closing + 1]), delimiter)
                end = closing + 1 if fields is not None else end
        records.append(Record(begin + at, begin + end, fields))
        at = end
    return records


def _is_above(first: Record, width: int, records: list[Record]) -> bool:
    """Return whether the first record is no header, since most others have more fields."""
    if first.width < width:
        surplus = [r for r in records[1:] if r.width == width and r.filled > first.width]
        return bool(surplus) and not _lacks_index_heading(first, records[1:])
    # A spreadsheet writes a title with the delimiters of all its columns.
    return first.width == width and first.filled == 1 and width > 1


def _find_place(records: list[Record], width: int) -> int:
    """Return the place of the header after lines above it; 0 if it is not certain."""
    # Of the fields of all rows the last ones may be empty, and the header lack them.
    least = max(2, *(record.filled for record in records if record.width == width))
    for place, record in enumerate(records[1:], 1):
        if not least <= record.width <= width or record.filled < min(least, width):
            continue
        above, below = records[:place], records[place + 1 :]
        if not below or not _looks_like_headings(record):
            return 0
        apart = record.begin > above[-1].end or not above[-1].filled
        short = all(record.width == 1 for record in above) and width > 2
        return place if apart or short or _differs_in_kind(record, below) else 0
    return 0


def _looks_like_headings(record: Record) -> bool:
    """Return whether the cells are distinct texts, neither numbers nor dates.

    The first one may be empty, and the last ones.
    """
    cells = [cell.strip(BLANKS) for cell in record.fields or ()][: record.filled]
    named = [cell for cell in cells if cell]
    return (
        len(named) >= 2
        and "" not in cells[1:]
        and len(set(named)) == len(named)
        and all(re.search(r"[^\W\d]", cell) for cell in named)
    )


def _differs_in_kind(header: Record, rows: list[Record]) -> bool:
    """Return whether in some column all values have digits and the heading has none."""
    own = [row.fields for row in rows if row.fields and row.width == header.width]
    for i, heading in enumerate(header.fields or ()):
        values = [fields[i] for fields in own if fields[i].strip(BLANKS)]
        if values and not _DIGIT.search(heading) and all(map(_DIGIT.search, values)):
            return True
    return False


def _lacks_index_heading(header: Record, rows: list[Record]) -> bool:
    """Return whether all rows have one field more, in front, and it is a running number."""
    if not rows or any(row.width != header.width + 1 for row in rows):
        return False
    numbers = [(row.fields or [""])[0].strip(BLANKS) for row in rows]
    if not all(number.isdecimal() and number.isascii() for number in numbers) or len(rows) < 2:
        return False
    first = int(numbers[0])
    return first in (0, 1) and [int(n) for n in numbers] == list(range(first, first + len(rows)))


def _describe_above(lines: pa.Array, begin: int, skip_above: int | str) -> tuple[FormEntry, ...]:
    """Return how many lines stand before the header, with their texts."""
    if skip_above != AUTO:
        return (FormEntry("skip_above", "", str(skip_above), "config"),)
    shown = describe_lines(lines[:begin].to_pylist(), 1)
    return (FormEntry("skip_above", "", str(begin), "proven", shown),)


def describe_lines(lines: list[bytes], first: int) -> str:
    """Return numbers and texts of lines for a message; blank ones are left out."""
    texts = [
        f"line {first + i:,}: {text[:MAX_SHOWN]!r}"
        for i, line in enumerate(lines)
        if (text := line.decode("utf-8", "replace").strip().strip(DELIMITERS))
    ]
    more = f"; and {len(texts) - MAX_SHOWN_LINES} more" if len(texts) > MAX_SHOWN_LINES else ""
    return "; ".join(texts[:MAX_SHOWN_LINES]) + more


def _rank_header(header: Header, candidates: str) -> tuple[int, bool, int, int]:
    """Rank a reading: by records that fit it, a tab, its fields, and the preference."""
    width = header.dialect.width
    # No text holds a tab, so one in each record separates.
    is_tab = header.dialect.delimiter == TAB and width > 1
    fits = header.fits if width > 1 else 0
    return fits, is_tab, width, -candidates.index(header.dialect.delimiter)


def _check_only_reading(chosen: Header, headers: list[Header], file: SourceFile) -> None:
    """Raise DataError if two delimiters separate all of the first records equally well."""
    if chosen.dialect.delimiter == TAB or chosen.dialect.width < 2 or chosen.records < 3:
        return
    for other in headers:
        is_other = other is not chosen and other.dialect.width > 1 and other.records > 2
        # A row of data would make a title of the heading above it, which fits all rows.
        is_row = other.lines > chosen.lines and any(map(_DIGIT.search, other.names))
        is_other &= not is_row
        if is_other and other.fits == other.records and chosen.fits == chosen.records:
            best, second = chosen.dialect, other.dialect
            raise DataError(
                "the delimiter is in doubt",
                where=file.address,
                found=f"the header has {best.width} fields by {best.delimiter!r} "
                f"({chosen.names[0]!r}, {chosen.names[1]!r} …) and {second.width} by "
                f"{second.delimiter!r} ({other.names[0]!r}, {other.names[1]!r} …), and so have "
                f"all of the first {chosen.records - 1} rows",
                fix=f"delimiter: {best.delimiter!r}, or delimiter: {second.delimiter!r}",
            )


def _describe_delimiter(
    header: Header, source: SourceRows, stated: str | None
) -> tuple[FormEntry, ...]:
    delimiter = header.dialect.delimiter
    if source.delimiter:
        return (FormEntry("delimiter", "", delimiter, "config"),)
    if stated:
        return (FormEntry("delimiter", "", delimiter, "stated", f"a line says sep={stated}"),)
    if header.dialect.width < 2:
        return ()
    if header.records < 2:
        return (FormEntry("delimiter", "", delimiter, "open", "there are no rows"),)
    evidence = "the first rows have as many fields as the header"
    return (FormEntry("delimiter", "", delimiter, "proven", evidence),)


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
    filled = sum(any(fields[width:]) for fields in parsed if fields)
    if filled <= len(rows) / 2:
        return
    raise DataError(
        "header and rows differ in their number of fields",
        where=file.address,
        found=f"{width} in the header, {max(widths)} in each of the first {len(rows)} rows",
        fix="give each column a heading, or the delimiter, or skip_above: the lines of a title",
    )
