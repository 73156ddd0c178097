"""Read a workbook from standard input and write the cells of one sheet as an Arrow stream.

Run as a program of its own: a damaged or malicious workbook may make the reader end the whole
process, or ask for all memory. It imports no other module of this package.

The stream has one column for each column of the sheet and kind of cell that occurs in it, named
by position and kind, such as ``3 number``; rows are those of the sheet from its first one on. Its
metadata say which sheet it is, and what the cells do not show. A failure is one JSON object with
``what``, ``found`` and ``fix``, and the exit status REFUSED.
"""

from __future__ import annotations

import io
import json
import re
import resource
import sys
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import Any
from xml.etree import ElementTree

import pyarrow as pa

# Exit status of a failure that the output describes.
REFUSED = 3
# Name of the metadata with the description of the sheet.
DESCRIPTION = b"sheet"
# Kinds of cells. Instants have no zone; other times of a clock, and durations, are texts.
NUMBER, TRUTH, INSTANT, TEXT = "number", "truth", "instant", "text"
ARROW_TYPES = {
    NUMBER: pa.float64(),
    TRUTH: pa.bool_(),
    INSTANT: pa.timestamp("us"),
    TEXT: pa.string(),
}

# Address space and seconds of processor time that reading may take.
MAX_MEMORY, MAX_SECONDS = 6 << 30, 900
# Rows that are turned into columns at a time.
CHUNK_ROWS = 1 << 14
# Whole numbers up to here are exact in float64.
MAX_EXACT = 1 << 53
# Bytes of XML that are searched at a time, and the most that one row may have.
SCAN_BYTES, MAX_ROW_BYTES = 1 << 22, 1 << 26

FIX_CSV = "save the sheet as “CSV UTF-8”; format columns of ids as text first, or they are rounded"
FIX_CALCULATE = "open the workbook in a spreadsheet program and save it, or save the sheet as CSV"

_PREFIX = rb"(?:\w+:)?"
_ERROR_CELL = re.compile(rb"<" + _PREFIX + rb'c\b[^>]*\bt="e"[^>]*>')
_FORMULA_CELL = re.compile(
    rb"<" + _PREFIX + rb"c\b(?P<attributes>[^>]*)>\s*<" + _PREFIX + rb"f\b"
    rb"(?:[^>]*/>|[^>]*>[^<]*</" + _PREFIX + rb"f>)\s*(?P<value><" + _PREFIX + rb"v>[^<])?"
)
_REFERENCE = re.compile(rb'\br="([A-Z]+[0-9]+)"')
# A format that shows a number with leading zeros, such as that of a postal code.
_ZERO_FORMAT = re.compile(r"0{2,}")


class RefusedError(Exception):
    """The workbook cannot be used; the arguments are problem, observation and fix."""


def write_sheet(sheet: str) -> None:
    """Write the sheet of a workbook; an empty name means the only one with rows."""
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_SECONDS, MAX_SECONDS))
    try:
        table = _read_sheet(io.BytesIO(sys.stdin.buffer.read()), sheet)
    except RefusedError as error:
        what, observed, fix = error.args
        json.dump({"what": what, "found": observed, "fix": fix}, sys.stdout, allow_nan=False)
        sys.exit(REFUSED)
    with pa.ipc.new_stream(sys.stdout.buffer, table.schema) as stream:
        stream.write_table(table)


def _read_sheet(content: io.BytesIO, name: str) -> pa.Table:
    import python_calamine

    try:
        # By content, since a name is often wrong: many an .xls file is an .xlsx workbook.
        with python_calamine.load_workbook(content) as workbook:
            sheet = _choose_sheet(workbook, name)
            # Rows are counted from the first one, and columns from the first one with a value.
            left = sheet.start[1]
            merged = [
                [(row, column - left) for row, column in corners]
                for corners in sheet.merged_cell_ranges or ()
            ]
            table = _to_table(sheet.iter_rows())
    except python_calamine.PasswordError:
        raise RefusedError(
            "the workbook is protected by a password", "it cannot be opened", FIX_CSV
        ) from None
    except (python_calamine.CalamineError, OSError) as error:
        raise RefusedError("cannot read the workbook", str(error), FIX_CSV) from None
    description = {"name": sheet.name, "merged": merged, **_scan_sheet(content, sheet.name)}
    return table.replace_schema_metadata({DESCRIPTION: json.dumps(description, allow_nan=False)})


