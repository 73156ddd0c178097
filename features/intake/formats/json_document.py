"""JSON documents (.json): an array of objects, or an object that holds such an array.

The elements of an array are read one after the other. An object that holds the rows, such as a page
of an API, is read as a whole and may have MAX_LINE_BYTES. Objects without an array around them are
JSON lines.
"""

from __future__ import annotations

import codecs
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Self

import pyarrow as pa

from configs.errors import DataError, join_names
from configs.suggestions import did_you_mean
from features.intake.formats.delimited import LineBlock, read_line_blocks
from features.intake.formats.limits import (
    require_plausible_size,
    require_short_line,
)
from features.intake.storage.packing import open_unpacked
from features.intake.storage.source_file import SourceFile
from features.readings.source_form import FormEntry

CHUNK_BYTES = 1 << 22
# Elements of a block, and characters after which it ends earlier.
BLOCK_ELEMENTS, BLOCK_CHARACTERS = 1 << 18, 1 << 25
# Levels of objects in which an array of objects is searched.
MAX_LEVELS = 8

_BLANK = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()

FIX_DOCUMENT = "write one object per line (.jsonl), or an array of objects"


@dataclass(frozen=True)
class JsonDocument:
    """A JSON document, and where its rows are.

    Attributes:
        file: The file.
        lines: Whether it is JSON lines.
        elements: The objects of a document that is read as a whole; None for an array.
        form: The key that holds the rows, if any.
    """

    file: SourceFile
    lines: bool = False
    elements: pa.Array | None = None
    form: tuple[FormEntry, ...] = ()

    @classmethod
    def open(cls, file: SourceFile, records: str | None) -> Self:
        """Find the rows of a document; ``records`` is the dotted path of their key, if given.

        Raises DataError if there is no such key, and without it if not exactly one array of objects
        is there.
        """
        text = _TextStream(file)
        if text.peek() == "[":
            if records is not None:
                what = "the document is an array, without a key"
                _raise_error(file, what, records, "remove records")
            return cls(file)
        if text.peek() != "{" or _has_objects_by_line(file):
            return cls(file, lines=True)
        document = _load(file, text.read_all())
        key, rows = _find_records(file, document, records)
        evidence = "" if records else f"{file}: the only array of objects"
        entry = FormEntry("records", "", key, "config" if records else "proven", evidence)
        return cls(file, elements=_write_rows(file, rows), form=(entry,))

    def iter_blocks(self) -> Iterator[LineBlock]:
        """Yield the rows in blocks: JSON texts, numbered from 1, or the lines of JSON lines."""
        if self.lines:
            yield from read_line_blocks(self.file)
        elif self.elements is not None:
            yield LineBlock(1, self.elements, True)
        else:
            yield from _iter_array_blocks(self.file)


def _iter_array_blocks(file: SourceFile) -> Iterator[LineBlock]:
    first, texts, size = 1, list[bytes](), 0
    for text in _iter_elements(file):
        texts.append(text.encode())
        size += len(text)
        if len(texts) >= BLOCK_ELEMENTS or size >= BLOCK_CHARACTERS:
            yield LineBlock(first, pa.array(texts, pa.binary()), False)
            first, texts, size = first + len(texts), [], 0
    yield LineBlock(first, pa.array(texts, pa.binary()), True)


def _iter_elements(file: SourceFile) -> Iterator[str]:
    """Yield the text of each element of an array; raise DataError where it is broken or cut."""
    stream, number = _TextStream(file), 1
    stream.take("[")
    while stream.peek() != "]" or number > 1:
        try:
            yield stream.take_value()
        except (ValueError, RecursionError) as error:
            reason = "it ends too early" if stream.ended else str(error)
            _raise_error(file, "the JSON array is broken or cut", f"element {number:,}: {reason}")
        number += 1
        if (sign := stream.peek()) == "]":
            break
        if sign != ",":
            observed = f"{sign!r} after element {number - 1:,}" if sign else "no end of the array"
            _raise_error(file, "the JSON array is broken or cut", observed)
        stream.take(",")
    stream.take("]")
    if (sign := stream.peek()) != "":
        _raise_error(file, "text after the end of the JSON array", repr(sign), FIX_DOCUMENT)


