"""Workbooks (.xlsx, .xlsm, .xlsb, .xls, .ods): one sheet as typed columns, read as a whole.

A column keeps the type that all its cells have; of a column with several types each value is the
text that CSV would have. Whole numbers are written in plain digits, as everywhere.
"""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import DataError
from configs.names import BLANKS
from configs.source_rows import SourceRows
from features.intake.csv_text.footer import FOOTER_LINES, find_footer
from features.intake.csv_text.grammar import CsvDialect
from features.intake.csv_text.header import HEADER_LINES, describe_lines, read_header
from features.intake.formats.limits import (
    MAX_COLUMNS,
    require_few_columns,
    require_plausible_size,
)
from features.intake.formats.texts import to_text
from features.intake.storage.source_file import SourceFile
from features.readings.source_form import FormEntry
from features.sheets import process

# Between the cells of a row that is written as a line.
DELIMITER = ","

FIX_STYLE = "format the column as text and enter its values again, or export CSV"


@dataclass(frozen=True)
class SheetRows:
    """The rows of a sheet below its headings.

    Attributes:
        names: Headings; empty where there is none.
        table: Columns ``c0`` …; blank rows are left out.
        rows: Number of each row as the spreadsheet program shows it, from 1.
        form: The sheet that was read.
        warnings: One line for each doubtful reading.
    """

    names: Sequence[str]
    table: pa.Table
    rows: np.ndarray
    form: tuple[FormEntry, ...]
    warnings: tuple[str, ...]


def read_workbook(file: SourceFile, source: SourceRows) -> SheetRows:
    """Read a sheet of a workbook: the one that ``source`` names, or the only one with rows.

    Raises DataError for a workbook that cannot be read, of which no sheet or several may be meant,
    or in which no program has calculated a formula.
    """
    with file.open() as stream:
        content = stream.read()
    _require_plausible_archive(file, content)
    cells = _run_process(file, content, source.sheet or "")
    sheet = json.loads((cells.schema.metadata or {})[process.DESCRIPTION])
    where = f"{file}: sheet {sheet['name']!r}"
    if never := sheet.get("uncalculated"):
        raise DataError(
            "formulas have no calculated value",
            where=where,
            found=f"{never['count']:,} cells, such as {never['first']}",
            fix=process.FIX_CALCULATE,
        )
    columns = _group_by_column(cells)
    require_few_columns(len(columns), MAX_COLUMNS, file)
    filled = _find_filled_rows(cells)
    if not len(filled):
        raise DataError("the sheet is empty", where=where, fix=process.FIX_CSV)
    size, merged = int(filled[-1]) + 1, sheet["merged"]
    top = _write_lines(columns, range(min(HEADER_LINES, size)), merged)
    header = read_header(pa.array(top), source.model_copy(update={"delimiter": DELIMITER}), file)
    end, form = _find_end(columns, range(header.lines, size), source, header.dialect)
    kept = filled[(filled >= header.lines) & (filled < end)]
    table = pa.table(
        [_join_kinds(_take_rows(parts, kept), len(kept)) for parts in columns],
        names=[f"c{i}" for i in range(len(columns))],
    )
    # The delimiter is none of the sheet.
    form = [entry for entry in (*header.form, *form) if entry.key != "delimiter"]
    form = [_describe_choice(file, source, sheet["name"]), *form]
    warnings = [*_list_warnings(where, sheet), *_warn_about_merged(where, merged, kept)]
    return SheetRows(header.names, table, kept + 1, tuple(form), tuple(warnings))


def _find_end(
    columns: Sequence[Mapping[str, pa.ChunkedArray]],
    rows: range,
    source: SourceRows,
    dialect: CsvDialect,
) -> tuple[int, list[FormEntry]]:
    """Return the position after the last row of the table, and how it was found."""
    if isinstance(source.skip_below, int):
        return rows.stop - source.skip_below, [
            FormEntry("skip_below", "", str(source.skip_below), "config")
        ]
    last = range(max(rows.start, rows.stop - FOOTER_LINES), rows.stop)
    lines = _write_lines(columns, last, ())
    place = find_footer(lines, dialect)
    end, below = last.start + place, lines[place:]
    shown = describe_lines(below, end + 1)
    return end, [FormEntry("skip_below", "", str(len(below)), "proven", shown)] if below else []


def _write_lines(
    columns: Sequence[Mapping[str, pa.ChunkedArray]], rows: range, merged: Sequence[Any]
) -> list[bytes]:
    """Return rows as lines of CSV, by which titles, headings and footers are found.

    A heading that spans several columns is written into each of them, with a number.
    """
    places = np.arange(rows.start, rows.stop)
    texts = [
        [(text or "").strip(BLANKS) for text in to_text(cells).to_pylist()]
        for parts in columns
        for cells in [_join_kinds(_take_rows(parts, places), len(places))]
    ]
    lines = list[bytes]()
    for row, cells in zip(rows, map(list, zip(*texts, strict=True)), strict=True):
        # A title alone in its row is no heading.
        if sum(map(bool, cells)) > 1:
            _spread_merged(cells, row, merged)
        quoted = ('"' + cell.replace('"', '""') + '"' if cell else "" for cell in cells)
        line = DELIMITER.join(quoted) if any(cells) else ""
        # A break within a cell would end the line.
        lines.append(" ".join(line.splitlines()).replace("\0", "").encode())
    return lines


def _spread_merged(cells: list[str], row: int, merged: Sequence[Any]) -> None:
    for (top, left), (bottom, right) in merged:
        if top <= row <= bottom and left < len(cells) and cells[left]:
            for column in range(left + 1, min(right + 1, len(cells))):
                cells[column] = f"{cells[left]} ({column - left + 1})"


