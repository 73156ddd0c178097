"""What the first bytes of a file show, where they are not of the format that is expected.

Exports arrive under wrong names, and an error page or a placeholder in place of the data. A reader
would report such a file as empty, or as broken rows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from configs.errors import DataError
from features.intake.csv_text.encodings import decode_head, find_wide_encoding
from features.intake.formats.listing import (
    CSV,
    FIX_ARROW,
    FIX_JSON,
    FIX_SHEET,
    JSON,
    JSONL,
    PARQUET,
    WORKBOOK,
)
from features.intake.storage.packing import COMPRESSIONS, ZIP_SUFFIX, open_unpacked
from features.intake.storage.source_file import SourceFile

HEAD_BYTES = 4096
TITLES = {
    CSV: "CSV",
    JSON: "JSON",
    JSONL: "JSON lines",
    PARQUET: "Parquet",
    WORKBOOK: "a workbook",
}
# First bytes of the formats with a compression of their own. What is in an archive that claims to
# be a workbook, its reader says.
CONTAINERS = {PARQUET: (b"PAR1", b"PARE"), WORKBOOK: (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")}
COMPRESSION_BY_SUFFIX = {
    ".gz": "gzip",
    ".bz2": "bzip2",
    ".zst": "Zstandard",
    ".lz4": "LZ4",
    ZIP_SUFFIX: "ZIP",
}
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

FIX_EMPTY = "export it again; a file without rows needs at least a header"
FIX_DOWNLOAD = "download it again, and look at the address and the access"
FIX_ENCODING = "save it as UTF-8: iconv -f UTF-16 -t UTF-8 old.csv > new.csv"


@dataclass(frozen=True)
class Content:
    """A kind of content.

    Attributes:
        name: What it is, for a message.
        fix: How to turn it into what is expected.
    """

    name: str
    fix: str


COMPRESSED = {
    b"\x1f\x8b": Content("gzip", "rename it to end in .gz"),
    b"BZh": Content("bzip2", "rename it to end in .bz2"),
    b"(\xb5/\xfd": Content("Zstandard", "rename it to end in .zst"),
    b"\x04\x22\x4d\x18": Content("LZ4", "rename it to end in .lz4"),
    b"\xfd7zXZ\x00": Content("xz", f"{COMPRESSIONS}: xz -dc old.xz | gzip > new.gz"),
    b"7z\xbc\xaf\x27\x1c": Content("7z", f"{COMPRESSIONS}: 7z e -so old.7z | gzip > new.gz"),
    b"PK\x03\x04": Content("ZIP", "rename it to end in .zip"),
    b"Rar!": Content("RAR", f"{COMPRESSIONS}: unrar p -inul old.rar | gzip > new.gz"),
}
ZIP = COMPRESSED[b"PK\x03\x04"]
SPREADSHEET = Content(
    "a spreadsheet (Excel or OpenDocument)", "rename it to end in .xlsx, or give format: workbook"
)
BINARY = {
    b"PAR1": Content("Parquet", "rename it to end in .parquet, or give format: parquet"),
    b"PARE": Content("encrypted Parquet", "write it without encryption"),
    b"\xd0\xcf\x11\xe0": SPREADSHEET,
    b"SQLite format 3": Content("a SQLite database", "give `database: sqlite:///file` and `query`"),
    b"ARROW1": Content("Arrow", FIX_ARROW),
    b"FEA1": Content("Feather", FIX_ARROW),
    b"ORC": Content("ORC", FIX_ARROW),
    b"Obj\x01": Content("Avro", FIX_ARROW),
    b"%PDF": Content("a PDF", "export the table itself"),
    b"\xff\xfe": Content("UTF-16 text", FIX_ENCODING),
    b"\xfe\xff": Content("UTF-16 text", FIX_ENCODING),
}
# Parts of a spreadsheet's archive, by which it differs from other ZIP archives.
SHEET_PARTS = (b"[Content_Types].xml", b"xl/", b"mimetypeapplication/vnd.oasis")
PLACEHOLDERS = {
    b"version https://git-lfs.github.com/spec/": Content(
        "a pointer of Git LFS in place of the data", "fetch it: git lfs pull"
    ),
    b"/annex/objects/": Content(
        "a pointer of git-annex in place of the data", "fetch it: git annex get"
    ),
}
EMPTY = Content("nothing", FIX_EMPTY)
ONLY_MARK = Content("only a byte order mark or blanks", FIX_EMPTY)
WEB_PAGE = Content("a web page (HTML), perhaps an error or a login", FIX_DOWNLOAD)
XML = Content("XML, perhaps an error of a server", FIX_DOWNLOAD)
JSON_ARRAY = Content("a JSON array", FIX_JSON)
JSON_LINES = Content("JSON", "rename it to end in .jsonl, or give format: jsonl")
SPREAD_JSON = Content("a JSON document over several lines", FIX_JSON)
UNKNOWN = Content("unknown bytes", "export it again")
TEXT = Content("text", "rename it to end in .csv or .jsonl, or give its format")

# A byte that no text has.
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")
_JSON_ARRAY = re.compile(rb"\[\s*(?:[{\[\]]|$)")
_JSON_OBJECT = re.compile(rb"\{\s*(?:\"[^\"\n]*\"\s*:|$)")


def check_content(file: SourceFile, kind: str) -> None:
    """Raise DataError if the first bytes of a file show that it is not of its format.

    ``kind`` is the expected format. Raises OSError for a file that cannot be read.
    """
    with file.open() as stream:
        head = stream.read(HEAD_BYTES)
    suffix = file.name.suffix.lower()
    packing = COMPRESSION_BY_SUFFIX.get(suffix) if kind not in CONTAINERS else None
    packed = _find_compression(head)
    if packing and packed and packed.name == packing:
        content = _find_unexpected(_read_unpacked(file), kind)
    else:
        content = _find_unexpected(head, kind, suffix == ZIP_SUFFIX)
        if packing and content is None:
            content = Content("text", f"remove {file.name.suffix} from its name")
    if content is not None:
        expected = " compressed by ".join(filter(None, (TITLES[kind], packing)))
        raise DataError(
            "the file is empty" if content in (EMPTY, ONLY_MARK) else f"the file is not {expected}",
            where=file.address,
            found=f"it holds {content.name}",
            fix=content.fix,
        )


def _read_unpacked(file: SourceFile) -> bytes:
    """Return the first bytes after decompression; raise OSError for damaged ones."""
    with open_unpacked(file) as stream:
        return bytes(stream.read(HEAD_BYTES))


def _find_compression(head: bytes) -> Content | None:
    if not _CONTROL.search(head):
        return None
    return next((content for sign, content in COMPRESSED.items() if head.startswith(sign)), None)


def _find_unexpected(head: bytes, kind: str, is_packed: bool = False) -> Content | None:
    """Return what bytes are, if they are not of the expected format.

    ``is_packed`` says that by its name the file is an archive with such a file.
    """
    if not head:
        return EMPTY
    head = decode_head(head) if kind == CSV else head
    if head.startswith(CONTAINERS.get(kind, ())) and not is_packed:
        return None
    content = _find_binary(head) or _find_text(head, kind)
    if kind not in CONTAINERS:
        return content
    if content is not None and content in COMPRESSED.values():
        return Content(f"{TITLES[kind]} or another file in {content.name}", "unpack it")
    if kind == WORKBOOK and content in (WEB_PAGE, XML):
        # Many programs write a table of a web page and name it .xls.
        return replace(content, fix=f"open it in a spreadsheet program and {FIX_SHEET}")
    return content or (UNKNOWN if _CONTROL.search(head) else TEXT)


def _find_binary(head: bytes) -> Content | None:
    # A heading may begin with the same letters, such as PARENT or ORCHID.
    if not _CONTROL.search(head) and not head.startswith((b"\xff\xfe", b"\xfe\xff", b"%PDF-")):
        return None
    if head.startswith(b"PK\x03\x04"):
        return SPREADSHEET if any(part in head for part in SHEET_PARTS) else ZIP
    if content := _find_compression(head):
        return content
    for sign, content in BINARY.items():
        if head.startswith(sign):
            return content
    return BINARY[b"\xff\xfe"] if find_wide_encoding(head) else None


def _find_text(head: bytes, kind: str) -> Content | None:
    text = head.removeprefix(BYTE_ORDER_MARK).strip()
    if not text:
        return ONLY_MARK
    for sign, content in PLACEHOLDERS.items():
        if text.startswith(sign):
            return content
    lower = text[:200].lower()
    if lower.startswith((b"<!doctype html", b"<html")):
        return WEB_PAGE
    if lower.startswith(b"<?xml"):
        return WEB_PAGE if b"<html" in text.lower() else XML
    if kind == JSON:
        return None if text.startswith((b"{", b"[")) else TEXT
    if kind != CSV and _JSON_ARRAY.match(text):
        return JSON_ARRAY
    if kind == JSONL and text.partition(b"\n")[0].strip() == b"{":
        return SPREAD_JSON
    if kind == CSV and (_JSON_OBJECT.match(text) or re.match(rb"\[\s*\{", text)):
        return JSON_ARRAY if text.startswith(b"[") else JSON_LINES
    return None
