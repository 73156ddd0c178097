"""Statements and whole tables in one transaction: Arrow in and Arrow out, no row ever a Python object.

An instant is a ``timestamptz`` in PostgreSQL. In SQLite, which has no such type, it is ISO-8601 text in UTC with six
decimals (``2025-07-01T00:00:00.000000Z``): text of one width sorts as time does and gives back the very microsecond.
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

from features.contracts import INSTANT
from features.tools.parallel import side_by_side

PIECE = 16_384
SETTING = "leadscore.p"
ISO = "%Y-%m-%dT%H:%M:%SZ"
HEADS = {pa.string(): "''", pa.int64(): "0", pa.float64(): "0.0"}
SQL_KINDS = {datetime: "timestamptz", int: "bigint", str: "text"}
SQLITE_PIECES = {"adbc.sqlite.query.batch_rows": str(PIECE)}


class Session:
    """One open transaction. ``again`` says that it was tried before, and that its commit may even have gone through."""

    def __init__(self, connection: Any, dialect: sa.Dialect, again: bool = False) -> None:
        self.kind = dialect.name
        self.again = again
        self._connection = connection
        self._dialect = dialect

    def execute(self, statement: sa.ClauseElement | str) -> None:
        """Execute a statement that gives no rows."""
        sql, values = self._compiled(statement)
        with self._connection.cursor() as cursor:
            cursor.execute(sql, values or None)

    def text(self, statement: sa.ClauseElement) -> str:
        """Return a statement, or a piece of one, as SQL with its values written in it."""
        return str(statement.compile(dialect=self._dialect, compile_kwargs={"literal_binds": True}))

    def table(self, query: sa.Select[Any], schema: pa.Schema, *order: sa.Column[Any]) -> pa.Table:
        """Return a query's rows as a table of ``schema``, whose columns it selects, sorted by ``order``."""
        if self.kind == "sqlite":
            return self._from_sqlite(query, schema, order)
        sql, values = self._compiled(query.order_by(*order))
        found = self._fetched(self._with_settings(sql, values))
        return pa.Table.from_arrays(found.columns, schema=schema)

    def append(self, table: sa.Table, rows: pa.Table) -> None:
        """Add rows to a table, in the order of its key: an index likes what comes in its own order."""
        rows = rows.select(table.c.keys())
        key = [column.name for column in table.primary_key]
        pieces = in_order(rows, key, self._encoded)
        schema = pa.schema(
            [(f.name, pa.string() if self._as_text(f) else f.type) for f in rows.schema]
        )
        with self._connection.cursor() as cursor:
            cursor.adbc_ingest(
                table.name, pa.RecordBatchReader.from_batches(schema, pieces), mode="append"
            )

    def _compiled(self, statement: sa.ClauseElement | str) -> tuple[str, list[Any]]:
        if isinstance(statement, str):
            return statement, []
        compiled: Any = statement.compile(dialect=self._dialect)
        return str(compiled), [
            self._value(compiled.params[name]) for name in compiled.positiontup or ()
        ]

    def _value(self, value: Any) -> Any:
        if not isinstance(value, datetime):
            return (
                str(value) if isinstance(value, str) else value
            )  # a name of SQLAlchemy's is a kind of text
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        moment = value.astimezone(UTC)
        return as_text(moment) if self.kind == "sqlite" else moment

    def _with_settings(self, sql: str, values: list[Any]) -> str:
        """Hand the values over as settings of the transaction.

        The driver streams what it can wrap in a COPY, and a COPY takes no parameters; with parameters it would hold
        the whole answer in memory, twice.
        """
        for number, value in enumerate(values, 1):
            text = value.isoformat() if isinstance(value, datetime) else str(value)
            with self._connection.cursor() as cursor:
                cursor.execute("SELECT set_config($1, $2, true)", (f"{SETTING}{number}", text))
                cursor.fetchall()
        kinds = [SQL_KINDS[type(value)] for value in values]
        return re.sub(
            r"\$(\d+)", lambda n: f"current_setting('{SETTING}{n[1]}')::{kinds[int(n[1]) - 1]}", sql
        )

    def _from_sqlite(
        self, query: sa.Select[Any], schema: pa.Schema, order: Sequence[sa.Column[Any]]
    ) -> pa.Table:
        """Read behind a first row of known types: the driver takes a column's type from what comes first.

        That row says 0 in a last column and all others 1, so that it is the first however they are sorted.
        """
        more = [column for column in order if column.name not in schema.names]
        names = [*schema.names, *(column.name for column in more)]
        heads = [HEADS[pa.string() if kind == INSTANT else kind] for kind in schema.types] + [
            "''" for _ in more
        ]
        first = sa.select(*map(sa.literal_column, [*heads, "0"]))
        rows = sa.union_all(first, query.add_columns(*more, sa.literal_column("1")))
        places = [len(names) + 1, *(names.index(column.name) + 1 for column in order)]
        sql, values = self._compiled(
            rows.order_by(*(sa.literal_column(str(place)) for place in places))
        )
        found = self._fetched(sql, values, SQLITE_PIECES).slice(1)
        columns = zip(found.columns[: len(schema)], schema, strict=True)
        return pa.Table.from_arrays(
            [column.cast(field.type) for column, field in columns], schema=schema
        )

    def _fetched(
        self, sql: str, values: Sequence[Any] = (), options: dict[str, str] | None = None
    ) -> pa.Table:
        with self._connection.cursor(adbc_stmt_kwargs=options) as cursor:
            cursor.execute(sql, values or None)
            return cursor.fetch_arrow_table()

    def _as_text(self, field: pa.Field) -> bool:
        return self.kind == "sqlite" and field.type == INSTANT

    def _encoded(self, piece: pa.RecordBatch) -> pa.RecordBatch:
        columns = zip(piece.columns, piece.schema, strict=True)
        arrays = [_iso(column) if self._as_text(field) else column for column, field in columns]
        return pa.RecordBatch.from_arrays(arrays, piece.schema.names)


