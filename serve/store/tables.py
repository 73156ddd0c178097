"""The SQL tables of published scores: columns, keys, creation and migration."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.schema import CreateColumn, CreateTable

from configs.errors import DataError
from features.contracts import INSTANT, TYPE_NAMES, column_meaning
from features.score_tables import (
    ACCOUNT_SCORES,
    DELIVERIES,
    DELIVERY_RESULTS,
    SCORE_CHECKS,
    SCORE_RUNS,
    SCORES,
    SUPPRESSIONS,
)
from serve.night_tables import NIGHT_TABLES
from serve.store.session import Session

# Key of the advisory lock under which PostgreSQL tables are created; any constant will do.
CREATION_LOCK_KEY = 1_278_559_043
SCORES_VIEW, ACCOUNTS_VIEW = "current_scores", "current_account_scores"
# The weekly lists are few rows of some nights: without an index all rows of these nights are read.
LISTED_INDEX_SQL = (
    "CREATE INDEX IF NOT EXISTS scores_listed ON scores (project, target, as_of) "
    "WHERE listed IS NOT NULL"
)
# So are the nights on which a lead was handed over, or went back.
QUALIFIED_INDEX_SQL = (
    "CREATE INDEX IF NOT EXISTS scores_qualified ON scores (project, target, as_of) "
    "WHERE qualified_at = as_of"
)
CATALOG_SCHEMA = pa.schema([("name", pa.string()), ("type", pa.string())])
SQL_TYPES: dict[pa.DataType, sa.types.TypeEngine[Any]] = {
    INSTANT: sa.Text().with_variant(sa.TIMESTAMP(timezone=True), "postgresql"),
    pa.string(): sa.Text(),
    pa.int64(): sa.BigInteger(),
    pa.float64(): sa.Double(),
    pa.bool_(): sa.Boolean(),
}


def _define_table(name: str, schema: pa.Schema, key: list[str]) -> sa.Table:
    columns = [
        sa.Column(field.name, SQL_TYPES[field.type], nullable=field.nullable) for field in schema
    ]
    # Without row ids SQLite keeps the rows in the key's own B-tree, those of a night together.
    return sa.Table(
        name, sa.MetaData(), *columns, sa.PrimaryKeyConstraint(*key), sqlite_with_rowid=False
    )


# The as-of comes first in the key: rows of a night are stored together, new nights are appended.
# No index leads with the entity: its rows are found night by night.
SCORES_TABLE = _define_table("scores", SCORES, ["as_of", "project", "target", "entity_id"])
ACCOUNTS_TABLE = _define_table(
    "account_scores", ACCOUNT_SCORES, ["as_of", "project", "target", "account_id"]
)
RUNS_TABLE = _define_table("score_runs", SCORE_RUNS, ["run_id", "target"])
CHECKS_TABLE = _define_table("score_checks", SCORE_CHECKS, ["run_id", "target", "check", "subject"])
DELIVERIES_TABLE = _define_table("deliveries", DELIVERIES, ["project", "name", "delivery"])
RESULTS_TABLE = _define_table(
    "delivery_results", DELIVERY_RESULTS, ["project", "name", "delivery", "entity_id"]
)
SUPPRESSIONS_TABLE = _define_table("suppressions", SUPPRESSIONS, ["project", "entity_id", "reason"])
NIGHT_SQL_TABLES = {
    table.name: _define_table(table.name, table.stored, ["as_of", "project", *table.key])
    for table in NIGHT_TABLES
}
# Of these a database of leadscore always has one; the names of the others are common words.
OWN_TABLES = (
    SCORES_TABLE,
    ACCOUNTS_TABLE,
    RUNS_TABLE,
    CHECKS_TABLE,
    DELIVERIES_TABLE,
    RESULTS_TABLE,
    SUPPRESSIONS_TABLE,
)
TABLES = (*OWN_TABLES, *NIGHT_SQL_TABLES.values())

CONTRACTS = {
    SCORES_TABLE.name: SCORES,
    ACCOUNTS_TABLE.name: ACCOUNT_SCORES,
    RUNS_TABLE.name: SCORE_RUNS,
    CHECKS_TABLE.name: SCORE_CHECKS,
    DELIVERIES_TABLE.name: DELIVERIES,
    RESULTS_TABLE.name: DELIVERY_RESULTS,
    SUPPRESSIONS_TABLE.name: SUPPRESSIONS,
    **{table.name: table.stored for table in NIGHT_TABLES},
}
# The key of an account row, by which the scores of its entities are found.
ACCOUNT_KEY = ("project", "target", "as_of", "account_id")
VIEWS = {SCORES_VIEW: SCORES_TABLE, ACCOUNTS_VIEW: ACCOUNTS_TABLE}


def describe_tables() -> dict[str, dict[str, Any]]:
    """Return the key and the columns of each table by name, as plain JSON values."""
    return {
        table.name: {
            "key": [column.name for column in table.primary_key],
            "columns": [
                {
                    "name": field.name,
                    "type": TYPE_NAMES[field.type],
                    "nullable": field.nullable,
                    "meaning": column_meaning(field),
                }
                for field in CONTRACTS[table.name]
            ],
        }
        for table in TABLES
    }


def is_not_suppressed_since() -> sa.ColumnElement[bool]:
    """Return a condition on scores: no later night or run suppressed the entity.

    A suppressed entity's score must not be used any more. The later run may have been of an earlier
    night.
    """
    return ~sa.exists().where(*_match_suppressed_since())


def _match_suppressed_since(
    table: sa.Table = SCORES_TABLE, entity: str = "entity_id"
) -> tuple[sa.ColumnElement[bool], ...]:
    rows, suppressions = table.c, SUPPRESSIONS_TABLE.c
    is_later = (suppressions.last_as_of > rows.as_of) | (suppressions.noted_at > rows.scored_at)
    return suppressions.project == rows.project, suppressions.entity_id == rows[entity], is_later


def select_current(table: sa.Table = SCORES_TABLE) -> sa.Select[Any]:
    """Select the rows of each target's latest published as-of, without entities suppressed since.

    For account scores, leave out each account of which one scored member, or the contact that it
    names, was suppressed.
    """
    newest = _restrict_to_newest(sa.select(table), table)
    if table is SCORES_TABLE:
        return newest.where(is_not_suppressed_since())
    suppressed_accounts = _restrict_to_newest(
        sa.select(*(SCORES_TABLE.c[name] for name in ACCOUNT_KEY)), SCORES_TABLE
    )
    suppressed_accounts = suppressed_accounts.where(
        SCORES_TABLE.c.account_id.is_not(None), *_match_suppressed_since()
    )
    return newest.where(
        sa.tuple_(*(table.c[name] for name in ACCOUNT_KEY)).not_in(suppressed_accounts),
        # A contact need not be scored.
        ~sa.exists().where(*_match_suppressed_since(table, "next_contact")),
    )


def _restrict_to_newest(query: sa.Select[Any], table: sa.Table) -> sa.Select[Any]:
    rows, runs = table.c, RUNS_TABLE.c
    latest = sa.select(runs.project, runs.target, sa.func.max(runs.as_of).label("as_of"))
    latest = latest.where(runs.status == "published").group_by(runs.project, runs.target)
    latest_nights = latest.subquery("latest").c
    is_latest = (
        (rows.project == latest_nights.project)
        & (rows.target == latest_nights.target)
        & (rows.as_of == latest_nights.as_of)
    )
    return query.join(latest_nights.project.table, is_latest)


def is_schema_current(session: Session, address: str) -> bool:
    """Return whether the database has all tables, columns and views of this version.

    Raises DataError if the existing tables cannot be migrated to this version.
    """
    existing = {
        name: read_columns(session, name) for name in (*VIEWS, *(table.name for table in TABLES))
    }
    return all(existing.values()) and not any(
        _find_differing_columns(table, existing[table.name], address) for table in TABLES
    )


def find_missing_tables(session: Session) -> tuple[list[str], list[str]]:
    """Return the tables and views that are missing, and what of this version the next run adds.

    It adds columns, and the tables of nights, which a database of an earlier version lacks.
    """
    existing = {
        name: read_columns(session, name) for name in (*(table.name for table in TABLES), *VIEWS)
    }
    missing = [name for name, columns in existing.items() if not columns]
    lost = [name for name in missing if name not in NIGHT_SQL_TABLES]
    added = [name for name in missing if name in NIGHT_SQL_TABLES]
    has_all_columns = all(
        existing[table.name].keys() >= set(table.c.keys())
        for table in TABLES
        if existing[table.name]
    )
    return lost, added + ([] if has_all_columns else ["columns"])


def migrate_schema(session: Session, address: str) -> None:
    """Create missing tables and add missing columns in one transaction.

    Of concurrent callers the second waits, checks again, and finds nothing to do. Raises DataError
    as ``is_schema_current`` does.
    """
    if session.backend == "postgresql":
        # In PostgreSQL two concurrent CREATE TABLE IF NOT EXISTS may fail.
        session.execute(f"SELECT pg_advisory_xact_lock({CREATION_LOCK_KEY})")
    if is_schema_current(session, address):
        return
    _require_own_database(session, address)
    # Neither database can add a column in the middle of a view.
    for view in VIEWS:
        session.execute(f"DROP VIEW IF EXISTS {view}")
    for table in TABLES:
        session.execute(session.render_sql(CreateTable(table, if_not_exists=True)))
        for column in _find_differing_columns(table, read_columns(session, table.name), address):
            _add_column(session, column)
    # Databases from before 0.1.0 have this index, which makes publishing slower.
    session.execute("DROP INDEX IF EXISTS scores_by_entity")
    session.execute(LISTED_INDEX_SQL)
    session.execute(QUALIFIED_INDEX_SQL)
    for view, table in VIEWS.items():
        session.execute(f"CREATE VIEW {view} AS {session.render_sql(select_current(table))}")


def _require_own_database(session: Session, address: str) -> None:
    """Raise DataError for a SQLite file that holds other tables and none of these.

    A database of PostgreSQL may be shared.
    """
    if session.backend != "sqlite":
        return
    query: Any = sa.select(sa.column("name"), sa.column("type")).select_from(
        sa.table("sqlite_master")
    )
    stored = session.fetch_table(query.where(sa.column("type") == "table"), CATALOG_SCHEMA)
    names = set(stored["name"].to_pylist())
    if names and not names & {table.name for table in OWN_TABLES}:
        raise DataError(
            "the file is a database of another program",
            where=address,
            found=f"{len(names)} tables, such as {min(names)}, and none of leadscore's",
            fix="move it away and restore the file from the backup, or name another file",
        )


def _add_column(session: Session, column: sa.Column[Any]) -> None:
    """Add a missing column, or convert a PostgreSQL column of text instants to timestamptz."""
    if column.name in read_columns(session, column.table.name):
        change = f"ALTER COLUMN {column.name} TYPE timestamptz USING {column.name}::timestamptz"
    else:
        change = f"ADD COLUMN {session.render_sql(CreateColumn(column))}"
    session.execute(f"ALTER TABLE {column.table.name} {change}")


def _find_differing_columns(
    table: sa.Table, existing: dict[str, str], address: str
) -> list[sa.Column[Any]]:
    """Return the columns of an existing table that can be added or converted.

    Raises DataError for any other difference.
    """
    if not existing:
        return []
    missing = [column for column in table.c if column.name not in existing]
    incompatible = sorted(
        {*existing.keys() - table.c.keys(), *(c.name for c in missing if not c.nullable)}
    )
    if incompatible:
        raise DataError(
            "the table is not one of this version",
            where=f"{address}: {table.name}",
            found=f"{len(incompatible)} differing columns, such as {incompatible[0]}",
            fix="move the database away, or use the version of leadscore that wrote it",
        )
    text_instants = [
        c for c in table.c if existing.get(c.name) == "text" and c.type is SQL_TYPES[INSTANT]
    ]
    return missing + text_instants


def read_columns(session: Session, name: str) -> dict[str, str]:
    """Return the columns of a table or view with their types; empty if it does not exist.

    SQLite's types are left empty.
    """
    if session.backend == "sqlite":
        query: Any = sa.select(sa.column("name"), sa.literal_column("''")).select_from(
            sa.func.pragma_table_info(name)
        )
    else:
        columns = [sa.cast(sa.column(name), sa.Text) for name in ("column_name", "data_type")]
        catalog = sa.table("columns", schema="information_schema")
        in_schema = (sa.column("table_schema") == sa.func.current_schema()) & (
            sa.column("table_name") == name
        )
        query = sa.select(*columns).select_from(catalog).where(in_schema)
    rows = session.fetch_table(query, CATALOG_SCHEMA)
    return dict(zip(rows["name"].to_pylist(), rows["type"].to_pylist(), strict=True))
