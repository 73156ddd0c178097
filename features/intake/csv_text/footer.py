"""Lines below the rows of a CSV file: totals, counts, and notes about the report.

A line below is shown with its text, and is no row. A line that may be a row stays one: it is read,
or set aside as a broken record. So is a line that begins like totals and goes on like a row.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from configs.names import BLANKS
from features.intake.csv_text.grammar import CsvDialect, split_fields
from features.intake.csv_text.shapes import find_shape

# Lines at the end of a file among which lines below the rows are looked for.
FOOTER_LINES = 64

# Fewest rows by whose ids another first cell is odd.
MIN_ROWS = 3

TOTALS = re.compile(
    r"((grand|sub|overall|report)[ -]?)?totals?( g[ée]n[ée]ral)?|sum|summe|gesamt(summe|ergebnis)?|"
    r"(общий |промежуточный )?итого?|всего|сумма|totale|totaal|razem|suma|toplam|celkem|összesen|"
    r"合计|总计",
    re.IGNORECASE,
)
# A count or a colon may follow the word; further words make it the name of something.
TOTALS_CELL = re.compile(rf"({TOTALS.pattern})\s*([:(\d].*)?", re.IGNORECASE | re.DOTALL)
NOTE = re.compile(
    r"confidential|copyright|©|\(c\) |generated |created by |exported |report |end of |source:|"
    r"printed |\W*\d+ (records?|rows?|leads|строк|запис)|конфиденциально|отчет |отчёт |"
    r"сформирован|выгружен|vertraulich|erstellt |confidentiel",
    re.IGNORECASE,
)
_DATE = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}(\D.*)?", re.DOTALL)
_NUMBER = re.compile(r"[^\w]*\d[\d\s.,'’%]*\W*(\w{1,3}|records?|rows?|leads)?\W*")


def find_footer(lines: Sequence[bytes], dialect: CsvDialect) -> int:
    """Return the place of the first line below the rows among the last lines of a file.

    The place is the number of lines where there is none below.
    """
    # What stands before a line with an open or closing quote may be within a field.
    quoted = max((i for i, line in enumerate(lines, 1) if line.count(b'"') % 2), default=0)
    parsed = [split_fields(line, dialect.delimiter) for line in lines]
    parsed[:quoted] = [None] * quoted
    rows = [fields for fields in parsed if fields and len(fields) == dialect.width > 1]
    shapes = Counter(find_shape(row[0]) for row in rows if not _is_total(row[0]))
    start, first = len(lines), len(lines)
    for place in range(len(lines) - 1, -1, -1):
        cells = _list_filled(parsed[place])
        if cells == []:
            continue
        fields = parsed[place]
        if cells is None or fields is None:
            break
        if not _may_be_below(fields, cells, dialect.width, shapes):
            break
        if _is_like_rows(fields, rows):
            break
        start = place
    # From above: a line without a word that says so must follow a blank line or such a one.
    for place in range(start, len(lines)):
        cells = _list_filled(parsed[place])
        if cells and (_is_apart(parsed, place) or _says_so(cells[0])):
            first = place
            break
    return first


def is_doubtful_total(lines: Sequence[bytes], dialect: CsvDialect) -> bool:
    """Return whether the last line that is not blank begins like totals and goes on like a row.

    Its first cell must look like no other id; otherwise it is a row of such a name.
    """
    parsed = [split_fields(line, dialect.delimiter) for line in lines]
    rows = [fields for fields in parsed if fields and any(fields)]
    full = [fields for fields in rows if len(fields) == dialect.width > 1]
    if not full or full[-1] is not rows[-1] or not _is_total(full[-1][0]):
        return False
    shapes = {find_shape(row[0]) for row in full[:-1] if not _is_total(row[0])}
    is_odd = find_shape(full[-1][0]) not in shapes and len(full) > MIN_ROWS
    return is_odd and _is_like_rows(full[-1], full[:-1])


def _is_like_rows(fields: list[str], rows: Sequence[list[str]]) -> bool:
    """Return whether a line with all fields has a date, or a part of an id, where rows have one.

    Rows are other lines with all fields, and may hold the line itself. A sum shows nothing.
    """
    others = [row for row in rows if row is not fields]
    return len(fields) == len(rows[0] if rows else ()) and any(
        "9" in find_shape(cell)
        and (_DATE.fullmatch(cell.strip()) or not _NUMBER.fullmatch(cell))
        and any(find_shape(row[column]) == find_shape(cell) for row in others)
        for column, cell in enumerate(fields[1:], 1)
    )


def _list_filled(fields: list[str] | None) -> list[str] | None:
    """Return the cells with a text; None for a line that is no record."""
    if fields is None:
        return None
    return [text for cell in fields if (text := cell.strip(BLANKS))]


def _may_be_below(
    fields: list[str], cells: list[str], width: int, shapes: Mapping[str, int]
) -> bool:
    """Return whether a line is no row, or may be none if it stands apart from the rows."""
    if width == 1:
        return _says_so(cells[0])
    shape = find_shape(cells[0])
    if _is_total(cells[0]):
        # A company may have such a name: its row has more than numbers, and an id like others.
        is_odd = shape not in shapes and sum(shapes.values()) >= MIN_ROWS
        return is_odd or all(_NUMBER.fullmatch(cell) for cell in cells[1:])
    if NOTE.match(cells[0]) and len(cells) == 1:
        return True
    # What looks like an id is the rest of a row.
    return len(fields) != width and shape not in shapes


def _says_so(cell: str) -> bool:
    """Return whether a text says that it is no row."""
    return _is_total(cell) or NOTE.match(cell) is not None


def _is_total(cell: str) -> bool:
    return TOTALS_CELL.fullmatch(cell.strip(BLANKS)) is not None


def _is_apart(parsed: Sequence[list[str] | None], place: int) -> bool:
    """Return whether a blank line stands before a line."""
    return place > 0 and _list_filled(parsed[place - 1]) == []
