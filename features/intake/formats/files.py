"""The files of a source, each read in blocks of rows: CSV, JSON lines or Parquet."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from configs.errors import ConfigError, DataError
from features.intake.formats.delimited import Broken, read_csv
from features.intake.formats.json_lines import read_json_lines
from features.intake.formats.texts import direct, is_text

CSV, JSONL, PARQUET = "csv", "jsonl", "parquet"
ENDINGS = {
    ".csv": CSV,
    ".tsv": CSV,
    ".txt": CSV,
    ".jsonl": JSONL,
    ".ndjson": JSONL,
    ".parquet": PARQUET,
    ".pq": PARQUET,
}
PACKED = (".gz", ".bz2", ".zst", ".lz4")

CHECK = "check `sources` in the config, and LEADSCORE_DATA where it is used"

ROWS = 1 << 20
"""Rows of a block of Parquet, at most."""


@dataclass(frozen=True)
class Block:
    """Some rows of a file, in its order: ``names`` are all its columns, ``table`` those that were asked for.

    A column of ``table`` is called by its place among the names (``c0`` …). ``rows`` is the line of each row in a text
    file, else its number, from 1. ``broken`` are the records among them that could not be read.
    """

    names: Sequence[str]
    table: pa.Table
    rows: np.ndarray
    broken: Sequence[Broken] = field(default_factory=list)


@dataclass(frozen=True)
class Wanted:
    """What of a file is asked for; the columns named, or all, and all rows or those with some numbers (from 0).

    Formats that cannot leave out what is not wanted give it too. ``few`` are columns that have few different texts.
    """

    columns: frozenset[str] | None = None
    rows: np.ndarray | None = None
    few: frozenset[str] = frozenset()

    def after(self, begin: int) -> Self:
        """Return what is wanted of a file whose first row has the number ``begin``."""
        return self if self.rows is None else replace(self, rows=self.rows - begin)


def files(path: str) -> list[Path]:
    """Return the files of a path, folder or glob by name; in a folder only those of known endings, none hidden.

    Raises DataError where there is none, and where one is no file, as a link that leads nowhere, or has a name that is
    not UTF-8: left out, its rows would be missing in silence.
    """
    try:
        inside = [each for each in _find_paths(path) if not each.name.startswith((".", "_"))]
        found = sorted(each for each in inside if each.is_file())
        odd = [each for each in inside if not each.is_file() and not each.is_dir()]
    except OSError as error:
        raise DataError("cannot look there", where=path, found=str(error), fix=CHECK) from error
    odd += [each for each in found if not _has_utf8_name(each)]
    if odd:
        fix = "fix the link, give it a name in UTF-8, or take it out of there"
        raise DataError(
            "not a file that can be read", where=str(odd[0]), found=f"{len(odd)} in {path}", fix=fix
        )
    if not found:
        what = "no file matches" if glob.has_magic(path) or Path(path).is_dir() else "no such file"
        raise DataError(what, where=path, fix=CHECK)
    return found


def _find_paths(path: str) -> list[Path]:
    where = Path(path)
    if where.is_file():
        return [where]
    if where.is_dir():
        return [each for each in where.rglob("*") if _format_by_suffix(each)]
    return [Path(each) for each in glob.glob(path, recursive=True)]  # noqa: PTH207 - takes absolute patterns


def _has_utf8_name(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def format_of(path: Path) -> str:
    """Return the format that a file's ending says; raise ConfigError for any other."""
    if kind := _format_by_suffix(path):
        return kind
    raise ConfigError(
        "format not known by its ending", where=str(path), fix="give format: csv, parquet or jsonl"
    )


def blocks(path: Path, kind: str, delimiter: str | None, wanted: Wanted) -> Iterator[Block]:
    """Read a file, at least as one block, though that may be empty."""
    if kind == PARQUET:
        yield from _read_parquet_blocks(path, wanted)
    elif kind == JSONL:
        for table, rows, broken in read_json_lines(path, wanted.columns):
            yield Block(table.column_names, _rename_by_position(table), rows, broken)
    else:
        yield from _read_csv_blocks(path, delimiter)


def _format_by_suffix(path: Path) -> str | None:
    bare = Path(path.stem) if path.suffix.lower() in PACKED else path
    return ENDINGS.get(bare.suffix.lower())


def _read_csv_blocks(path: Path, delimiter: str | None) -> Iterator[Block]:
    named = False
    for names, table, rows, broken in read_csv(path, delimiter):
        if names:
            named = True
            yield Block(_make_unique(names), table, rows, broken)
    if not named:
        yield Block([], pa.table({}), np.empty(0, np.int64))


def _make_unique(names: Sequence[str]) -> list[str]:
    """Number a name that occurs again: a spreadsheet leaves several columns without one."""
    seen = [names[:i].count(name) for i, name in enumerate(names)]
    return [
        f"{name} ({times + 1})" if times else name for name, times in zip(names, seen, strict=True)
    ]


def _rename_by_position(table: pa.Table) -> pa.Table:
    return table.rename_columns([f"c{i}" for i in range(table.num_columns)])


def _read_parquet_blocks(path: Path, wanted: Wanted) -> Iterator[Block]:
    """Read row group by row group; one without a wanted row is not opened, and its rows come without columns."""
    schema = parquet.read_schema(path)
    few = [field.name for field in schema if field.name in wanted.few and is_text(field.type)]
    with parquet.ParquetFile(
        path, read_dictionary=few, pre_buffer=False, buffer_size=1 << 20
    ) as file:
        written = schema.names
        names = _make_unique(written)
        chosen = [
            i for i, name in enumerate(names) if wanted.columns is None or name in wanted.columns
        ]
        columns = [written[i] for i in chosen]
        places = [f"c{i}" for i, name in enumerate(written) if name in columns]
        begin = 0
        if not file.metadata.num_row_groups:
            yield Block(
                names,
                file.schema_arrow.empty_table().select(columns).rename_columns(places),
                np.arange(0),
            )
        for group in range(file.metadata.num_row_groups):
            size = file.metadata.row_group(group).num_rows
            if wanted.rows is not None and not _any_between(wanted.rows, begin, begin + size):
                yield Block(names, pa.table({"c0": pa.nulls(size)}), begin + np.arange(1, size + 1))
                begin += size
                continue
            for batch in file.iter_batches(ROWS, [group], columns):
                batch.validate(full=True)
                # What cannot be made readable is said here, where the file is known.
                columns_read = [direct(pa.chunked_array([column])) for column in batch.columns]
                table = pa.table(columns_read, names=places)
                yield Block(names, table, begin + np.arange(1, len(batch) + 1))
                begin += len(batch)


def _any_between(rows: np.ndarray, first: int, end: int) -> bool:
    return bool(((rows >= first) & (rows < end)).any())
