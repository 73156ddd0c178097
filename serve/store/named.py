"""How the files of a workspace may name an entity, and the same files without its rows."""

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

from serve.delimited import safe

HIDDEN = "***"
SHORTEST = 5
"""Signs from which an id is looked for as a word in free text: a shorter one may be any number."""


@dataclass(frozen=True)
class Named:
    """One entity by its id."""

    entity: str

    @cached_property
    def cells(self) -> tuple[str, ...]:
        """What a cell with the id holds: the id, and the id as it is made safe for spreadsheets."""
        return tuple(dict.fromkeys([self.entity, safe(pa.array([self.entity]))[0].as_py()]))

    @cached_property
    def needles(self) -> tuple[bytes, ...]:
        """The id's bytes as CSV, JSON within CSV, and JSON write them."""
        plain = json.dumps(self.entity, ensure_ascii=False)[1:-1]
        texts = [*self.cells, plain, *(text.replace('"', '""') for text in (*self.cells, plain))]
        return tuple(dict.fromkeys(text.encode() for text in texts))

    @cached_property
    def words(self) -> re.Pattern[str]:
        """Matches the id in free text: between quotes, and where it is long enough as a word of its own."""
        quoted = [
            re.escape(text)
            for text in (json.dumps(self.entity, ensure_ascii=False), repr(self.entity))
        ]
        word = [rf"(?<!\w){re.escape(self.entity)}(?!\w)"] if len(self.entity) >= SHORTEST else []
        return re.compile("|".join([*quoted, *word]))

    def in_bytes(self, content: bytes) -> bool:
        """Say whether content may hold the id: for sure not where this is false."""
        return any(needle in content for needle in self.needles)

    def is_cell(self, values: Iterable[object]) -> bool:
        """Say whether any of the values is the id."""
        return any(value in self.cells for value in values if isinstance(value, str))


def without(path: Path, named: Named) -> tuple[int, bytes]:
    """Return how many rows of a CSV, JSON lines or Parquet file name an entity, and the file without them.

    Nothing is read twice, and nothing is parsed but lines that hold the bytes of the id.
    """
    if path.suffix == ".parquet":
        return _parquet(path, named)
    content = path.read_bytes()
    of_line = _in_json if path.suffix == ".jsonl" else _in_csv
    return lines_without(content, named, lambda line: of_line(line, named))


def lines_without(content: bytes, named: Named, hit: Callable[[str], bool]) -> tuple[int, bytes]:
    """Return how many lines are a hit, and the content without them."""
    if not named.in_bytes(content):
        return 0, content
    lines = [line for line in re.split(rb"(?<=\n)", content) if line]
    kept = [
        line
        for line in lines
        if not (named.in_bytes(line) and hit(line.decode("utf-8-sig", "replace")))
    ]
    return len(lines) - len(kept), b"".join(kept)


def _in_csv(line: str, named: Named) -> bool:
    return any(named.is_cell(row) for row in csv.reader(io.StringIO(line)))


def _in_json(line: str, named: Named) -> bool:
    found = json.loads(line)
    return named.is_cell(found.values() if isinstance(found, dict) else [found])


def _parquet(path: Path, named: Named) -> tuple[int, bytes]:
    table = pq.read_table(path)
    cells = pa.array(named.cells, pa.string())
    keep = pa.chunked_array([pa.repeat(True, table.num_rows)])
    for column in table.columns:
        if pa.types.is_string(column.type):
            keep = pc.and_(keep, pc.invert(pc.is_in(column, value_set=cells)))
    rest, sink = table.filter(keep), pa.BufferOutputStream()
    pq.write_table(rest, sink, compression="zstd")
    return table.num_rows - rest.num_rows, sink.getvalue().to_pybytes()
