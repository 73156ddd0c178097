"""The same rows written in every form that is read."""

import gzip
import json
import sqlite3
import zipfile
from datetime import date, datetime
from xml.sax.saxutils import escape

import pyarrow as pa
import xlsxwriter
from pyarrow import parquet

from tests.features.company import csv_text

TIME_STYLES = {datetime: "yyyy-mm-dd hh:mm:ss", date: "yyyy-mm-dd"}


def text_of(value):
    """Write a value as a person writes it into a CSV file."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.isoformat(" ") if isinstance(value, datetime) else str(value)


def texts_of(rows):
    return [{name: text_of(value) for name, value in row.items()} for row in rows]


def write_sheet(path, rows, **options):
    """Write a workbook of one sheet; ``options`` are those of XlsxWriter."""
    with xlsxwriter.Workbook(path, options) as book:
        add_sheet(book, "Rows", rows)
    return {"path": str(path)}


def add_sheet(book, name, rows):
    """Add a sheet with headings and typed cells to a workbook."""
    sheet = book.add_worksheet(name)
    styles = {kind: book.add_format({"num_format": code}) for kind, code in TIME_STYLES.items()}
    sheet.write_row(0, 0, list(rows[0]))
    for number, row in enumerate(rows, 1):
        for place, value in enumerate(row.values()):
            if isinstance(value, str):
                sheet.write_string(number, place, value)
            elif value is not None:
                sheet.write(number, place, value, styles.get(type(value)))
    return sheet


def write_ods(path, rows):
    """Write an OpenDocument spreadsheet of one sheet."""
    lines = [dict(zip(rows[0], rows[0], strict=True)), *rows]
    table = "".join(
        f"<table:table-row>{''.join(map(_ods_cell, row.values()))}</table:table-row>"
        for row in lines
    )
    names = {
        name: f"urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"
        for name in ("office", "table", "text")
    }
    spaces = " ".join(f'xmlns:{name}="{uri}"' for name, uri in names.items())
    content = (
        f'<?xml version="1.0"?><office:document-content {spaces}><office:body><office:spreadsheet>'
        f'<table:table table:name="Rows">{table}</table:table>'
        "</office:spreadsheet></office:body></office:document-content>"
    )
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    manifest = (
        '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
        f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{kind}"/>'
        "</manifest:manifest>"
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", kind)
        archive.writestr("META-INF/manifest.xml", manifest)
        archive.writestr("content.xml", content)
    return {"path": str(path)}


def _ods_cell(value):
    if value is None:
        return "<table:table-cell/>"
    kind, key = "string", None
    if isinstance(value, bool):
        kind, key, written = "boolean", "boolean-value", str(value).lower()
    elif isinstance(value, (int, float)):
        kind, key, written = "float", "value", repr(value)
    elif isinstance(value, date):
        kind, key, written = "date", "date-value", value.isoformat()
    attribute = f' office:{key}="{written}"' if key else ""
    return (
        f'<table:table-cell office:value-type="{kind}"{attribute}>'
        f"<text:p>{escape(text_of(value))}</text:p></table:table-cell>"
    )


def nest(row):
    """Return a row with objects in objects for names with dots."""
    nested = {}
    for name, value in row.items():
        *outer, last = name.split(".")
        place = nested
        for key in outer:
            place = place.setdefault(key, {})
        place[last] = value if not isinstance(value, date) else text_of(value)
    return nested


def write_csv(path, rows):
    path.write_text(csv_text(texts_of(rows)), encoding="utf-8")
    return {"path": str(path)}


def write_zip(path, rows):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rows.csv", csv_text(texts_of(rows)))
        archive.writestr("__MACOSX/._rows.csv", "\0\1")
    return {"path": str(path)}


def write_flat_lines(path, rows):
    plain = [{n: text_of(v) if isinstance(v, date) else v for n, v in row.items()} for row in rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in plain), encoding="utf-8")
    return {"path": str(path)}


def write_nested_lines(path, rows):
    text = "".join(json.dumps(nest(row)) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()))
    return {"path": str(path)}


def write_array(path, rows):
    path.write_text(json.dumps([nest(row) for row in rows], indent=2), encoding="utf-8")
    return {"path": str(path)}


def write_page(path, rows):
    page = {"paging": {"next": {"after": 1}}, "data": {"results": [nest(row) for row in rows]}}
    path.write_text(json.dumps(page), encoding="utf-8")
    return {"path": str(path)}


def write_parquet(path, rows):
    parquet.write_table(pa.Table.from_pylist(rows), path)
    return {"path": str(path)}


def write_sqlite(path, rows):
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as connection:
        names = ", ".join(f'"{name}"' for name in rows[0])
        connection.execute(f"CREATE TABLE rows ({names})")
        marks = ", ".join("?" * len(rows[0]))
        values = [
            [text_of(v) if isinstance(v, (date, bool)) else v for v in row.values()] for row in rows
        ]
        connection.executemany(f"INSERT INTO rows VALUES ({marks})", values)
    return {"database": f"sqlite:///{path}", "query": "SELECT * FROM rows"}


FORMS = {
    "csv": write_csv,
    "csv.zip": write_zip,
    "xlsx": write_sheet,
    "ods": write_ods,
    "jsonl": write_flat_lines,
    "jsonl.gz": write_nested_lines,
    "array.json": write_array,
    "page.json": write_page,
    "parquet": write_parquet,
    "db": write_sqlite,
}
