"""The tables of published scores as SQL: their columns and keys, their creation, and the fixing of older ones."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.schema import CreateColumn, CreateTable

from configs.errors import DataError
from features.contracts import (
    ACCOUNT_SCORES,
    DELIVERIES,
    INSTANT,
    SCORE_CHECKS,
    SCORE_RUNS,
    SCORES,
    SUPPRESSIONS,
)
from serve.store.session import Session

CREATION_LOCK = 1_278_559_043
VIEW, ACCOUNTS_VIEW = "current_scores", "current_account_scores"
LISTS = "CREATE INDEX IF NOT EXISTS scores_listed ON scores (project, target, as_of) WHERE listed IS NOT NULL"
"""The week's lists are a few rows of some nights: without it all rows of those nights would be read for them."""
NAMED = pa.schema([("name", pa.string()), ("type", pa.string())])
SQL_TYPES: dict[pa.DataType, sa.types.TypeEngine[Any]] = {
    INSTANT: sa.Text().with_variant(sa.TIMESTAMP(timezone=True), "postgresql"),
    pa.string(): sa.Text(),
    pa.int64(): sa.BigInteger(),
    pa.float64(): sa.Double(),
}


def _sql_table(name: str, schema: pa.Schema, key: list[str]) -> sa.Table:
    columns = [
        sa.Column(field.name, SQL_TYPES[field.type], nullable=field.nullable) for field in schema
    ]
    return sa.Table(
        name, sa.MetaData(), *columns, sa.PrimaryKeyConstraint(*key), sqlite_with_rowid=False
    )


# The as-of stands first in the key, so that a night's rows lie together and a new night goes to the end of its index.
# Beside it there is one of the few rows on a list; one entity's rows are found night by night.
SCORES_TABLE = _sql_table("scores", SCORES, ["as_of", "project", "target", "entity_id"])
ACCOUNTS_TABLE = _sql_table(
    "account_scores", ACCOUNT_SCORES, ["as_of", "project", "target", "account_id"]
)
RUNS_TABLE = _sql_table("score_runs", SCORE_RUNS, ["run_id", "target"])
CHECKS_TABLE = _sql_table("score_checks", SCORE_CHECKS, ["run_id", "target", "check", "subject"])
DELIVERIES_TABLE = _sql_table("deliveries", DELIVERIES, ["project", "name", "delivery"])
SUPPRESSIONS_TABLE = _sql_table("suppressions", SUPPRESSIONS, ["project", "entity_id", "reason"])
TABLES = (
    SCORES_TABLE,
    ACCOUNTS_TABLE,
    RUNS_TABLE,
    CHECKS_TABLE,
    DELIVERIES_TABLE,
    SUPPRESSIONS_TABLE,
)

ACCOUNT = ("project", "target", "as_of", "account_id")
"""The key of an account's row, by which its entities' scores are found."""
VIEWS = {VIEW: SCORES_TABLE, ACCOUNTS_VIEW: ACCOUNTS_TABLE}


def not_suppressed_since() -> sa.ColumnElement[bool]:
    """Say of a row of scores that neither a later night nor a later run left its entity out.

    Such a score is not to be used any more. A later run may have been of an earlier night.
    """
    return ~sa.exists().where(*_suppressed_since())


def _suppressed_since() -> tuple[sa.ColumnElement[bool], ...]:
    rows, out = SCORES_TABLE.c, SUPPRESSIONS_TABLE.c
    since = (out.last_as_of > rows.as_of) | (out.noted_at > rows.scored_at)
    return out.project == rows.project, out.entity_id == rows.entity_id, since


def current(table: sa.Table = SCORES_TABLE) -> sa.Select[Any]:
    """Select the rows of each target's latest published as-of, without those of who was suppressed since.

    Of accounts these are all to which one of them belongs: what is said of the account holds its score.
    """
    newest = _newest(sa.select(table), table)
    if table is SCORES_TABLE:
        return newest.where(not_suppressed_since())
    theirs = _newest(sa.select(*(SCORES_TABLE.c[name] for name in ACCOUNT)), SCORES_TABLE)
    theirs = theirs.where(SCORES_TABLE.c.account_id.is_not(None), *_suppressed_since())
    return newest.where(sa.tuple_(*(table.c[name] for name in ACCOUNT)).not_in(theirs))


