"""A file with paths of channels and how often each was walked, with and without a conversion."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import DataError
from configs.source_rows import SourceRows
from features.intake.formats.files import Selection, read_blocks
from features.intake.formats.listing import CSV, PARQUET
from features.intake.storage.source_file import LocalFile
from models.channels.journeys import Journeys

SEPARATOR = ">"
# Names of the columns; exports of other tools have the second ones.
PATH_COLUMNS = ("path",)
CONVERSION_COLUMNS = ("conversions", "total_conversions")
NULL_COLUMNS = ("nulls", "total_null")


def read_path_file(path: Path) -> Journeys:
    """Return the journeys of a CSV or Parquet file, one row per path.

    A path is a text of channels in the order of time, such as ``ads > mail > ads``. Raises
    DataError for a file that is missing, broken or lacks a column, a path without a channel, a
    count that is no whole number from 0, and a file without any conversion.
    """
    text, counts = _read_columns(path)
    paths = [[name.strip() for name in cell.split(SEPARATOR)] for cell in text]
    empty = np.array([not all(names) for names in paths], bool)
    _refuse_cells(path, "path", empty, text, "a path lacks a channel", "write ads > mail")
    conversions, nulls = (_parse_counts(path, name, cells) for name, cells in counts.items())
    if not conversions.sum():
        raise DataError(
            "no path has a conversion",
            where=str(path),
            found=f"0 conversions in {len(paths):,} paths",
            fix="give the paths that ended in a conversion, and those that did not",
        )
    return Journeys.from_paths(paths, conversions, nulls)


def _read_columns(path: Path) -> tuple[list[str], dict[str, pa.ChunkedArray]]:
    """Return the paths as texts, empty for none, and both columns of counts by name."""
    if not path.is_file():
        raise DataError(
            "no such file", where=f"--paths {path}", fix="name a CSV or Parquet file of paths"
        )
    kind = PARQUET if path.suffix == ".parquet" else CSV
    source = SourceRows(path=str(path), skip_above=0, skip_below=0)
    blocks = list[pa.Table]()
    for block in read_blocks(LocalFile.find(path), kind, source, Selection()):
        if block.broken or block.warnings:
            broken = [f"line {record.line}" for record in block.broken[:1]]
            raise DataError(
                "the file is cut or broken",
                where=str(path),
                found=", ".join([*broken, *block.warnings]),
                fix="write the file again",
            )
        names = block.names
        blocks.append(block.table)
    table = pa.concat_tables(blocks).rename_columns(list(names))
    chosen = [
        _find_column(path, names, allowed)
        for allowed in (PATH_COLUMNS, CONVERSION_COLUMNS, NULL_COLUMNS)
    ]
    text = pc.fill_null(table[chosen[0]].cast(pa.string()), "").to_pylist()
    return text, {name: table[name] for name in chosen[1:]}


def _find_column(path: Path, names: Sequence[str], allowed: Sequence[str]) -> str:
    for name in allowed:
        if name in names:
            return name
    raise DataError(
        "the table of paths lacks a column",
        where=f"{path}, column {allowed[0]}",
        found=f"the columns {', '.join(names) or 'none'}",
        fix=f"name a column {' or '.join(allowed)}",
    )


def _parse_counts(path: Path, name: str, cells: pa.ChunkedArray) -> np.ndarray:
    """Return whole numbers from 0, float64 (rows,)."""
    texts = pc.fill_null(cells.cast(pa.string()), "")
    is_number = pc.match_substring_regex(texts, r"^\s*[0-9]{1,15}(\.0+)?\s*$")
    wrong = ~is_number.to_numpy()
    problem = "a count is no whole number from 0"
    _refuse_cells(path, name, wrong, texts.to_pylist(), problem, "write counts such as 0 or 12")
    counts: np.ndarray = pc.utf8_trim_whitespace(texts).cast(pa.float64()).to_numpy()
    return counts


def _refuse_cells(
    path: Path, column: str, wrong: np.ndarray, cells: Sequence[str], problem: str, fix: str
) -> None:
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        rows = f"{int(wrong.sum()):,} of {len(cells):,} rows, such as row {row + 1}: "
        raise DataError(
            problem, where=f"{path}, column {column}", found=f"{rows}{cells[row]!r}", fix=fix
        )
