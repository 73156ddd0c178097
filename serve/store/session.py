"""Statements and whole tables in one transaction: Arrow in and Arrow out, without Python rows.

An instant is a ``timestamptz`` in PostgreSQL. SQLite has no such type: there it is ISO-8601 text in
UTC with six decimals (``2025-07-01T00:00:00.000000Z``). Text of one width sorts chronologically and
keeps the microsecond.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from configs.errors import StateError
from features.contracts import INSTANT
from features.tools.parallel import parallel_map

# Rows written or read at a time: few batches are in memory next to the table itself.
BATCH_ROWS = 16_384
# Settings of a PostgreSQL session that carry the values of a query.
SETTING_PREFIX = "leadscore.p"
SQLITE_INSTANT_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
# SQL literals of a first row, from which SQLite's driver infers the types.
FIRST_ROW_LITERALS = {pa.string(): "''", pa.int64(): "0", pa.float64(): "0.0", pa.bool_(): "0"}
PARAMETER_TYPES = {datetime: "timestamptz", int: "bigint", str: "text"}
SQLITE_OPTIONS = {"adbc.sqlite.query.batch_rows": str(BATCH_ROWS)}


class Session:
    """One open transaction.

    Attributes:
        backend: ``sqlite`` or ``postgresql``.
        is_retry: Whether it was tried before; that attempt may even have been committed.
    """

    def __init__(self, connection: Any, dialect: sa.Dialect, is_retry: bool = False) -> None:
        self.backend = dialect.name
        self.is_retry = is_retry
        self._connection = connection
        self._dialect = dialect

    def execute(self, statement: sa.ClauseElement | str) -> None:
        """Execute a statement that returns no rows."""
        sql, values = self._compile(statement)
        with self._connection.cursor() as cursor:
            cursor.execute(sql, values or None)

    def render_sql(self, statement: sa.ClauseElement) -> str:
        """Return a statement, or a part of one, as SQL with its values as literals."""
        return str(statement.compile(dialect=self._dialect, compile_kwargs={"literal_binds": True}))

    def fetch_table(
        self, query: sa.Select[Any], schema: pa.Schema, *order: sa.Column[Any]
    ) -> pa.Table:
        """Return the rows of a query, sorted by ``order``, as a table of ``schema``.

        The query selects the columns of the schema.
        """
        if self.backend == "sqlite":
            return self._fetch_from_sqlite(query, schema, order)
        sql, values = self._compile(query.order_by(*order))
        fetched = self._fetch(self._inline_settings(sql, values))
        return pa.Table.from_arrays(fetched.columns, schema=schema)

    def append(self, table: sa.Table, rows: pa.Table) -> None:
        """Insert rows into a table in the order of its key, which keeps index writes sequential."""
        rows = rows.select(table.c.keys())
        key = [column.name for column in table.primary_key]
        batches = sort_into_batches(rows, key, self._encode_batch)
        schema = pa.schema(
            [(f.name, pa.string() if self._is_stored_as_text(f) else f.type) for f in rows.schema]
        )
        with self._connection.cursor() as cursor:
            cursor.adbc_ingest(
                table.name, pa.RecordBatchReader.from_batches(schema, batches), mode="append"
            )

    def _compile(self, statement: sa.ClauseElement | str) -> tuple[str, list[Any]]:
        if isinstance(statement, str):
            return statement, []
        compiled: Any = statement.compile(dialect=self._dialect)
        return str(compiled), [
            self._to_parameter(compiled.params[name]) for name in compiled.positiontup or ()
        ]

    def _to_parameter(self, value: Any) -> Any:
        if not isinstance(value, datetime):
            # SQLAlchemy's quoted names are a subclass of str, which the drivers do not take.
            return str(value) if isinstance(value, str) else value
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        instant = value.astimezone(UTC)
        return format_sqlite_instant(instant) if self.backend == "sqlite" else instant

    def _inline_settings(self, sql: str, values: list[Any]) -> str:
        """Pass the values as settings of the transaction and refer to them in the SQL.

        The driver streams a query that it can wrap in a COPY, and a COPY takes no parameters. With
        parameters it would hold the whole result in memory, twice.
        """
        for number, value in enumerate(values, 1):
            text = value.isoformat() if isinstance(value, datetime) else str(value)
            with self._connection.cursor() as cursor:
                # ``true``: the setting ends with the transaction.
                cursor.execute(
                    "SELECT set_config($1, $2, true)", (f"{SETTING_PREFIX}{number}", text)
                )
                cursor.fetchall()
        types = [PARAMETER_TYPES[type(value)] for value in values]
        return re.sub(
            r"\$(\d+)",
            lambda match: (
                f"current_setting('{SETTING_PREFIX}{match[1]}')::{types[int(match[1]) - 1]}"
            ),
            sql,
        )

    def _fetch_from_sqlite(
        self, query: sa.Select[Any], schema: pa.Schema, order: Sequence[sa.Column[Any]]
    ) -> pa.Table:
        """Fetch behind a first row of known types.

        The driver infers a column's type from its first values. The first row has 0 in a last
        column and all others have 1, so that it comes first in any order.
        """
        order_columns = [column for column in order if column.name not in schema.names]
        names = [*schema.names, *(column.name for column in order_columns)]
        literals = [
            FIRST_ROW_LITERALS[pa.string() if kind == INSTANT else kind] for kind in schema.types
        ] + ["''" for _ in order_columns]
        first_row: Any = sa.select(*map(sa.literal_column, [*literals, "0"]))
        rows = sa.union_all(first_row, query.add_columns(*order_columns, sa.literal_column("1")))
        sort_positions = [len(names) + 1, *(names.index(column.name) + 1 for column in order)]
        sql, values = self._compile(
            rows.order_by(*(sa.literal_column(str(position)) for position in sort_positions))
        )
        fetched = self._fetch(sql, values, SQLITE_OPTIONS).slice(1)
        columns = zip(fetched.columns[: len(schema)], schema, strict=True)
        return pa.Table.from_arrays(
            [_cast_column(column, field) for column, field in columns], schema=schema
        )

    def _fetch(
        self, sql: str, values: Sequence[Any] = (), options: dict[str, str] | None = None
    ) -> pa.Table:
        with self._connection.cursor(adbc_stmt_kwargs=options) as cursor:
            cursor.execute(sql, values or None)
            return cursor.fetch_arrow_table()

    def _is_stored_as_text(self, field: pa.Field) -> bool:
        return self.backend == "sqlite" and field.type == INSTANT

    def _encode_batch(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = zip(batch.columns, batch.schema, strict=True)
        arrays = [
            _format_sqlite_instants(column) if self._is_stored_as_text(field) else column
            for column, field in columns
        ]
        return pa.RecordBatch.from_arrays(arrays, batch.schema.names)


def sort_into_batches(
    rows: pa.Table, key: Sequence[str], encode: Callable[[pa.RecordBatch], pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Yield the rows sorted by ``key`` in batches, each passed through ``encode``.

    Few batches are in memory at a time next to the table itself. The next ones are prepared while
    the database takes one.
    """
    # Rows of a night share project and as-of: comparing constant columns would dominate the sort.
    varying_names = [name for name in key if rows and not _is_constant(rows[name])] or list(key)
    # Signed: NumPy turns a difference of uint64 and int64 into fractions.
    order = (
        pc.sort_indices(rows, [(name, "ascending") for name in varying_names])
        .to_numpy()
        .astype(np.int64)
    )
    batches = rows.to_batches()
    starts = np.cumsum([0, *(batch.num_rows for batch in batches)])
    chunks = (order[begin : begin + BATCH_ROWS] for begin in range(0, len(order), BATCH_ROWS))
    return parallel_map(
        lambda row_numbers: encode(_take_rows(batches, starts, row_numbers)), chunks
    )


