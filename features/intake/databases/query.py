"""Results of a query on a database.

Integers, floats, decimals, truths, dates and times keep their type where the database has one; all
other values are text. SQLite types each value, so all of its values are text.
"""

from __future__ import annotations

import importlib
from contextlib import AbstractContextManager
from pathlib import Path

import duckdb
import pyarrow as pa
import sqlalchemy as sa

from configs.addresses.parser import Address
from configs.addresses.sources import DUCKDB, FILE_SCHEMES, TITLES
from configs.errors import DataError
from features.intake.databases.arrow_drivers import ARROW_DRIVERS, open_arrow_result
from features.intake.databases.dialects import open_dialect_result
from features.intake.databases.duckdb_file import open_duckdb_result
from features.intake.databases.result import QueryResult
from features.intake.formats.files import number_repeated_names
from features.tools.spill import SpillBuffer

FIX_SERVER = "check the address, that the server is running, and the query"
# What to do, by a part of a message of DuckDB.
FIXES = {
    "Conflicting lock is held": "close the program that writes to it, or read a copy of the file",
    "not a valid DuckDB database": "check the file: it is no DuckDB database, or damaged",
    "storage version": "pip install --upgrade duckdb, or export it with an older DuckDB",
    "Corrupt": "the file is damaged: restore it, or export its data again",
    "Could not read": "the file is incomplete: copy it again",
    "disabled by configuration": "read other files as sources of their own",
    "disabled through configuration": "read other files as sources of their own",
}


def read_query(
    address: Address, query: str, where: str, scratch: Path | None = None
) -> tuple[list[str], pa.Table]:
    """Return column names and table (columns ``c0`` …, one row per result row) of a query.

    Repeated names get a number. Instants with a zone are in UTC. A result larger than memory is
    stored in the directory ``scratch``. Raises DataError if the database cannot be reached or the
    query fails, at any row, and ConfigError if the driver is not installed. No message contains a
    secret of the address.
    """
    failures = (
        importlib.import_module("adbc_driver_manager").Error,
        *(duckdb.Error, sa.exc.SQLAlchemyError, pa.ArrowException, UnicodeDecodeError, OSError),
    )
    if address.scheme in FILE_SCHEMES:
        _require_file(address)
    try:
        with _open_result(address, query, scratch) as result:
            names = number_repeated_names(result.names)
            return names, SpillBuffer.collect(result.schema, result.pieces, scratch)
    except failures as error:
        raise _make_error(address, where, error) from None


def _open_result(
    address: Address, query: str, scratch: Path | None
) -> AbstractContextManager[QueryResult]:
    if address.scheme == DUCKDB:
        return open_duckdb_result(address, query, scratch)
    if address.scheme in ARROW_DRIVERS:
        return open_arrow_result(address, query)
    return open_dialect_result(address, query)


def _make_error(address: Address, where: str, error: BaseException) -> DataError:
    # The driver's own error, without the statement that SQLAlchemy adds.
    cause = getattr(error, "orig", None) or error
    observed = address.mask(" ".join(str(cause).split()))
    fix = next((fix for part, fix in FIXES.items() if part in observed), FIX_SERVER)
    if fix == FIX_SERVER and address.scheme in FILE_SCHEMES:
        fix = "check the query"
    return DataError(f"{TITLES[address.scheme]} query failed", where=where, found=observed, fix=fix)


def _require_file(address: Address) -> None:
    try:
        exists = Path(address.path).is_file()
    except OSError:  # such as a name that is too long
        exists = False
    if not exists:
        raise DataError(
            "database file not found",
            where=str(Path(address.path).absolute()),
            fix=f"write {address.scheme}:////absolute/path, or {address.scheme}:///path from the "
            "folder of the YAML",
        )