def _newest(query: sa.Select[Any], table: sa.Table) -> sa.Select[Any]:
    rows, runs = table.c, RUNS_TABLE.c
    latest = sa.select(runs.project, runs.target, sa.func.max(runs.as_of).label("as_of"))
    latest = latest.where(runs.status == "published").group_by(runs.project, runs.target)
    night = latest.subquery("latest").c
    same = (
        (rows.project == night.project)
        & (rows.target == night.target)
        & (rows.as_of == night.as_of)
    )
    return query.join(night.project.table, same)


def ready(session: Session, where: str) -> bool:
    """Say whether the database has all tables, columns and the view of this version.

    Raises DataError if the tables there are not those of this version and cannot be made so.
    """
    there = {name: _columns(session, name) for name in (*VIEWS, *(table.name for table in TABLES))}
    return all(there.values()) and not any(
        _differing(table, there[table.name], where) for table in TABLES
    )


def prepare(session: Session, where: str) -> None:
    """Create what the database lacks, and add the columns that an earlier version did not know: all or nothing.

    Whoever comes second waits, looks again, and finds nothing to do. Raises DataError as ``ready`` does.
    """
    if session.kind == "postgresql":
        session.execute(f"SELECT pg_advisory_xact_lock({CREATION_LOCK})")
    if ready(session, where):
        return
    # Neither database lets a view grow in its middle.
    for view in VIEWS:
        session.execute(f"DROP VIEW IF EXISTS {view}")
    for table in TABLES:
        session.execute(session.text(CreateTable(table, if_not_exists=True)))
        for column in _differing(table, _columns(session, table.name), where):
            _add_column(session, column)
    session.execute("DROP INDEX IF EXISTS scores_by_entity")
    session.execute(LISTS)
    for view, of in VIEWS.items():
        session.execute(f"CREATE VIEW {view} AS {session.text(current(of))}")


def _add_column(session: Session, column: sa.Column[Any]) -> None:
    """Add a column that is not there, or make PostgreSQL's instants of text the instants that they are."""
    if column.name in _columns(session, column.table.name):
        change = f"ALTER COLUMN {column.name} TYPE timestamptz USING {column.name}::timestamptz"
    else:
        change = f"ADD COLUMN {session.text(CreateColumn(column))}"
    session.execute(f"ALTER TABLE {column.table.name} {change}")


def _differing(table: sa.Table, there: dict[str, str], where: str) -> list[sa.Column[Any]]:
    """Return a table's columns that can be fixed, if there is the table; raise DataError for any other difference."""
    if not there:
        return []
    lacking = [column for column in table.c if column.name not in there]
    odd = sorted({*there.keys() - table.c.keys(), *(c.name for c in lacking if not c.nullable)})
    if odd:
        raise DataError(
            "the table is not one of this version",
            where=f"{where}: {table.name}",
            found=f"{len(odd)} differing columns, such as {odd[0]}",
            fix="move the database away, or use the version of leadscore that wrote it",
        )
    instants = [c for c in table.c if there.get(c.name) == "text" and c.type is SQL_TYPES[INSTANT]]
    return lacking + instants


def _columns(session: Session, name: str) -> dict[str, str]:
    """Return the columns of a table or view with their types, empty if there is none; no types in SQLite."""
    if session.kind == "sqlite":
        found: sa.Select[Any] = sa.select(sa.column("name"), sa.literal_column("''")).select_from(
            sa.func.pragma_table_info(name)
        )
    else:
        parts = [sa.cast(sa.column(part), sa.Text) for part in ("column_name", "data_type")]
        catalog = sa.table("columns", schema="information_schema")
        ours = (sa.column("table_schema") == sa.func.current_schema()) & (
            sa.column("table_name") == name
        )
        found = sa.select(*parts).select_from(catalog).where(ours)
    rows = session.table(found, NAMED)
    return dict(zip(rows["name"].to_pylist(), rows["type"].to_pylist(), strict=True))