def _choose_sheet(workbook: Any, name: str) -> Any:
    """Return the named sheet, or the only visible one with cells."""
    kinds = {meta.name: str(meta.typ) for meta in workbook.sheets_metadata}
    visible = {
        meta.name: str(meta.visible).endswith(".Visible") for meta in workbook.sheets_metadata
    }
    names = [sheet for sheet, kind in kinds.items() if kind.endswith("WorkSheet")]
    if name:
        if name not in names:
            raise RefusedError(
                "no such sheet", f"{name!r}; {_list_sheets(names)}", "name one of them"
            )
        sheet = workbook.get_sheet_by_name(name)
        if not sheet.height:
            raise RefusedError("the sheet is empty", repr(name), "name a sheet with rows")
        return sheet
    filled = [s for s in map(workbook.get_sheet_by_name, names) if s.height]
    shown = [sheet for sheet in filled if visible[sheet.name]]
    if len(shown) == 1:
        return shown[0]
    listed = _list_sheets([sheet.name for sheet in filled])
    if shown:
        raise RefusedError(
            "several sheets have rows",
            _list_sheets([sheet.name for sheet in shown]),
            "say which one is meant: sheet: NAME",
        )
    if filled:
        raise RefusedError("only hidden sheets have rows", listed, "give sheet: NAME")
    raise RefusedError("the workbook has no rows", _list_sheets(names), FIX_CSV)


def _list_sheets(names: Sequence[str]) -> str:
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    shown = ", ".join(repr(name) for name in names[:20])
    return f"the sheets are {shown}{more}" if names else "there is no sheet"


def _to_table(rows: Iterator[list[Any]]) -> pa.Table:
    """Return the cells by column and kind."""
    parts = list[pa.Table]()
    while chunk := list(islice(rows, CHUNK_ROWS)):
        columns: dict[str, pa.Array] = {}
        for place, cells in enumerate(zip(*chunk, strict=True)):
            for kind, array in _split_cells(cells).items():
                columns[f"{place} {kind}"] = array
        # A column without a name keeps the number of rows, also where all cells are empty.
        parts.append(pa.table({"": pa.nulls(len(chunk)), **columns}))
    return pa.concat_tables(parts, promote_options="default")


def _split_cells(cells: Sequence[Any]) -> dict[str, pa.Array]:
    """Return the cells of a column by kind; null where a cell is of another kind or empty."""
    kinds = set(map(type, cells))
    if kinds <= {str}:
        return {TEXT: pa.array([cell or None for cell in cells])} if any(cells) else {}
    if kinds == {float}:
        return {NUMBER: pa.array(cells, pa.float64())}
    pairs = [_convert_cell(cell) for cell in cells]
    return {
        kind: pa.array([value if own == kind else None for own, value in pairs], arrow_type)
        for kind, arrow_type in ARROW_TYPES.items()
        if any(own == kind for own, _ in pairs)
    }


def _convert_cell(cell: Any) -> tuple[str, Any]:
    """Return kind and value of a cell; an empty kind for an empty cell."""
    if isinstance(cell, str):
        return (TEXT, cell) if cell else ("", None)
    if isinstance(cell, bool):
        return TRUTH, cell
    if isinstance(cell, int) and abs(cell) > MAX_EXACT:
        return TEXT, str(cell)
    if isinstance(cell, (int, float)):
        return NUMBER, float(cell)
    if isinstance(cell, datetime):
        return INSTANT, cell.replace(tzinfo=None)
    if isinstance(cell, date):
        return INSTANT, datetime.combine(cell, time())
    if isinstance(cell, timedelta):
        seconds = round(cell.total_seconds())
        return TEXT, f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return TEXT, str(cell)


def _scan_sheet(content: io.BytesIO, name: str) -> dict[str, Any]:
    """Return what the cells of an .xlsx sheet do not show; nothing for other formats.

    These are the cells with an error, those with a formula that was never calculated, and those
    whose format shows leading zeros: the number of each, and the first one's reference.
    """
    if not zipfile.is_zipfile(content):
        return {}
    try:
        with zipfile.ZipFile(content) as archive:
            if "_rels/.rels" not in archive.namelist() or _find_book(archive)[0].endswith(".bin"):
                return {}
            part, never_calculated = _find_part(archive, name)
            styles = _find_zero_styles(archive)
            return _scan_part(archive, part, never_calculated, styles) if part else {}
    except (zipfile.BadZipFile, ElementTree.ParseError, KeyError, NotImplementedError) as error:
        raise RefusedError("cannot read the workbook", str(error), FIX_CSV) from None


