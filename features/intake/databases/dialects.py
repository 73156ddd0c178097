"""Queries through SQLAlchemy: MySQL and MariaDB, SQL Server and Oracle."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from configs.addresses.parser import Address
from configs.addresses.sources import MSSQL, MYSQL, ORACLE
from features.intake.databases.mysql_columns import MysqlColumn
from features.intake.databases.result import ROWS_PER_BATCH, QueryResult, import_driver
from features.intake.formats.texts import to_text

# Dialect, module and package of each scheme's driver.
DRIVERS = {
    (MYSQL, ""): ("mysql+pymysql", "pymysql", "leadscore[mysql]"),
    (MSSQL, "pymssql"): ("mssql+pymssql", "pymssql", "pymssql"),
    (MSSQL, "pyodbc"): ("mssql+pyodbc", "pyodbc", "pyodbc"),
    (ORACLE, ""): ("oracle+oracledb", "oracledb", "oracledb"),
}
# Statements before the query. A timestamp of MySQL is sent in the zone of the session; a query must
# not write; a backslash escapes in quotes, as our check of the query assumes; and the server waits
# ten minutes for a machine that is busy storing what was sent.
SESSION_STATEMENTS = {
    MYSQL: (
        "SET SESSION time_zone = '+00:00'",
        "SET SESSION sql_mode = REPLACE(@@sql_mode, 'NO_BACKSLASH_ESCAPES', '')",
        "SET SESSION net_write_timeout = 600",
        "SET SESSION TRANSACTION READ ONLY",
    ),
    MSSQL: (),
    ORACLE: ("SET TRANSACTION READ ONLY", "ALTER SESSION SET TIME_ZONE = '+00:00'"),
}

Converter = Callable[[Sequence[Any]], pa.Array]


@contextmanager
def open_dialect_result(address: Address, query: str) -> Iterator[QueryResult]:
    """Run a query by SQLAlchemy; rows arrive in batches, from a cursor of the server."""
    _, module, package = DRIVERS[address.scheme, address.driver]
    import_driver(module, package)
    engine = sa.create_engine(make_url(address), poolclass=sa.NullPool, hide_parameters=True)
    try:
        with engine.connect() as connection:
            for statement in SESSION_STATEMENTS[address.scheme]:
                connection.exec_driver_sql(statement)
            if address.scheme == MYSQL:
                driver_connection: Any = connection.connection.driver_connection
                driver_connection.decoders = {}
            # Without parameters, so that a percent sign is one. The size of a batch is given again
            # where it is read: SQLAlchemy 2.1.9 forgets the option `yield_per` of such a query.
            options = {
                "stream_results": True,
                "max_row_buffer": ROWS_PER_BATCH,
                "no_parameters": True,
            }
            result = connection.exec_driver_sql(
                query.strip().rstrip(";"), execution_options=options
            )
            rows = getattr(result.cursor, "_result", None)
            try:
                yield _read_rows(result, address.scheme)
            except BaseException:
                # Otherwise PyMySQL would read the rest of the rows before it closes the connection,
                # and again, to its surprise, after that.
                if rows is not None:
                    rows.unbuffered_active = False
                connection.invalidate()
                raise
    finally:
        engine.dispose()


def make_url(address: Address) -> sa.URL:
    """Return the address for SQLAlchemy."""
    dialect, _, _ = DRIVERS[address.scheme, address.driver]
    host, port = address.hosts[0] if address.hosts else ("", "")
    parameters = dict(address.parameters)
    if address.scheme == MYSQL:
        parameters |= {"charset": "utf8mb4"}
    return sa.URL.create(
        dialect,
        address.user or None,
        address.password or None,
        host or None,
        int(port) if port else None,
        address.path or None,
        parameters,
    )


def _read_rows(result: sa.CursorResult[Any], scheme: str) -> QueryResult:
    cursor: Any = result.cursor
    names = [column[0] for column in cursor.description]
    types: list[pa.DataType] = [pa.string()] * len(names)
    converters: list[Converter] = [_write_values] * len(names)
    if scheme == MYSQL:
        columns = [MysqlColumn.from_field(field) for field in cursor._result.fields]
        types = [column.arrow_type for column in columns]
        converters = [column.convert for column in columns]
    schema = pa.schema([(f"c{i}", kind) for i, kind in enumerate(types)])
    return QueryResult(names, schema, _iter_pieces(result, schema, converters))


def _iter_pieces(
    result: sa.CursorResult[Any], schema: pa.Schema, converters: Sequence[Converter]
) -> Iterator[pa.Table]:
    for rows in result.partitions(ROWS_PER_BATCH):
        columns = zip(converters, zip(*rows, strict=True), strict=True)
        yield pa.table([convert(values) for convert, values in columns], schema=schema)


def _write_values(values: Sequence[Any]) -> pa.Array:
    """Return values of any driver as text, as a person would write them."""
    return pa.array(map(write_value, values), pa.string())


def write_value(value: Any) -> str | None:
    """Return a value of any driver as text, as a person would write it; bytes in hexadecimal."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex().upper()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dt.datetime):
        return value.isoformat(" ")
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text if text.rstrip("0")[-1:] != "." else text.partition(".")[0]
    if isinstance(value, float):
        return to_text(pa.chunked_array([pa.array([value])]))[0].as_py()
    if hasattr(value, "read"):  # a large object of Oracle
        return write_value(value.read())
    return str(value)
