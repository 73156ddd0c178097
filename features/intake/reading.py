"""Rows of a source as they are, piece by piece, whatever they come from: CSV, JSON lines, Parquet, or a query.

A column keeps the type that it has in Parquet or in the database; everything else is text. ``values`` reads them all by
the same rules, so that the same rows give the same table whatever the format.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import DataError, join_names
from configs.source_rows import SourceRows
from configs.suggestions import did_you_mean
from features.intake.formats.database import read_query
from features.intake.formats.files import Block, Wanted, blocks, files, format_of
from features.intake.formats.texts import is_text, plain, texts
from features.tools.id_index import holds_nul

ROWS_PER_PIECE = 1 << 20
"""Rows that are read, at least, before anything is made of them; a block of a file may have more."""

OWN = ("file", "row", "nr", "broken")
"""The columns of raw rows that are not the source's."""


@dataclass(frozen=True)
class RawRows:
    """One row a record of the source, in the source's order.

    ``table`` has the columns ``file``, ``row`` (line of a text file, else number of the row, from 1), ``nr``
    (place among all records of the source, from 0), ``broken`` (the text of a record that could not be read,
    else null) and ``c0`` … for the source's own columns, named by ``names``; those that were not asked for may be
    absent.
    """

    names: tuple[str, ...]
    table: pa.Table
    label: str

    def column(self, name: str, key: str) -> pa.ChunkedArray:
        """Return a column by the source's name for it; raise DataError that names file, key and nearest name."""
        if name in self.names:
            return self.table[f"c{self.names.index(name)}"]
        other = (
            "name a column of the source"
            if self.names
            else "give the source at least a header or one row"
        )
        raise DataError(
            "no such column",
            where=f"{self.label}: {key}",
            found=f"{name!r}; the columns are {join_names(self.names, 20) or 'none, the source is empty'}",
            fix=did_you_mean(name, self.names, min_similarity=0.5) or other,
        )

    def unreadable(self) -> pa.ChunkedArray:
        """Return a mask of the broken records and of the rows that hold a NUL byte, which breaks many a
        reader.
        """
        bad = pc.is_valid(self.table["broken"])
        for name in self.table.column_names[len(OWN) :]:
            if (holds := _find_nul(self.table[name])) is not None:
                bad = pc.or_(bad, holds)
        return bad

    def only(self, keep: np.ndarray) -> Self:
        """Return the rows that a mask keeps."""
        return type(self)(self.names, self.table.filter(pa.array(keep)), self.label)


@dataclass(frozen=True)
class Origin:
    """Where the rows of a source are: in files, or in the kept result of its query, which need not come twice alike."""

    source: SourceRows
    kept: tuple[list[str], pa.Table] | None

    @classmethod
    def of(cls, source: SourceRows, scratch: Path | None = None) -> Self:
        """Look at a source; a query is run now, and a large result lies in ``scratch``.

        Raises DataError where the database or the query fails, ConfigError for a database that is not known.
        """
        if source.database is None:
            return cls(source, None)
        return cls(source, read_query(source.database, source.query or "", source.label, scratch))

    def pieces(self, needed: dict[str, str], few: Sequence[str] = ()) -> Iterator[RawRows]:
        """Yield the rows in pieces with the columns that are needed; one piece at least, though it may be empty.

        ``needed`` maps each config key to the column it names; ``few`` are columns with few different texts, which may
        come as codes.

        Raises DataError where a file is missing or cannot be read, or a column is missing from any one of the files;
        ConfigError for a format that is not known.
        """
        columns = frozenset(needed.values())
        parts, size = list[RawRows](), 0
        for part in self.parts(Wanted(columns, few=columns.intersection(few)), needed):
            parts.append(part)
            size += len(part.table)
            if size >= ROWS_PER_PIECE:
                yield _concat_rows(parts, self.source.label)
                parts, size = [], 0
        if parts:
            yield _concat_rows(parts, self.source.label)

    def again(self, places: np.ndarray) -> Iterator[RawRows]:
        """Yield the rows with these numbers ``nr``, ascending, once more and with all columns.

        Raises DataError where they are not there any more.
        """
        found = 0
        for part in self.parts(Wanted(rows=places), {}):
            keep = np.isin(part.table["nr"].to_numpy(), places)
            if keep.any():
                found += int(keep.sum())
                yield part.only(keep)
            if found == len(places):
                return
        raise DataError(
            "the source changed while it was read", where=self.source.label, fix="run again"
        )

    def parts(self, wanted: Wanted, needed: dict[str, str]) -> Iterator[RawRows]:
        """Yield what is wanted block by block; ``needed`` and what it raises are as with ``pieces``."""
        begin = 0
        for label, block in self._blocks(wanted):
            part = _to_raw_rows(label, block, begin)
            for key, name in needed.items():
                part.column(name, key)
            begin += len(part.table)
            yield part

    def _blocks(self, wanted: Wanted) -> Iterator[tuple[str, Block]]:
        if self.kept is not None:
            names, table = self.kept
            for begin in range(0, max(len(table), 1), ROWS_PER_PIECE):
                part = table.slice(begin, ROWS_PER_PIECE)
                yield self.source.label, Block(names, part, begin + np.arange(1, len(part) + 1))
            return
        begin = 0
        for path in files(self.source.path or ""):
            kind, own = self.source.format or format_of(path), wanted.after(begin)
            try:
                for block in blocks(path, kind, self.source.delimiter, own):
                    begin += len(block.rows) + len(block.broken)
                    yield str(path), block
            except (OSError, pa.ArrowException, duckdb.Error, UnicodeError) as error:
                found = next(iter(str(error).splitlines()), type(error).__name__)
                raise DataError(
                    "cannot read the file", where=str(path), found=found, fix=f"is it {kind}?"
                ) from error


