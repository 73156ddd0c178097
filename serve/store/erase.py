"""Erasure of an entity from the score tables: its rows, and mentions in other rows and messages."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from features.tools.folding import fold_texts
from serve.store.entity_matcher import REDACTED, EntityMatcher
from serve.store.session import Session
from serve.store.tables import (
    ACCOUNT_KEY,
    ACCOUNTS_TABLE,
    RUNS_TABLE,
    SCORES_TABLE,
    TABLES,
)

# Free text that may quote the id.
OWNER_COLUMN, TEXT_COLUMN = "entity_id", "message"
RUN_COUNT_SCHEMA = pa.schema(
    [("run_id", pa.string()), ("target", pa.string()), ("rows", pa.int64())]
)
COUNT_SCHEMA = pa.schema([pa.field("rows", pa.int64())])
ID_SCHEMA = pa.schema([pa.field("id", pa.string())])
MESSAGE_SCHEMA = pa.schema([pa.field(TEXT_COLUMN, pa.string())])


def erase_rows(session: Session, project: str, matcher: EntityMatcher) -> dict[str, int]:
    """Erase an entity of a project from all tables.

    Return by table how many rows were removed or changed.
    """
    if session.backend == "sqlite":
        # Overwrite deleted content with zeros instead of leaving it in free pages.
        session.execute("PRAGMA secure_delete = ON")
    ids = _find_stored_ids(session, project, matcher)
    # Accounts come first: they are found by the score rows, which are deleted next.
    counts = {ACCOUNTS_TABLE.name: _erase_accounts(session, project, ids)}
    for table in TABLES:
        in_project = table.c.project == project
        if OWNER_COLUMN in table.c:
            is_own = in_project & _is_any_of(table.c[OWNER_COLUMN], ids)
            counts[table.name] = _count_matching_rows(session, table, is_own)
            if table is SCORES_TABLE:
                _subtract_from_ledger(session, is_own)
            session.execute(sa.delete(table).where(is_own))
        if TEXT_COLUMN in table.c:
            counts[f"{table.name} (messages)"] = _redact_messages(
                session, table, in_project, matcher
            )
    return counts


def _find_stored_ids(session: Session, project: str, matcher: EntityMatcher) -> list[str]:
    """Return the entity's ids as the tables write them."""
    owners = [table.c[OWNER_COLUMN] for table in TABLES if OWNER_COLUMN in table.c]
    ids = {matcher.entity_id}
    for column in [*owners, ACCOUNTS_TABLE.c.main_contact]:
        query = sa.select(column.label("id")).where(column.table.c.project == project).distinct()
        if matcher.key.isascii():
            # Databases know the case of ASCII letters at least; other ids are compared here.
            query = query.where(sa.func.lower(sa.func.trim(column)) == matcher.key)
        stored = session.fetch_table(query, ID_SCHEMA)["id"]
        ids.update(stored.filter(pc.equal(fold_texts(stored), matcher.key)).to_pylist())
    return sorted(ids)


def _subtract_from_ledger(session: Session, is_own: sa.ColumnElement[bool]) -> None:
    """Subtract the score rows that are erased from the rows that the ledger counts."""
    rows, runs = SCORES_TABLE.c, RUNS_TABLE.c
    count = sa.func.count().label("rows")
    query = sa.select(rows.run_id, rows.target, count).where(is_own)
    for run in session.fetch_table(
        query.group_by(rows.run_id, rows.target), RUN_COUNT_SCHEMA
    ).to_pylist():
        session.execute(
            sa.update(RUNS_TABLE)
            .where(runs.run_id == run["run_id"], runs.target == run["target"])
            .values(rows=runs.rows - run["rows"])
        )


def _is_any_of(column: sa.Column[str], ids: list[str]) -> sa.ColumnElement[bool]:
    # The session does not expand the parameters of IN.
    return sa.or_(*(column == entity for entity in ids))


def _erase_accounts(session: Session, project: str, ids: list[str]) -> int:
    """Delete the scores of the accounts that it belongs to: they are derived from its own score."""
    accounts, scores = ACCOUNTS_TABLE.c, SCORES_TABLE.c
    own_accounts = sa.select(*(scores[name] for name in ACCOUNT_KEY)).where(
        scores.project == project,
        _is_any_of(scores.entity_id, ids),
        scores.account_id.is_not(None),
    )
    is_member = sa.tuple_(*(accounts[name] for name in ACCOUNT_KEY)).in_(own_accounts)
    is_removed = (accounts.project == project) & (
        is_member | _is_any_of(accounts.main_contact, ids) | _is_any_of(accounts.next_contact, ids)
    )
    count = _count_matching_rows(session, ACCOUNTS_TABLE, is_removed)
    session.execute(sa.delete(ACCOUNTS_TABLE).where(is_removed))
    return count


def _count_matching_rows(
    session: Session, table: sa.Table, condition: sa.ColumnElement[bool]
) -> int:
    query = sa.select(sa.func.count().label("rows")).select_from(table).where(condition)
    return int(session.fetch_table(query, COUNT_SCHEMA)["rows"][0].as_py())


def _redact_messages(
    session: Session, table: sa.Table, in_project: sa.ColumnElement[bool], matcher: EntityMatcher
) -> int:
    """Replace the id in messages, which may quote a row as an example."""
    text, changed = table.c[TEXT_COLUMN], 0
    texts = session.fetch_table(
        sa.select(text).where(in_project, text.is_not(None)).distinct(), MESSAGE_SCHEMA
    )[TEXT_COLUMN].to_pylist()
    for before in texts:
        after = matcher.text_pattern.sub(REDACTED, before)
        if after != before:
            is_same = in_project & (text == before)
            changed += _count_matching_rows(session, table, is_same)
            session.execute(sa.update(table).where(is_same).values({TEXT_COLUMN: after}))
    return changed
