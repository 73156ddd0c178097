"""Results of a query on SQLite or PostgreSQL.

PostgreSQL's columns are typed; all other values are text, as written by the database.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from configs.addresses.database import SQLITE
from configs.addresses.parser import Address
from configs.errors import DataError
from features.tools.spill import SpillBuffer

TITLES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


def quote_identifier(name: str) -> str:
    """Return a name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def read_query(
    address: Address, query: str, where: str, scratch: Path | None = None
) -> tuple[list[str], pa.Table]:
    """Return column names and table (columns ``c0`` …, one row per result row) of a query.

    Integers, floats and booleans of PostgreSQL keep their type; all other values are text,
    instants in UTC with offset. A result larger than memory is stored in the directory ``scratch``.
    Raises DataError if the database cannot be reached or the query fails. No message contains a
    secret of the address.
    """
    connect = _select_driver(address)
    inner = f"({query.strip().rstrip(';')}\n) AS source_rows"
    errors = importlib.import_module("adbc_driver_manager").Error
    try:
        with connect() as connection, connection.cursor() as cursor:
            if address.scheme != SQLITE:
                cursor.execute("SET TIME ZONE 'UTC'")
            # Asked for no row first, since the expression of a column depends on its type.
            # The query is the user's own; the columns are quoted names.
            cursor.execute(f"SELECT * FROM {inner} LIMIT 0")  # noqa: S608
            fields = list(cursor.fetch_arrow_table().schema)
            columns = ", ".join(
                f"{_select_expression(field, address.scheme)} AS c{i}"
                for i, field in enumerate(fields)
            )
            cursor.execute(f"SELECT {columns} FROM {inner}")  # noqa: S608
            with cursor.fetch_record_batch() as reader:
                return [field.name for field in fields], SpillBuffer.collect(
                    reader.schema, map(_validate_batch, reader), scratch
                )
    except (errors, pa.ArrowInvalid, UnicodeDecodeError) as error:
        observed = address.mask(" ".join(str(error).split()))
        fix = "check the address, that the server is running, and the query"
        raise DataError(
            f"{TITLES[address.scheme]} query failed", where=where, found=observed, fix=fix
        ) from None


def _validate_batch(batch: pa.RecordBatch) -> pa.Table:
    batch.validate(full=True)
    return pa.Table.from_batches([batch])


def _select_driver(address: Address) -> Callable[[], Any]:
    if address.scheme == SQLITE:
        path = address.path
        if not _is_file(path):
            raise DataError(
                "database file not found",
                where=str(Path(path).absolute()),
                fix="write sqlite:////absolute/path, or sqlite:///path from the folder of the YAML",
            )
        sqlite = importlib.import_module("adbc_driver_sqlite.dbapi")
        return lambda: sqlite.connect(f"file:{quote(path)}?mode=ro")
    postgresql = importlib.import_module("adbc_driver_postgresql.dbapi")
    return lambda: postgresql.connect(address.render())


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except OSError:  # such as a name that is too long
        return False


def _select_expression(field: pa.Field, kind: str) -> str:
    """Return the SQL of a column: the column itself, or its text."""
    typed = (
        pa.types.is_integer(field.type)
        or pa.types.is_floating(field.type)
        or pa.types.is_boolean(field.type)
    )
    return (
        quote_identifier(field.name)
        if typed and kind != SQLITE
        else _text_expression(quote_identifier(field.name), kind)
    )


def _text_expression(column: str, kind: str) -> str:
    """Return the SQL of a value's text.

    SQLite types each value, not the column, and its own cast rounds to 15 digits.
    """
    if kind != SQLITE:
        # A numeric keeps the zeros of its scale, which are no part of a whole number.
        return (
            f"CASE WHEN pg_typeof({column}) = 'numeric'::regtype "
            f"THEN regexp_replace(CAST({column} AS text), '[.]0+$', '') "
            f"ELSE CAST({column} AS text) END"
        )
    # Whole numbers in plain digits: 64-bit integers exactly, larger ones by printf, with ".0". Of
    # the others the fewest digits that identify the float, at most 17, so that no two values of the
    # database become equal texts.
    is_integer = f"{column} = CAST({column} AS INTEGER) AND abs({column}) < 9.2e18"
    integer_text = f"CAST(CAST({column} AS INTEGER) AS TEXT)"
    large_text = f"replace(printf('%!.0f', {column}), '.0', '')"
    shortest = " ".join(
        f"WHEN CAST(printf('%!.{digits}g', {column}) AS REAL) = {column} "
        f"THEN printf('%!.{digits}g', {column})"
        for digits in (15, 16)
    )
    real_text = (
        f"CASE WHEN {is_integer} THEN {integer_text} "
        # Infinity has no digits.
        f"WHEN abs({column}) BETWEEN 9.2e18 AND 1e300 THEN {large_text} "
        f"{shortest} ELSE printf('%!.17g', {column}) END"
    )
    other_cases = f"WHEN 'blob' THEN hex({column}) ELSE CAST({column} AS TEXT) END"
    # The driver infers a column's type from its first rows, so they must not be null.
    return f"coalesce(CASE typeof({column}) WHEN 'real' THEN {real_text} {other_cases}, '')"
