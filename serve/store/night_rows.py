"""The rows of NIGHT_TABLES: replaced with the scores of their night, read back, and expired."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from serve.night_tables import LEAD_COLUMN, NIGHT_TABLES, POSITION, NightTable
from serve.store.session import Session
from serve.store.tables import NIGHT_SQL_TABLES, RUNS_TABLE, SUPPRESSIONS_TABLE

OWN_TO_RUN = ("project", "as_of", "run_id")


def replace_night_rows(
    session: Session, run: Mapping[str, Any], tables: Mapping[str, pa.Table]
) -> None:
    """Replace the rows of a run's as-of in all tables; a table that is not given becomes empty.

    ``run`` is a ledger row of the run. Raises ValueError if a row is of another run.
    """
    for table in NIGHT_TABLES:
        rows, stored = tables.get(table.name), NIGHT_SQL_TABLES[table.name]
        is_same_night = (stored.c.project == run["project"], stored.c.as_of == run["as_of"])
        session.execute(sa.delete(stored).where(*is_same_night))
        if rows is None or not rows.num_rows:
            continue
        own = [run[name] for name in OWN_TO_RUN]
        for group in rows.group_by(list(OWN_TO_RUN)).aggregate([]).to_pylist():
            if [group[name] for name in OWN_TO_RUN] != own:
                raise ValueError(f"rows of {table.name} do not belong to the run to publish")
        session.append(stored, rows)


def delete_expired_rows(
    session: Session, project: str, before: datetime, kept: sa.Select[Any]
) -> None:
    """Delete the rows of a project's as-ofs earlier than an instant, except those of ``kept``."""
    for stored in NIGHT_SQL_TABLES.values():
        rows = stored.c
        is_expired = (rows.project == project, rows.as_of < before, rows.as_of.not_in(kept))
        session.execute(sa.delete(stored).where(*is_expired))


def read_night_rows(
    session: Session, project: str, as_of: datetime, run_id: str
) -> dict[str, pa.Table]:
    """Return the tables that a run published, by name, as their contracts' ``stored``.

    The rows are in their order, without leads that were suppressed since. Tables of a group of
    which nothing was published are absent.
    """
    tables = {
        table.name: _read_rows(session, table, project, as_of, run_id) for table in NIGHT_TABLES
    }
    groups = {table.group for table in NIGHT_TABLES if tables[table.name].num_rows}
    return {table.name: tables[table.name] for table in NIGHT_TABLES if table.group in groups}


def read_newest_rows(session: Session, table: NightTable, project: str) -> pa.Table:
    """Return the rows of a table of the latest as-of that has any, as ``read_night_rows``."""
    rows = NIGHT_SQL_TABLES[table.name].c
    newest = sa.select(sa.func.max(rows.as_of)).where(rows.project == project).scalar_subquery()
    night = sa.select(rows.as_of, rows.run_id).where(rows.project == project, rows.as_of == newest)
    schema = pa.schema([table.stored.field("as_of"), table.stored.field("run_id")])
    nights = session.fetch_table(night.distinct(), schema).to_pylist()
    if not nights:
        return table.stored.empty_table()
    return _read_rows(session, table, project, nights[0]["as_of"], nights[0]["run_id"])


def _read_rows(
    session: Session, table: NightTable, project: str, as_of: datetime, run_id: str
) -> pa.Table:
    stored = NIGHT_SQL_TABLES[table.name]
    rows = stored.c
    query = sa.select(stored).where(
        rows.project == project, rows.as_of == as_of, rows.run_id == run_id
    )
    if table.names_leads:
        query = query.where(~sa.exists().where(*_match_suppressed_since(stored)))
    return session.fetch_table(query, table.stored, rows[POSITION.name])


def _match_suppressed_since(stored: sa.Table) -> tuple[sa.ColumnElement[bool], ...]:
    """Return conditions on suppressions: a later night or run suppressed the lead of a row."""
    rows, suppressions = stored.c, SUPPRESSIONS_TABLE.c
    runs = RUNS_TABLE.c
    begun = sa.select(sa.func.max(runs.started_at)).where(runs.run_id == rows.run_id)
    is_later = (suppressions.last_as_of > rows.as_of) | (
        suppressions.noted_at > begun.scalar_subquery()
    )
    return (
        suppressions.project == rows.project,
        suppressions.entity_id == rows[LEAD_COLUMN],
        is_later,
    )