def read_rows(source: SourceRows, needed: dict[str, str]) -> RawRows:
    """Return all rows of a source with all its columns; ``needed`` and what it raises are as with ``Origin``."""
    return _concat_rows(list(Origin.of(source).parts(Wanted(), needed)), source.label)


def _to_raw_rows(label: str, block: Block, begin: int) -> RawRows:
    """Put rows and broken records together in the order of their lines; ``begin`` is the number of the first."""
    size = len(block.rows)
    columns = {"row": pa.array(block.rows, pa.int64()), "broken": pa.nulls(size, pa.string())}
    table = pa.table(
        columns | dict(zip(block.table.column_names, block.table.columns, strict=True))
    )
    if block.broken:
        broken = {
            "row": [each.line for each in block.broken],
            "broken": [each.text for each in block.broken],
        }
        bad = pa.table(broken, schema=pa.schema([("row", pa.int64()), ("broken", pa.string())]))
        table = pa.concat_tables([table, bad], promote_options="default").sort_by("row")
    nr = begin + np.arange(len(table))
    file = pa.DictionaryArray.from_arrays(np.zeros(len(table), np.int8), pa.array([label]))
    own = {"file": file, "row": table["row"], "nr": pa.array(nr), "broken": table["broken"]}
    return RawRows(
        tuple(block.names),
        pa.table(own | {name: table[name] for name in table.column_names[2:]}),
        label,
    )


def _concat_rows(parts: Sequence[RawRows], label: str) -> RawRows:
    """Return all parts as one, with the columns of any of them."""
    if len(parts) == 1:
        return RawRows(parts[0].names, parts[0].table, label)
    names = tuple(dict.fromkeys(name for part in parts for name in part.names))
    own = {name: _concat_columns([part.table[name] for part in parts]) for name in OWN}
    for i, name in enumerate(names):
        columns = [_find_column(part, name) for part in parts]
        if any(column is not None for column in columns):
            sizes = (len(part.table) for part in parts)
            filled = [
                pa.chunked_array([pa.nulls(size)]) if each is None else each
                for each, size in zip(columns, sizes, strict=True)
            ]
            own[f"c{i}"] = _concat_columns(filled)
    return RawRows(names, pa.table(own), label)


def _find_column(part: RawRows, name: str) -> pa.ChunkedArray | None:
    place = f"c{part.names.index(name)}" if name in part.names else ""
    return part.table[place] if place in part.table.column_names else None


def _concat_columns(columns: Sequence[pa.ChunkedArray]) -> pa.ChunkedArray:
    """Put columns one after the other; as text, where they are of several types."""
    kinds = {column.type for column in columns if not pa.types.is_null(column.type)}
    if len(kinds) > 1:
        columns, kinds = [plain(texts(column)) for column in columns], {pa.string()}
    kind = kinds.pop() if kinds else pa.null()
    return pa.chunked_array(
        [chunk for column in columns for chunk in column.cast(kind).chunks], kind
    )


def _find_nul(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """Return a mask of the texts that hold a NUL byte; None where none does, or it is no column of text."""
    coded = pa.types.is_dictionary(column.type)
    if not is_text(column.type.value_type if coded else column.type):
        return None
    if not any(holds_nul(chunk.dictionary if coded else chunk) for chunk in column.chunks):
        return None
    return pc.fill_null(pc.match_substring(column.cast(pa.string()), pattern="\0"), False)