def _is_constant(column: pa.ChunkedArray) -> bool:
    return bool(pc.all(pc.equal(column, column[0])).as_py())


def _take_rows(
    batches: Sequence[pa.RecordBatch], starts: np.ndarray, row_numbers: np.ndarray
) -> pa.RecordBatch:
    """Return the rows with these numbers, in their order.

    ``starts`` has the number of each batch's first row, and after them the total.
    """
    batch_number = int(np.searchsorted(starts, row_numbers[0], "right")) - 1
    if starts[batch_number] <= row_numbers.min() and row_numbers.max() < starts[batch_number + 1]:
        return batches[batch_number].take(pa.array(row_numbers - starts[batch_number]))
    by_position = np.argsort(row_numbers, kind="stable")
    edges = np.searchsorted(row_numbers[by_position], starts)
    parts = [
        batch.take(pa.array(row_numbers[by_position[low:high]] - start))
        for batch, start, low, high in zip(batches, starts, edges, edges[1:], strict=False)
        if low < high
    ]
    inverse = np.empty_like(by_position)
    inverse[by_position] = np.arange(len(by_position))
    return pa.concat_batches(parts).take(pa.array(inverse))


def format_sqlite_instant(instant: datetime) -> str:
    """Return an aware instant as SQLite stores it."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _cast_column(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    """Return a column of SQLite, which keeps a value of any type, in its own type."""
    try:
        return column.cast(field.type)
    except pa.ArrowInvalid:
        # The value is not quoted: it may be from a row on a person.
        raise StateError(
            "the scores database holds a value that its column cannot have",
            where=f"column {field.name}",
            found=f"a value that is no {'time in UTC' if field.type == INSTANT else field.type}",
            fix="another program has changed it: correct the value, or restore the backup",
        ) from None


def _format_sqlite_instants(column: pa.Array) -> pa.Array:
    """Format instants as text, each distinct one only once."""
    distinct = column.dictionary_encode()
    return pc.strftime(distinct.dictionary, SQLITE_INSTANT_FORMAT).take(distinct.indices)