def _warn_about_merged(where: str, merged: Sequence[Any], rows: np.ndarray) -> Iterator[str]:
    """Yield a line if rows of the table have merged cells, of which the first has the value."""
    kept = set(rows.tolist())
    inner = [cell for cell, (bottom, _) in merged if kept & set(range(cell[0], bottom + 1))]
    if inner:
        row = min(inner)[0] + 1
        yield (
            f"{where}: {len(inner):,} groups of cells are merged, the first in row {row:,}; only "
            "the first cell of each has its value: separate them and fill in the others"
        )


def _describe_choice(file: SourceFile, source: SourceRows, name: str) -> FormEntry:
    if source.sheet:
        return FormEntry("sheet", "", name, "config")
    return FormEntry("sheet", "", name, "proven", f"{file}: the only sheet with rows")


def _require_plausible_archive(file: SourceFile, content: bytes) -> None:
    """Raise DataError for an archive that says that it unpacks to far more than a table."""
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(item.file_size for item in archive.infolist())
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise _make_error(file, str(error)) from None
    require_plausible_size(file, size, len(content))


def _run_process(file: SourceFile, content: bytes, sheet: str) -> pa.Table:
    """Return the cells of a sheet by column and kind, read in a process of its own."""
    # Without the current directory among the places of modules (-P): it may hold anything.
    command = [sys.executable, "-P", process.__file__, sheet]
    ended = subprocess.run(command, input=content, capture_output=True, check=False)
    if ended.returncode == process.REFUSED:
        refusal: dict[str, str] = json.loads(ended.stdout)
        raise DataError(
            refusal["what"], where=file.address, found=refusal["found"], fix=refusal["fix"]
        )
    if ended.returncode:
        lines = ended.stderr.decode("utf-8", "replace").strip().splitlines() or [""]
        memory = f"reading it took more than {process.MAX_MEMORY >> 30} GiB of memory"
        if ended.returncode == -signal.SIGXCPU:
            raise _make_error(file, f"reading it took more than {process.MAX_SECONDS} seconds")
        is_full = ended.returncode < 0 or "MemoryError" in lines[-1] or "malloc" in lines[-1]
        raise _make_error(file, memory if is_full else lines[-1])
    with pa.ipc.open_stream(ended.stdout) as stream:
        return stream.read_all()


def _make_error(file: SourceFile, observed: str) -> DataError:
    return DataError(
        "cannot read the workbook", where=file.address, found=observed, fix=process.FIX_CSV
    )


def _group_by_column(cells: pa.Table) -> list[dict[str, pa.ChunkedArray]]:
    """Return the cells of each column of the sheet by kind."""
    groups = dict[int, dict[str, pa.ChunkedArray]]()
    for name in filter(None, cells.column_names):
        place, _, kind = name.partition(" ")
        groups.setdefault(int(place), {})[kind] = cells[name]
    return [groups.get(place, {}) for place in range(max(groups, default=-1) + 1)]


def _find_filled_rows(cells: pa.Table) -> np.ndarray:
    """Return the positions of the rows with a value that is not blank."""
    filled = np.zeros(len(cells), bool)
    for name in filter(None, cells.column_names):
        column = cells[name]
        if pa.types.is_string(column.type):
            column = pc.if_else(pc.equal(pc.utf8_trim(column, BLANKS), ""), None, column)
        filled |= column.is_valid().to_numpy()
    return np.flatnonzero(filled)


def _take_rows(
    parts: Mapping[str, pa.ChunkedArray], rows: np.ndarray
) -> dict[str, pa.ChunkedArray]:
    """Return the cells in some rows of a column, without the kinds that do not occur there."""
    taken = {kind: cells.take(pa.array(rows)) for kind, cells in parts.items()}
    return {kind: cells for kind, cells in taken.items() if cells.null_count < len(cells)}


def _join_kinds(parts: Mapping[str, pa.ChunkedArray], size: int) -> pa.ChunkedArray:
    """Return the cells of a column in the type that they share, or as texts."""
    if not parts:
        return pa.chunked_array([pa.nulls(size, pa.string())])
    if len(parts) == 1:
        kind, cells = next(iter(parts.items()))
        return _shorten_instants(cells) if kind == process.INSTANT else cells
    texts = dict[str, pa.ChunkedArray]()
    for kind, cells in parts.items():
        text = to_text(cells)
        if kind == process.INSTANT:
            text = pc.replace_substring_regex(text, pattern=" 00:00:00$", replacement="")
        texts[kind] = text
    return pc.coalesce(*texts.values())


def _shorten_instants(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return instants as dates if each is the first of its day."""
    days = cells.cast(pa.date32(), safe=False)
    is_day = pc.fill_null(pc.equal(days.cast(cells.type), cells), True)
    return days if pc.all(is_day).as_py() else cells


def _list_warnings(where: str, sheet: Mapping[str, Any]) -> list[str]:
    lines = list[str]()
    if errors := sheet.get("errors"):
        lines.append(
            f"{where}: {errors['count']:,} cells hold an error of a formula, such as "
            f"{errors['first']}, and are missing; correct the formula if a value is needed"
        )
    if zeros := sheet.get("zeros"):
        lines.append(
            f"{where}: {zeros['count']:,} numbers, such as {zeros['first']}, show leading zeros by "
            f"their format ({zeros['detail']}) that they do not have; {FIX_STYLE}"
        )
    return lines
