"""An entity taken out of the tables of published scores: its rows, and where other rows and messages name it."""

from __future__ import annotations

import pyarrow as pa
import sqlalchemy as sa

from serve.store.named import HIDDEN, Named
from serve.store.session import Session
from serve.store.tables import ACCOUNT, ACCOUNTS_TABLE, SCORES_TABLE, TABLES

OWNER, TEXT = "entity_id", "message"
"""Columns of an entity's own rows, and of free text that may quote it."""
COUNT = pa.schema([pa.field("rows", pa.int64())])
MESSAGES = pa.schema([pa.field(TEXT, pa.string())])


def erase_rows(session: Session, project: str, named: Named) -> dict[str, int]:
    """Take an entity of a project out of all tables; return by table how many rows were removed or changed."""
    if session.kind == "sqlite":
        session.execute("PRAGMA secure_delete = ON")
    found = {ACCOUNTS_TABLE.name: _erase_accounts(session, project, named)}
    for table in TABLES:
        mine = table.c.project == project
        if OWNER in table.c:
            own = mine & (table.c[OWNER] == named.entity)
            found[table.name] = _count(session, table, own)
            session.execute(sa.delete(table).where(own))
        if TEXT in table.c:
            found[f"{table.name} (messages)"] = _hide(session, table, mine, named)
    return found


def _erase_accounts(session: Session, project: str, named: Named) -> int:
    """Remove what is said of the accounts that it belongs to: their chances hold its own, or are the same."""
    accounts, scores = ACCOUNTS_TABLE.c, SCORES_TABLE.c
    own = sa.select(*(scores[name] for name in ACCOUNT)).where(
        scores.project == project, scores.entity_id == named.entity, scores.account_id.is_not(None)
    )
    member = sa.tuple_(*(accounts[name] for name in ACCOUNT)).in_(own)
    gone = (accounts.project == project) & (member | (accounts.main_contact == named.entity))
    count = _count(session, ACCOUNTS_TABLE, gone)
    session.execute(sa.delete(ACCOUNTS_TABLE).where(gone))
    return count


def _count(session: Session, table: sa.Table, which: sa.ColumnElement[bool]) -> int:
    query = sa.select(sa.func.count().label("rows")).select_from(table).where(which)
    return int(session.table(query, COUNT)["rows"][0].as_py())


def _hide(session: Session, table: sa.Table, mine: sa.ColumnElement[bool], named: Named) -> int:
    """Put *** in place of the id in messages: they may quote a row as an example."""
    text, changed = table.c[TEXT], 0
    texts = session.table(sa.select(text).where(mine, text.is_not(None)).distinct(), MESSAGES)[
        TEXT
    ].to_pylist()
    for before in texts:
        after = named.words.sub(HIDDEN, before)
        if after != before:
            same = mine & (text == before)
            changed += _count(session, table, same)
            session.execute(sa.update(table).where(same).values({TEXT: after}))
    return changed
