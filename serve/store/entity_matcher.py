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

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from serve.delimited import escape_for_spreadsheet

# Text that replaces the id where its row stays.
REDACTED = "***"
# Minimum length at which an id is searched as a word in free text: a shorter one may be any number.
MIN_WORD_LENGTH = 5


@dataclass(frozen=True)
class EntityMatcher:
    """Matches one entity by its id."""

    entity_id: str

    @cached_property
    def cells(self) -> tuple[str, ...]:
        """Return the cells that hold the id: as it is, and escaped for spreadsheets."""
        return tuple(
            dict.fromkeys(
                [self.entity_id, escape_for_spreadsheet(pa.array([self.entity_id]))[0].as_py()]
            )
        )

    @cached_property
    def byte_patterns(self) -> tuple[bytes, ...]:
        """Return the bytes of the id as CSV, JSON within CSV, and JSON encode it."""
        escaped = json.dumps(self.entity_id, ensure_ascii=False)[1:-1]
        texts = [
            *self.cells,
            escaped,
            *(text.replace('"', '""') for text in (*self.cells, escaped)),
        ]
        return tuple(dict.fromkeys(text.encode() for text in texts))

    @cached_property
    def text_pattern(self) -> re.Pattern[str]:
        """Return a pattern of the id in free text.

        It matches the id between quotes, and an id of MIN_WORD_LENGTH or more also as a word of its
        own.
        """
        quoted = [
            re.escape(text)
            for text in (json.dumps(self.entity_id, ensure_ascii=False), repr(self.entity_id))
        ]
        word = (
            [rf"(?<!\w){re.escape(self.entity_id)}(?!\w)"]
            if len(self.entity_id) >= MIN_WORD_LENGTH
            else []
        )
        return re.compile("|".join([*quoted, *word]))

    def may_occur_in(self, content: bytes) -> bool:
        """Return whether content may hold the id; if false, it certainly does not."""
        return any(needle in content for needle in self.byte_patterns)

    def matches_any(self, values: Iterable[object]) -> bool:
        """Return whether any of the values is the id."""
        return any(value in self.cells for value in values if isinstance(value, str))


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
            keep = pc.and_(keep, pc.invert(pc.is_in(column, value_set=cells)))
    kept_rows, sink = table.filter(keep), pa.BufferOutputStream()
    pq.write_table(kept_rows, sink, compression="zstd")
    return table.num_rows - kept_rows.num_rows, sink.getvalue().to_pybytes()
