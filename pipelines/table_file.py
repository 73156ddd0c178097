"""Tables written as CSV or Parquet files, each complete or not at all."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.parquet as pq

from configs.errors import ConfigError

WRITERS = {".csv": csv.CSVWriter, ".parquet": pq.ParquetWriter}


def require_output_path(path: Path) -> None:
    """Raise ConfigError for an unknown file ending or a missing folder, before any work is done."""
    if path.suffix not in WRITERS:
        raise ConfigError(
            "unknown file format",
            where=f"--out {path}",
            fix=f"end the name in {' or '.join(WRITERS)}",
        )
    if not path.parent.is_dir():
        raise ConfigError(
            "no such folder",
            where=f"--out {path}",
            found=str(path.parent),
            fix="create it first",
        )


def require_output_folder(out: Path) -> None:
    """Raise ConfigError if the folder for the tables cannot be one, before any work is done."""
    if out.exists() and not out.is_dir():
        raise ConfigError(
            "not a folder",
            where=f"--out {out}",
            fix="name a folder; the tables become files in it",
        )


def write_table_folder(out: Path, tables: Mapping[str, pa.Table]) -> list[Path]:
    """Write each table by name as CSV and as Parquet into a folder; return the files."""
    out.mkdir(parents=True, exist_ok=True)
    files = []
    for name, table in tables.items():
        for ending in WRITERS:
            files.append(out / f"{name}{ending}")
            write_tables(files[-1], [table])
    return files


def write_tables(path: Path, tables: Iterable[pa.Table]) -> int:
    """Write tables of one schema, at least one, below each other; return the number of columns.

    A temporary file in the same folder takes the place of ``path`` once it is complete, so no
    reader sees half a file. A file that is replaced hands its mode on.
    """
    remaining = iter(tables)
    first = next(remaining)
    # In the same folder, since a rename is atomic within one file system only.
    temporary = path.with_name(f".{path.name}.part")
    try:
        with WRITERS[path.suffix](temporary, first.schema) as writer:
            for table in chain([first], remaining):
                writer.write_table(_empty_missing(table) if path.suffix == ".csv" else table)
        # The user chose both the name and who may read it.
        if path.exists():
            temporary.chmod(stat.S_IMODE(path.stat().st_mode))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return first.num_columns


def _empty_missing(table: pa.Table) -> pa.Table:
    """Return a table with null for NaN, so that a missing number is an empty cell, as a text is."""
    columns = [
        pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
        if pa.types.is_floating(column.type)
        else column
        for column in table.columns
    ]
    return pa.table(columns, names=table.column_names)
