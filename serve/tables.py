"""The tables of published scores as SQL: their columns and keys, their creation, and the mending of older ones."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable

from configs.errors import DataError
from features.contracts import INSTANT, SCORE_CHECKS, SCORE_RUNS, SCORES

CREATION_LOCK = 1_278_559_043
SQL_TYPES = {INSTANT: sa.Text, pa.string(): sa.Text, pa.int64(): sa.BigInteger, pa.float64(): sa.Double}


def _sql_table(name: str, schema: pa.Schema, key: list[str], *indexes: sa.Index) -> sa.Table:
    columns = [sa.Column(field.name, SQL_TYPES[field.type], nullable=field.nullable) for field in schema]
    return sa.Table(name, sa.MetaData(), *columns, sa.PrimaryKeyConstraint(*key), *indexes)


# In the key the as-of stands before the entity, so that one night's rows lie together in its index.
SCORES_TABLE = _sql_table(
    "scores",
    SCORES,
    ["project", "target", "as_of", "entity_id"],
    sa.Index("scores_by_entity", "project", "entity_id"),
)
RUNS_TABLE = _sql_table("score_runs", SCORE_RUNS, ["run_id", "target"])
CHECKS_TABLE = _sql_table("score_checks", SCORE_CHECKS, ["run_id", "target", "check", "subject"])
TABLES = (SCORES_TABLE, RUNS_TABLE, CHECKS_TABLE)


def current() -> sa.Select[Any]:
    """Select the rows of each target's latest published as-of."""
    rows, runs = SCORES_TABLE.c, RUNS_TABLE.c
    latest = sa.select(runs.project, runs.target, sa.func.max(runs.as_of).label("as_of"))
    latest = latest.where(runs.status == "published").group_by(runs.project, runs.target)
    night = latest.subquery("latest").c
    same = (rows.project == night.project) & (rows.target == night.target) & (rows.as_of == night.as_of)
    return sa.select(SCORES_TABLE).join(night.project.table, same)


def prepare(connection: sa.Connection, where: str) -> None:
    """Create the tables that a database lacks, and add the columns that an earlier version did not know.

    Raises DataError if the tables there are not those of this version and cannot be made so; then nothing changes.
    """
    there = sa.inspect(connection)
    if not there.has_table("current_scores"):
        _create(connection)
    if not all(there.has_table(table.name) for table in TABLES) or _missing(connection, where):
        _mend(connection, where)


def _create(connection: sa.Connection) -> None:
    """Create tables, indexes and view; a second process that does the same at once does no harm."""
    if connection.dialect.name == "sqlite":
        # Kept in the file: from now on readers and the one writer do not wait for each other.
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        create_view = "CREATE VIEW IF NOT EXISTS"
    else:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(CREATION_LOCK)))
        create_view = "CREATE OR REPLACE VIEW"
    _create_tables(connection)
    connection.exec_driver_sql(f"{create_view} current_scores AS {_view(connection)}")


def _create_tables(connection: sa.Connection) -> None:
    for table in TABLES:
        connection.execute(CreateTable(table, if_not_exists=True))
        for index in table.indexes:
            connection.execute(CreateIndex(index, if_not_exists=True))


def _mend(connection: sa.Connection, where: str) -> None:
    """Add what an earlier version did not know, and make the view anew: all or nothing.

    Whoever comes second waits, looks again, and finds nothing to do but the view.
    """
    if connection.dialect.name == "sqlite":
        # Python's driver would begin a transaction for rows only, and each statement here would stand by itself.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(CREATION_LOCK)))
    _create_tables(connection)
    for column in _missing(connection, where):
        definition = CreateColumn(column).compile(dialect=connection.dialect)
        connection.exec_driver_sql(f"ALTER TABLE {column.table.name} ADD COLUMN {definition}")
    # Neither database lets a view grow in its middle.
    connection.exec_driver_sql("DROP VIEW current_scores")
    connection.exec_driver_sql(f"CREATE VIEW current_scores AS {_view(connection)}")


def _view(connection: sa.Connection) -> str:
    return str(current().compile(connection, compile_kwargs={"literal_binds": True}))


def _missing(connection: sa.Connection, where: str) -> list[sa.Column[Any]]:
    """Return the columns that the tables lack and that may be empty; raise DataError for any other difference."""
    missing: list[sa.Column[Any]] = []
    for table in TABLES:
        there = {column["name"] for column in sa.inspect(connection).get_columns(table.name)}
        lacking = [column for column in table.c if column.name not in there]
        odd = sorted({*there.difference(table.c.keys()), *(c.name for c in lacking if not c.nullable)})
        if odd:
            raise DataError(
                "the table is not one of this version",
                where=f"{where}: {table.name}",
                found=f"{len(odd)} differing columns, such as {odd[0]}",
                mend="move the database away, or use the version of leadscore that wrote it",
            )
        missing += lacking
    return missing
