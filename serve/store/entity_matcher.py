"""The forms in which files mention an entity, and the removal of its rows from files."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from unicodedata import normalize

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from configs.names import BLANKS
from features.tools.folding import fold_text, fold_texts
from features.tools.json_values import format_json
from serve.delimited import escape_for_spreadsheet

# Text that replaces the id where its row stays.
REDACTED = "***"
# Minimum length at which an id is searched as a word in free text: a shorter one may be any number.
MIN_WORD_LENGTH = 5


@dataclass(frozen=True)
class EntityMatcher:
    """Matches one entity by its id, without regard to case and outer blanks."""

    entity_id: str

    @cached_property
    def key(self) -> str:
        """Return the form in which the id is compared."""
        return fold_text(self.entity_id)

    @cached_property
    def cells(self) -> tuple[str, ...]:
        """Return the folded cells that hold the id: as it is, and escaped for spreadsheets."""
        escaped = escape_for_spreadsheet(pa.array([self.entity_id.strip(BLANKS)]))[0].as_py()
        return tuple(dict.fromkeys([self.key, fold_text(escaped)]))

    @cached_property
    def byte_patterns(self) -> tuple[bytes, ...]:
        """Return patterns of the id's bytes as CSV, JSON within CSV, and JSON encode it."""
        id_text = normalize("NFC", self.entity_id.strip(BLANKS))
        escaped = format_json(id_text)[1:-1]
        texts = [id_text, escape_for_spreadsheet(pa.array([id_text]))[0].as_py(), escaped]
        texts += [text.replace('"', '""') for text in texts]
        return tuple(b"".join(map(_match_letter, text)) for text in dict.fromkeys(texts))

    @cached_property
    def bytes_pattern(self) -> re.Pattern[bytes]:
        """Return a pattern of the bytes of the id; IGNORECASE of bytes is that of ASCII."""
        return re.compile(b"|".join(self.byte_patterns), re.IGNORECASE)

    @cached_property
    def text_pattern(self) -> re.Pattern[str]:
        """Return a pattern of the id in free text, in upper or lower case.

        It matches the id between quotes, and an id of MIN_WORD_LENGTH or more also as a word of its
        own.
        """
        id_text = self.entity_id.strip(BLANKS)
        quoted = [re.escape(text) for text in (format_json(id_text), repr(id_text))]
        word = [rf"(?<!\w){re.escape(id_text)}(?!\w)"] if len(id_text) >= MIN_WORD_LENGTH else []
        return re.compile("|".join([*quoted, *word]), re.IGNORECASE)

    def may_occur_in(self, content: bytes) -> bool:
        """Return whether content may hold the id; if false, it certainly does not."""
        return self.bytes_pattern.search(content) is not None

    def matches_any(self, values: Iterable[object]) -> bool:
        """Return whether any of the values is the id."""
        return any(fold_text(value) in self.cells for value in values if isinstance(value, str))


def _match_letter(letter: str) -> bytes:
    """Return a pattern of the UTF-8 of a letter, in both cases and normal forms."""
    if letter.isascii():
        return re.escape(letter.encode())
    cases = (letter, letter.lower(), letter.upper())
    forms = {normalize(form, case).encode() for case in cases for form in ("NFC", "NFD")}
    return b"(?:%b)" % b"|".join(map(re.escape, sorted(forms)))


def remove_rows(path: Path, matcher: EntityMatcher) -> tuple[int, bytes]:
    """Return how many rows of a CSV, JSON lines or Parquet file name the entity, and the rest.

    The rest is the content of the file without these rows. Only lines that hold the bytes of the id
    are parsed.
    """
    if path.suffix == ".parquet":
        return _remove_parquet_rows(path, matcher)
    content = path.read_bytes()
    matches_line = _matches_json_line if path.suffix == ".jsonl" else _matches_csv_line
    return remove_lines(content, matcher, lambda line: matches_line(line, matcher))


def remove_lines(
    content: bytes, matcher: EntityMatcher, is_match: Callable[[str], bool]
) -> tuple[int, bytes]:
    """Return how many lines match, and the content without them."""
    if not matcher.may_occur_in(content):
        return 0, content
    # Lines end in LF; ``splitlines`` would also split at a lone CR.
    lines = [line for line in re.split(rb"(?<=\n)", content) if line]
    # A byte-order mark before the first line is no part of its first cell, hence utf-8-sig.
    kept_lines = [
        line
        for line in lines
        if not (matcher.may_occur_in(line) and is_match(line.decode("utf-8-sig", "replace")))
    ]
    return len(lines) - len(kept_lines), b"".join(kept_lines)


def _matches_csv_line(line: str, matcher: EntityMatcher) -> bool:
    return any(matcher.matches_any(row) for row in csv.reader(io.StringIO(line)))


def _matches_json_line(line: str, matcher: EntityMatcher) -> bool:
    row = json.loads(line)
    return matcher.matches_any(row.values() if isinstance(row, dict) else [row])


def _remove_parquet_rows(path: Path, matcher: EntityMatcher) -> tuple[int, bytes]:
    table = pq.read_table(path)
    cells = pa.array(matcher.cells, pa.string())
    keep = pa.chunked_array([pa.repeat(True, table.num_rows)])
    for column in table.columns:
        if pa.types.is_string(column.type):
            keep = pc.and_(keep, pc.invert(pc.is_in(fold_texts(column), value_set=cells)))
    kept_rows, sink = table.filter(keep), pa.BufferOutputStream()
    pq.write_table(kept_rows, sink, compression="zstd")
    return table.num_rows - kept_rows.num_rows, sink.getvalue().to_pybytes()
