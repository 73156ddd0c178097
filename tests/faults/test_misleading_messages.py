"""Odd things in place of a file: the message names the right cause, and what to do about it."""

import bz2
import contextlib
import gzip
import io
import json
import lzma
import os
import shutil
import tempfile
import zipfile
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from configs.errors import LeadscoreError
from features.sources import read_sources
from tests.features.company import EVENT, project

CSV = "lead,at,what\n1,2024-01-01,won\n2,2024-01-02,lost\n"
ROWS = [{"lead": "1", "at": "2024-01-01", "what": "won"}] * 2
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)
HTML = "<!DOCTYPE html>\n<html><body>Please log in</body></html>\n"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 123\n"


def packed(*names):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for name in names:
            file.writestr(name, CSV)
    return archive.getvalue()


def columnar(write):
    buffer = io.BytesIO()
    write(pa.Table.from_pylist(ROWS), buffer)
    return buffer.getvalue()


def excel():
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("[Content_Types].xml", "<Types/>")
        file.writestr("xl/workbook.xml", "<workbook/>")
    return archive.getvalue()


# Name of the file, its content, words of the message that name cause and fix.
CONTENTS = [
    ("e.jsonl", json.dumps(ROWS), ["JSON array", "format: json"]),
    ("e.jsonl", json.dumps(ROWS, indent=2), ["JSON array", "end in .json"]),
    ("e.jsonl", json.dumps(ROWS[0], indent=2), ["over several lines", "end in .json"]),
    ("e.jsonl", HTML, ["web page", "download it again"]),
    ("e.jsonl", POINTER, ["Git LFS", "git lfs pull"]),
    ("e.jsonl", "", ["is empty", "export it again"]),
    ("e.jsonl", gzip.compress(LINES.encode()), ["gzip", ".gz"]),
    ("e.csv", json.dumps(ROWS), ["JSON array", "end in .json"]),
    ("e.csv", LINES, ["holds JSON", "jsonl"]),
    ("e.csv", gzip.compress(CSV.encode()), ["gzip", "end in .gz"]),
    ("e.csv", bz2.compress(CSV.encode()), ["bzip2", "end in .bz2"]),
    ("e.csv", lzma.compress(CSV.encode()), ["xz", "xz -dc"]),
    ("e.csv", packed("e.csv"), ["ZIP", "end in .zip"]),
    ("e.csv", excel(), ["spreadsheet", "end in .xlsx"]),
    ("e.csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), ["spreadsheet", "workbook"]),
    ("e.csv", columnar(parquet.write_table), ["Parquet", "end in .parquet"]),
    ("e.csv", columnar(feather.write_feather), ["Arrow", "Parquet"]),
    ("e.csv", HTML, ["web page", "download it again"]),
    ("e.csv", "\n<HTML><head>", ["web page", "download it again"]),
    ("e.csv", "<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", ["XML", "download"]),
    ("e.csv", POINTER, ["Git LFS", "git lfs pull"]),
    ("e.csv", "/annex/objects/SHA256E-s12--ab.csv\n", ["git-annex", "git annex get"]),
    ("e.csv", "", ["is empty", "export it again"]),
    ("e.csv", b"\xef\xbb\xbf", ["is empty", "byte order mark"]),
    ("e.csv", " \n\n", ["is empty", "blanks"]),
    ("e.csv.gz", CSV, ["not CSV compressed by gzip", "holds text", "remove .gz"]),
    ("e.csv.gz", gzip.compress(HTML.encode()), ["web page", "download it again"]),
    ("e.csv.gz", gzip.compress(b""), ["is empty", "export it again"]),
    ("e.csv.gz", gzip.compress(CSV.encode() * 999)[:-40], ["cannot read", "incomplete"]),
    ("e.csv.gz", bz2.compress(CSV.encode()), ["bzip2", "end in .bz2"]),
    ("e.parquet", CSV, ["holds text", "end in .csv"]),
    ("e.parquet", HTML, ["web page", "download it again"]),
    ("e.parquet", "", ["is empty", "export it again"]),
    ("e.parquet", columnar(parquet.write_table)[:200], ["cannot read", "incomplete"]),
    ("e.parquet.gz", gzip.compress(columnar(parquet.write_table)), ["gzip", "unpack it"]),
    ("e.xlsx", excel(), ["workbook", "CSV UTF-8", "ids"]),
    ("e.xlsx", CSV, ["not a workbook", "text", "end in .csv"]),
    ("e.xls", "<html><table><tr><td>1</td></tr></table>", ["web page", "CSV UTF-8"]),
    ("e.xlsx.gz", gzip.compress(excel()), ["gzip", "unpack it"]),
    ("e.xlsx.zip", packed("e.xlsx"), ["ZIP", "unpack it"]),
    ("e.json", json.dumps(ROWS)[:-9], ["cut", "element 2", "export"]),
    ("e.json", json.dumps({"a": ROWS, "b": ROWS}), ["several arrays", "a, b", "records: KEY"]),
    ("e.json", json.dumps(ROWS[0]), ["no array of objects", "one object per line"]),
    ("e.json", CSV, ["not JSON", "text", "end in .csv"]),
    ("e.csv.xz", lzma.compress(CSV.encode()), ["gz, bz2, zst, lz4", "xz -dc e.csv.xz | gzip"]),
    ("e.csv.zip", packed("e.csv", "f.csv"), ["must hold one file", "2 files", "unzip e.csv.zip"]),
    ("e.csv.zip", packed("e.csv")[:90], ["cannot read", "incomplete"]),
    ("e.csv.zip", CSV, ["not CSV compressed by ZIP", "holds text", "remove .zip"]),
    ("e.zip", packed("e.txt.old"), ["extension", "unzip e.zip"]),
    ("e.csv.7z", b"7z\xbc\xaf\x27\x1c" + bytes(50), ["gz, bz2, zst, lz4", "7z e -so e.csv.7z"]),
    ("e.db", b"SQLite format 3\0" + bytes(90), ["extension", "sqlite:///"]),
]


def read(path):
    """Read events at a path; return the exit code and the message of the command line."""
    try:
        read_sources(project(events=[{"path": str(path), **EVENT}]))
    except LeadscoreError as error:
        return error.exit_code, str(error)
    return 0, ""


@contextlib.contextmanager
def without_privileges():
    """Run as a user to whom permissions apply."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def folder(monkeypatch):
    """Return a working directory that another user can enter, too."""
    path = Path(tempfile.mkdtemp(prefix="messages-"))
    path.chmod(0o777)
    monkeypatch.chdir(path)
    yield path
    for item in path.rglob("*"):
        if not item.is_symlink():
            item.chmod(0o700)
    shutil.rmtree(path)


def judge(outcomes, faults, name, said, code, words):
    """Count the outcome of one odd input, and keep its message if it misses a word."""
    missing = [word for word in words if word.lower() not in said.lower()]
    lines = said.splitlines()
    is_short = len(lines) == 2 and lines[1].startswith("  fix: ")
    if missing or code not in (2, 3) or not is_short:
        faults.append((name, code, missing, said))
    outcomes["named the cause and the fix" if not missing else "misled"] += 1


def test_content_of_another_kind_is_named(folder, record_attack):
    outcomes, faults = Counter(), []
    for name, content, words in CONTENTS:
        file = folder / name
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        code, said = read(name)
        judge(outcomes, faults, (name, content[:40]), said, code, [name, *words])
        file.unlink()
    record_attack("content of another kind in a file", outcomes)
    assert faults == []


def test_headings_that_begin_like_other_formats_are_read(folder):
    for heading in ("PARENT", "PAR1", "ORCHID", "BZh", "ARROW1", "Rar!", "[x]", "{a}", "<b>"):
        lines = CSV.splitlines()
        text = "\n".join([f"{heading},{lines[0]}", *(f"x,{line}" for line in lines[1:])])
        (folder / "e.csv").write_text(text)
        assert read("e.csv") == (0, "")


PLACES = {
    "missing file": (lambda: "nowhere/e.csv", ["file not found", "has no nowhere"]),
    "misspelled folder": (lambda: "date/e.csv", ["file not found", "did you mean data?"]),
    "folder without files": (lambda: "data", ["no matching file", "data holds nothing"]),
    "glob without files": (lambda: "data/*.csv", ["no matching file", "data holds nothing"]),
    "only archives": (lambda: "packed", ["no matching file", "e.csv.xz", "xz -dc"]),
    "archives and glob": (lambda: "packed/*.csv", ["no matching file", "e.csv.xz", "xz -dc"]),
    "file for a folder": (lambda: "file.csv/*.csv", ["file.csv is a file, not a folder"]),
    "file in a file": (lambda: "file.csv/e.csv", ["file.csv is a file, not a folder"]),
    "dangling link": (lambda: "link.csv", ["link to gone.csv", "does not exist", "fix the link"]),
    "link in a circle": (lambda: "loop.csv", ["loop.csv", "in a circle", "fix the link"]),
    "unreadable file": (lambda: "secret.csv", ["no permission", "secret.csv", "chmod u+r"]),
    "unreadable file of a folder": (lambda: "mixed", ["no permission", "s.csv", "chmod u+r"]),
    "unreadable folder": (lambda: "closed", ["no permission", "folder", "closed", "chmod u+rx"]),
    "file in a closed folder": (lambda: "closed/e.csv", ["no permission", "folder", "chmod u+rx"]),
    "glob in a closed folder": (lambda: "closed/*.csv", ["no permission", "folder", "chmod u+rx"]),
    "closed folder in a folder": (lambda: "outer", ["no permission", "outer/inner", "chmod u+rx"]),
    "glob over a closed folder": (lambda: "outer/*/*.csv", ["no permission", "outer/inner"]),
}


def test_place_without_readable_file_is_explained(folder, record_attack):
    for name in ("data", "packed", "mixed", "closed", "outer", "outer/inner"):
        (folder / name).mkdir()
    (folder / "packed" / "e.csv.xz").write_bytes(lzma.compress(CSV.encode()))
    for name in ("file.csv", "secret.csv", "mixed/e.csv", "mixed/s.csv", "closed/e.csv"):
        (folder / name).write_text(CSV)
    (folder / "outer" / "e.csv").write_text(CSV)
    (folder / "outer" / "inner" / "e.csv").write_text(CSV)
    (folder / "link.csv").symlink_to("gone.csv")
    (folder / "loop.csv").symlink_to("loop.csv")
    read("file.csv")  # all imports are done before the privileges are dropped
    for name in ("secret.csv", "mixed/s.csv", "closed", "outer/inner"):
        (folder / name).chmod(0)
    outcomes, faults = Counter(), []
    for title, (path, words) in PLACES.items():
        with without_privileges():
            code, said = read(path())
        judge(outcomes, faults, title, said, code, words)
    record_attack("places without a readable file", outcomes)
    assert faults == []