def in_order(
    rows: pa.Table, key: Sequence[str], encoded: Callable[[pa.RecordBatch], pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Yield the rows sorted by ``key`` in pieces, ``encoded``; few are in memory at a time besides the table itself.

    The next pieces are made ready while the database takes one.
    """
    # A night's rows are of one project and as-of: to compare what is the same in all of them is most of sorting them.
    telling = [name for name in key if rows and not _all_same(rows[name])] or list(key)
    order = (
        pc.sort_indices(rows, [(name, "ascending") for name in telling]).to_numpy().astype(np.int64)
    )
    batches = rows.to_batches()
    starts = np.cumsum([0, *(batch.num_rows for batch in batches)])
    wanted = (order[begin : begin + PIECE] for begin in range(0, len(order), PIECE))
    return side_by_side(lambda own: encoded(_taken(batches, starts, own)), wanted)


def _all_same(column: pa.ChunkedArray) -> bool:
    return bool(pc.all(pc.equal(column, column[0])).as_py())


def _taken(
    batches: Sequence[pa.RecordBatch], starts: np.ndarray, wanted: np.ndarray
) -> pa.RecordBatch:
    """Return the rows with these numbers, in their order, from batches of which the first rows have ``starts``."""
    first = int(np.searchsorted(starts, wanted[0], "right")) - 1
    if starts[first] <= wanted.min() and wanted.max() < starts[first + 1]:
        return batches[first].take(pa.array(wanted - starts[first]))
    by_place = np.argsort(wanted, kind="stable")
    edges = np.searchsorted(wanted[by_place], starts)
    parts = [
        batch.take(pa.array(wanted[by_place[low:high]] - start))
        for batch, start, low, high in zip(batches, starts, edges, edges[1:], strict=False)
        if low < high
    ]
    back = np.empty_like(by_place)
    back[by_place] = np.arange(len(by_place))
    return pa.concat_batches(parts).take(pa.array(back))


def as_text(instant: datetime) -> str:
    """Return SQLite's form of an aware instant."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _iso(column: pa.Array) -> pa.Array:
    """Write instants as text, each distinct one once."""
    distinct = column.dictionary_encode()
    return pc.strftime(distinct.dictionary, ISO).take(distinct.indices)