def _find_part(archive: zipfile.ZipFile, name: str) -> tuple[str, bool]:
    """Return the path of a sheet in its archive, and whether no program calculated its formulas."""
    book, folder, links_path = _find_book(archive)
    root = ElementTree.fromstring(archive.read(book))
    identifier = next(
        (
            value
            for element in root.iter()
            if _strip_namespace(element.tag) == "sheet" and element.get("name") == name
            for key, value in element.attrib.items()
            if _strip_namespace(key) == "id"
        ),
        "",
    )
    calculation = (element for element in root.iter() if _strip_namespace(element.tag) == "calcPr")
    # Written by libraries that leave the calculation to the next program.
    pending = any(element.get("fullCalcOnLoad") in ("1", "true") for element in calculation)
    links = ElementTree.fromstring(archive.read(links_path))
    target = next((link.get("Target", "") for link in links if link.get("Id") == identifier), "")
    part = target.lstrip("/") if target.startswith("/") else f"{folder}{target}"
    return (part if target else ""), pending


def _find_book(archive: zipfile.ZipFile) -> tuple[str, str, str]:
    """Return the path of the workbook's part, its folder, and the path of its links."""
    root = ElementTree.fromstring(archive.read("_rels/.rels"))
    targets = (
        link.get("Target", "") for link in root if link.get("Type", "").endswith("/officeDocument")
    )
    book = next(targets, "xl/workbook.xml").lstrip("/")
    folder, _, file = book.rpartition("/")
    folder = f"{folder}/" if folder else ""
    return book, folder, f"{folder}_rels/{file}.rels"


def _find_zero_styles(archive: zipfile.ZipFile) -> dict[bytes, str]:
    """Return the formats that show leading zeros, by the number of the style."""
    if "xl/styles.xml" not in archive.namelist():
        return {}
    root = ElementTree.fromstring(archive.read("xl/styles.xml"))
    codes = {
        element.get("numFmtId"): element.get("formatCode", "")
        for element in root.iter()
        if _strip_namespace(element.tag) == "numFmt"
    }
    styles = next((element for element in root if _strip_namespace(element.tag) == "cellXfs"), ())
    return {
        str(number).encode(): codes[style.get("numFmtId")]
        for number, style in enumerate(styles)
        if _ZERO_FORMAT.fullmatch(codes.get(style.get("numFmtId"), ""))
    }


def _scan_part(
    archive: zipfile.ZipFile, part: str, pending: bool, styles: dict[bytes, str]
) -> dict[str, Any]:
    marks: dict[str, dict[str, Any]] = {}

    def note(key: str, cell: bytes, detail: str = "") -> None:
        reference = _REFERENCE.search(cell)
        first = reference[1].decode() if reference else "?"
        marks.setdefault(key, {"count": 0, "first": first, "detail": detail})["count"] += 1

    chosen = b"|".join(styles)
    zeros = re.compile(rb"<" + _PREFIX + rb'c\b[^>]*\bs="(' + chosen + rb')"(?:[^>]*[^/>])?>')
    for text in _iter_rows_of_xml(archive, part):
        for cell in _ERROR_CELL.finditer(text):
            note("errors", cell[0])
        for cell in _FORMULA_CELL.finditer(text) if b"f" in text else ():
            # An empty text is a value too.
            if pending or (not cell["value"] and b't="str"' not in cell["attributes"]):
                note("uncalculated", cell["attributes"])
        for cell in zeros.finditer(text) if styles else ():
            note("zeros", cell[0], styles[cell[1]])
    return marks


def _iter_rows_of_xml(archive: zipfile.ZipFile, part: str) -> Iterator[bytes]:
    """Yield the XML of a sheet in pieces that end with a row."""
    rest = b""
    with archive.open(part) as stream:
        while block := stream.read(SCAN_BYTES):
            text = rest + block
            # Within the end of a row's tag, which holds no cell.
            end = text.rfind(b"row>") + 1
            yield text[:end]
            rest = text[end:]
            if len(rest) > MAX_ROW_BYTES:
                raise RefusedError(
                    "a row of the sheet is too long", f"over {len(rest):,} bytes", FIX_CSV
                )
    yield rest


def _strip_namespace(tag: str) -> str:
    """Return a name of XML without its namespace."""
    return tag.rpartition("}")[2]


if __name__ == "__main__":
    write_sheet(*sys.argv[1:])
