"""A table as a CSV or Parquet file, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq

from configs.errors import ConfigError

WRITERS = {".parquet": pq.ParquetWriter, ".csv": csv.CSVWriter}


def require_output_path(out: Path) -> None:
    """Raise ConfigError for another file ending or a folder that is not there, before any work is done."""
    if out.suffix not in WRITERS:
        raise ConfigError(
            "no such format", where=f"--out {out}", fix=f"end the name in {' or '.join(WRITERS)}"
        )
    if not out.parent.is_dir():
        raise ConfigError(
            "no such folder", where=f"--out {out}", found=str(out.parent), fix="create it first"
        )


def write_tables(out: Path, tables: Iterable[pa.Table]) -> int:
    """Write tables of one schema, at least one, below each other and return the number of columns.

    They are written to a file beside it that takes its place once it is complete: nobody reads half of one.
    """
    rest = iter(tables)
    first = next(rest)
    part = out.with_name(f".{out.name}.part")
    try:
        with WRITERS[out.suffix](part, first.schema) as writer:
            for table in chain([first], rest):
                writer.write_table(table)
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    return first.num_columns
