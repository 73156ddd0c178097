"""One table, written into every form of source that has types or text for its values."""

import sqlite3
from dataclasses import dataclass
from datetime import datetime

import adbc_driver_postgresql.dbapi
import duckdb
import pyarrow as pa
from pyarrow import csv, parquet

from tests.mariadb import Server


@dataclass(frozen=True)
class Column:
    """A column of the table: its name, its type in Arrow and in each database."""

    name: str
    arrow: pa.DataType
    duckdb: str
    postgresql: str
    mariadb: str


COLUMNS = (
    Column("id", pa.int64(), "BIGINT", "bigint", "BIGINT"),
    Column("code", pa.uint64(), "UBIGINT", "numeric(20)", "BIGINT UNSIGNED"),
    Column("born", pa.timestamp("us"), "TIMESTAMP", "timestamp", "DATETIME(6)"),
    Column("seen", pa.timestamp("us", "UTC"), "TIMESTAMPTZ", "timestamptz", "TIMESTAMP(6) NULL"),
    Column("day", pa.date32(), "DATE", "date", "DATE"),
    Column("what", pa.string(), "VARCHAR", "text", "VARCHAR(40)"),
    Column("amount", pa.decimal128(12, 2), "DECIMAL(12,2)", "numeric(12,2)", "DECIMAL(12,2)"),
    Column("size", pa.float64(), "DOUBLE", "float8", "DOUBLE"),
    Column("ok", pa.bool_(), "BOOLEAN", "boolean", "BOOLEAN"),
)
SCHEMA = pa.schema([(column.name, column.arrow) for column in COLUMNS])


def write_parquet(folder, table):
    parquet.write_table(table, folder / "t.parquet")
    return {"path": str(folder / "t.parquet")}


def write_csv(folder, table):
    """Write the values as a person would; the config says what the point in a number is."""
    columns = [column.cast(pa.string()) for column in table.columns]
    csv.write_csv(pa.table(columns, table.column_names), folder / "t.csv")
    return {"path": str(folder / "t.csv"), "decimal": "."}


def write_duckdb(folder, table):
    names = ", ".join(f"{column.name} {column.duckdb}" for column in COLUMNS)
    with duckdb.connect(folder / "t.duckdb") as connection:
        connection.execute(f"SET TimeZone = 'UTC'; CREATE TABLE t ({names})")
        connection.register("rows", table)
        connection.execute("INSERT INTO t SELECT * FROM rows")
    return {"database": f"duckdb:///{folder / 't.duckdb'}", "query": "SELECT * FROM t"}


def write_sqlite(folder, table):
    with sqlite3.connect(folder / "t.db") as connection:
        names = ", ".join(SCHEMA.names)
        connection.execute(f"CREATE TABLE t ({names})")
        marks = ", ".join("?" * len(COLUMNS))
        rows = [[_to_sqlite(value) for value in row.values()] for row in table.to_pylist()]
        connection.executemany(f"INSERT INTO t VALUES ({marks})", rows)
    connection.close()
    return {"database": f"sqlite:///{folder / 't.db'}", "query": "SELECT * FROM t"}


def _to_sqlite(value):
    """Return a value in a type of SQLite, which has neither truths, times nor large integers."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or isinstance(value, float) or (isinstance(value, int) and value < 2**63):
        return value
    return str(value)


def write_postgresql(url, table):
    names = ", ".join(f"{column.name} {column.postgresql}" for column in COLUMNS)
    values = ", ".join(f"CAST(${i + 1} AS {c.postgresql})" for i, c in enumerate(COLUMNS))
    # The driver binds decimals and unsigned integers as texts of their own type only.
    texts = [
        column.cast(pa.string())
        if pa.types.is_decimal(column.type) or pa.types.is_unsigned_integer(column.type)
        else column
        for column in table.columns
    ]
    with adbc_driver_postgresql.dbapi.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS agreeing")
        cursor.execute(f"CREATE TABLE agreeing (nr serial, {names})")
        cursor.executemany(
            f"INSERT INTO agreeing ({', '.join(SCHEMA.names)}) VALUES ({values})",
            pa.table(texts, SCHEMA.names),
        )
        connection.commit()
    query = f"SELECT {', '.join(SCHEMA.names)} FROM agreeing ORDER BY nr"
    return {"database": url, "query": query}


def write_mariadb(server: Server, table):
    names = ", ".join(f"{column.name} {column.mariadb}" for column in COLUMNS)
    marks = ", ".join(["%s"] * len(COLUMNS))
    rows = [[_to_mariadb(value) for value in row.values()] for row in table.to_pylist()]
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET time_zone = '+00:00'")
        cursor.execute("DROP TABLE IF EXISTS agreeing")
        cursor.execute(f"CREATE TABLE agreeing (nr INT AUTO_INCREMENT PRIMARY KEY, {names})")
        cursor.executemany(
            f"INSERT INTO agreeing ({', '.join(SCHEMA.names)}) VALUES ({marks})", rows
        )
    query = f"SELECT {', '.join(SCHEMA.names)} FROM agreeing ORDER BY nr"
    return {"database": server.url, "query": query}


def _to_mariadb(value):
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value