class _TextStream:
    """A text that is read as far as needed. Raises OSError and UnicodeError for a damaged file."""

    def __init__(self, file: SourceFile) -> None:
        self._file = file
        self._chunks = _read_chunks(file)
        self._text, self._place = "", 0
        self.ended = False

    def peek(self) -> str:
        """Return the next sign that is not blank, without taking it; "" at the end."""
        while True:
            blank = _BLANK.match(self._text, self._place)
            self._place = blank.end() if blank else self._place
            if self._place < len(self._text):
                return self._text[self._place]
            if not self._fill():
                return ""

    def take(self, sign: str) -> None:
        """Go on behind a sign that ``peek`` has returned."""
        if self.peek() == sign:
            self._place += 1

    def take_value(self) -> str:
        """Return the text of the next JSON value; raise ValueError for another text."""
        while True:
            self.peek()
            try:
                _, end = _DECODER.raw_decode(self._text, self._place)
            except json.JSONDecodeError:
                # The rest of the value may not have been read yet.
                if not self._fill():
                    raise
                continue
            # A number may go on in the next chunk.
            if end < len(self._text) or not self._fill():
                text = self._text[self._place : end]
                self._place = end
                return text

    def read_all(self) -> str:
        """Return all of a text of at most MAX_LINE_BYTES; raise DataError for a longer one."""
        while self._fill():
            pass
        return self._text[self._place :]

    def _fill(self) -> bool:
        """Read on, twice as much each time; return whether there was more."""
        rest = self._text[self._place :]
        require_short_line(self._file, len(rest), 1)
        parts, size = [rest], 0
        while size <= len(rest) and (chunk := next(self._chunks, "")):
            parts.append(chunk)
            size += len(chunk)
        self._text, self._place = "".join(parts), 0
        self.ended = self.ended or not size
        return size > 0


def _read_chunks(file: SourceFile) -> Iterator[str]:
    """Yield the text of a file, decompressed by its extension, without a byte order mark."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    size, packed = 0, file.size
    with open_unpacked(file) as stream:
        while block := stream.read(CHUNK_BYTES):
            size += len(block)
            require_plausible_size(file, size, packed)
            if text := decoder.decode(block):
                yield text
        if text := decoder.decode(b"", final=True):
            yield text


def _has_objects_by_line(file: SourceFile) -> bool:
    """Return whether the first line is a whole object and another line follows."""
    lines = (
        line
        for block in read_line_blocks(file)
        for line in block.lines.slice(0, 1 << 16).to_pylist()
        if line.strip()
    )
    first, second = next(lines, b""), next(lines, None)
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        return False
    return second is not None


class _RepeatedKeys(dict[str, Any]):
    """An object with a key twice, which is written with all its pairs."""

    def __init__(self, pairs: Sequence[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self._pairs = pairs

    def items(self) -> Any:
        """Return all pairs."""
        return self._pairs


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    return values if len(values) == len(pairs) else _RepeatedKeys(pairs)


def _load(file: SourceFile, text: str) -> Mapping[str, Any]:
    try:
        document = json.loads(
            text, object_pairs_hook=_make_object, parse_constant=_raise_for_constant
        )
    except (ValueError, RecursionError) as error:
        _raise_error(file, "the JSON document is broken or cut", str(error) or "too many levels")
    return document if isinstance(document, dict) else {}


def _write_rows(file: SourceFile, rows: Sequence[Any]) -> pa.Array:
    """Return rows as JSON texts, in which numbers keep their value and all their digits."""
    try:
        texts = [json.dumps(row, allow_nan=False).encode() for row in rows]
    except ValueError as error:  # a number beyond all floats
        _raise_error(file, "the JSON document holds an impossible number", str(error))
    return pa.array(texts, pa.binary())


def _raise_for_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _find_records(
    file: SourceFile, document: Mapping[str, Any], records: str | None
) -> tuple[str, list[Any]]:
    """Return the key that holds the rows, and the rows."""
    pairs = [*_iter_lists(document, "", 0)]
    lists = dict(pairs)
    if len(lists) < len(pairs):
        repeated = next(key for key, n in Counter(key for key, _ in pairs).items() if n > 1)
        _raise_error(file, "two arrays of objects have the same key", repr(repeated))
    if records is not None:
        if records in lists:
            return records, lists[records]
        _raise_error(
            file,
            "no such array of objects",
            f"records: {records}; there is {join_names(list(lists), 10) or 'none'}",
            did_you_mean(records, list(lists)) or "name the key that holds the rows",
        )
    # An empty page has no row, and an empty list may be of anything.
    filled = {key: rows for key, rows in lists.items() if rows} or lists
    if len(filled) == 1:
        return next(iter(filled.items()))
    if filled:
        observed = f"{join_names(list(filled), 10)}"
        _raise_error(
            file, "several arrays of objects", observed, "say which one is meant: records: KEY"
        )
    _raise_error(file, "the JSON document holds no array of objects", "one object", FIX_DOCUMENT)


def _iter_lists(
    document: Mapping[str, Any], prefix: str, level: int
) -> Iterator[tuple[str, list[Any]]]:
    """Yield dotted file and content of each array of objects that is not within an array."""
    for key, value in document.items():
        if isinstance(value, list) and all(isinstance(item, dict) for item in value):
            yield prefix + key, value
        elif isinstance(value, dict) and level < MAX_LEVELS:
            yield from _iter_lists(value, f"{prefix}{key}.", level + 1)


def _raise_error(
    file: SourceFile, what: str, observed: str, fix: str = "export or copy it again"
) -> NoReturn:
    raise DataError(what, where=file.address, found=observed, fix=fix)
