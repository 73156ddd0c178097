"""Queries on a DuckDB file, which is only read, and without access to anything else."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from configs.addresses.parser import Address
from features.intake.databases.result import ROWS_PER_BATCH, QueryResult
from features.intake.databases.text_sql import quote_identifier

# Types whose Arrow form loses a part of the value, or has no text of its own.
TEXT_TYPES = (
    *("HUGEINT", "UHUGEINT", "BIGNUM", "BIT", "INTERVAL", "TIME", "TIME_NS", "UUID", "JSON"),
    *("TIME WITH TIME ZONE", "VARIANT", "GEOMETRY"),
)


@contextmanager
def open_duckdb_result(address: Address, query: str, scratch: Path | None) -> Iterator[QueryResult]:
    """Run a query on a DuckDB file; what does not fit into memory is sorted in ``scratch``."""
    if scratch is not None:
        scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch, prefix="duckdb-") as folder:
        config: dict[str, Any] = {
            # No file, no address and no extension: a query reads this one file.
            "enable_external_access": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            # Otherwise a name without a table would be looked up among the variables of Python.
            "python_enable_replacements": "false",
            "temp_directory": folder,
        }
        with duckdb.connect(address.path, read_only=True, config=config) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("SET lock_configuration = true")
            inner = f"({query.strip().rstrip(';')}\n)"
            described = connection.execute(f"DESCRIBE {inner}").fetchall()
            names, kinds = [row[0] for row in described], [row[1] for row in described]
            places = ", ".join(f"c{i}" for i in range(len(names)))
            columns = ", ".join(_select_column(f"c{i}", kind) for i, kind in enumerate(kinds))
            relation = connection.sql(
                f"SELECT {columns} FROM {inner} AS source_rows({places})"  # noqa: S608
            )
            yield QueryResult.from_reader(names, relation.to_arrow_reader(ROWS_PER_BATCH))


def _select_column(name: str, kind: str) -> str:
    quoted = quote_identifier(name)
    is_text = kind in TEXT_TYPES or kind.startswith("UNION")
    return f"CAST({quoted} AS VARCHAR) AS {quoted}" if is_text else quoted
