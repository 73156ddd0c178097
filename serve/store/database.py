"""The database of the scores: SQLite or PostgreSQL through ADBC, asked again while it does not answer.

All is done by ADBC's drivers and nothing by Python's own sqlite3: two copies of SQLite in one process would let go of
each other's file locks (https://www.sqlite.org/howtocorrupt.html, 2.2.1).
"""

from __future__ import annotations

import importlib
import logging
import os
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from urllib.parse import quote

import adbc_driver_manager as adbc
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from configs.errors import ConfigError, DataError, LeadscoreError
from serve.store.session import Session

Result = TypeVar("Result")
LOG = logging.getLogger(__name__)
PATIENCE = 120.0
BUSY_MS = 5_000
DIALECTS = {
    "sqlite": lambda: sqlite.dialect(paramstyle="qmark"),
    "postgresql": lambda: postgresql.dialect(paramstyle="numeric_dollar"),
}
PRAGMAS = (f"PRAGMA busy_timeout = {BUSY_MS}", "PRAGMA page_size = 16384")
"""A row of scores is wide, and one table keeps its rows in its key: small pages would hold a handful of them."""

# By SQLSTATE: connection lost, server stopping or starting, out of memory or connections, deadlock, lock not granted.
PASSING_STATES = ("08", "57P", "53200", "53300", "40", "55P03")
PASSING = ("locked", "busy", "disk I/O error", "connection")
# What waiting does not fix, though the server could not be reached for it and there is no SQLSTATE.
LASTING = (
    *("does not exist", "authentication", "no pg_hba.conf entry", "password", "invalid"),
    *(
        "readonly",
        "not a database",
        "is full",
        "failed to open",
        "unable to open",
        "Python exception",
    ),
)

FIXES = {
    "sqlite": "see that the file is a database of leadscore and that there is room for it",
    "postgresql": "see that server, database, user and password of publish.database are right, and the user's rights",
}
"""What to look at when a database failed for a reason that does not pass."""


class Database:
    """One database: transactions that are tried again, for a bounded time, while it is busy or gone."""

    def __init__(self, url_or_path: str | Path, patience: float = PATIENCE) -> None:
        """Take the path of a SQLite file, or a URL ``sqlite:///…`` or ``postgresql://…``; connect to nothing yet.

        ``patience`` is in seconds. Raises ConfigError for another kind of URL or a folder that cannot be made.
        """
        self._url = _url(url_or_path)
        self.kind = self._url.get_backend_name()
        self.where = self._clean(self._url.render_as_string())
        self.patience = patience
        if self.kind not in DIALECTS:
            raise ConfigError(
                "not a database for scores",
                where=self.where,
                fix="use sqlite:///… or postgresql://…",
            )
        self._dialect = DIALECTS[self.kind]()
        if self.kind == "sqlite":
            self._make_folder()

    @property
    def path(self) -> Path:
        """The file of a SQLite database."""
        return Path(self._url.database or "")

    def run(self, work: Callable[[Session], Result], writes: bool = True) -> Result:
        """Do ``work`` in one transaction and return what it returns; all is undone if it raises.

        While the database is busy or does not answer it is done again, from the start and in a new connection, for
        up to ``patience`` seconds. The answer to a commit may have been the thing that was lost: work that writes
        must look, where ``session.again``, whether it is done already. Raises DataError for rows that the tables
        cannot take, LeadscoreError for any other failure of the database.
        """
        return self.answering(lambda attempt: self._once(work, writes, again=attempt > 0))

    def answering(self, call: Callable[[int], Result]) -> Result:
        """Return what a call gives, made again while the database is busy or gone; it takes how often it was made."""
        deadline = time.monotonic() + self.patience
        for attempt in count():
            try:
                return call(attempt)
            except adbc.Error as error:
                left = deadline - time.monotonic()
                if left <= 0 or not _passing(error):
                    self._give_up(error, attempt)
                if attempt == 0:
                    LOG.warning(
                        "the scores database does not answer (%s); asking again for %.0f s",
                        self._say(error),
                        left,
                    )
                time.sleep(min(left, 0.2 * 2 ** min(attempt, 5)))
        raise AssertionError  # the count has no end

    def open(self, autocommit: bool = True) -> Any:
        """Return a new connection; with ``autocommit`` each statement stands for itself, in SQLite until a BEGIN."""
        module = importlib.import_module(f"adbc_driver_{self.kind}.dbapi")
        connection = module.connect(self._address(), autocommit=autocommit)
        if self.kind == "sqlite":
            self._set_up(connection)
        return connection

    def compact(self, tables: Sequence[str]) -> bool:
        """Give up the space of removed rows; say whether their bytes are surely gone from the files.

        In SQLite they are, unless a reader still looks at the state before. PostgreSQL writes over them in its own
        time. It needs as much free space as SQLite's file takes. Raises LeadscoreError if the database fails.
        """
        return self.answering(lambda attempt: self._compact(tables))

    def _compact(self, tables: Sequence[str]) -> bool:
        with self.open() as connection, connection.cursor() as cursor:
            if self.kind != "sqlite":
                for name in tables:
                    cursor.execute(f"VACUUM {name}")
                return False
            cursor.execute("VACUUM")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return bool(cursor.fetchone()[0] == 0)

    def _once(self, work: Callable[[Session], Result], writes: bool, again: bool) -> Result:
        """Work in one transaction: closing the connection undoes what is not committed."""
        # SQLite's driver would begin as a reader, who may find that he cannot become the writer.
        with self.open(autocommit=self.kind == "sqlite") as connection:
            session = Session(connection, self._dialect, again)
            if self.kind == "sqlite":
                session.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
            result = work(session)
            if self.kind == "sqlite":
                session.execute("COMMIT")
            else:
                connection.commit()
            return result

    def _set_up(self, connection: Any) -> None:
        with connection.cursor() as cursor:
            for pragma in PRAGMAS:
                cursor.execute(pragma)
            cursor.execute("PRAGMA journal_mode")
            if cursor.fetchone()[0] != "wal":
                # Kept in the file: from now on readers and the one writer do not wait for each other.
                cursor.execute("PRAGMA journal_mode = WAL")

    def _address(self) -> str:
        if self.kind == "sqlite":
            return f"file:{quote(str(self.path))}?mode=rwc"
        limits = {
            "connect_timeout": "10",
            "keepalives_idle": "30",
            "keepalives_interval": "10",
            "keepalives_count": "3",
        }
        url = self._url.set(drivername="postgresql").update_query_dict(
            {**limits, **self._url.query}
        )
        return url.render_as_string(hide_password=False)

    def _make_folder(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            there = self.path if self.path.exists() else self.path.parent
            # Looked at and not opened: to close it would let go of SQLite's locks on it.
            found = "" if os.access(there, os.W_OK) else f"no right to write {there}"
        except OSError as error:
            found = str(error)
        if found:
            raise ConfigError(
                "cannot open the scores database",
                where=self.where,
                found=found,
                fix="name a file you may write to",
            )

    def _give_up(self, error: adbc.Error, attempt: int) -> NoReturn:
        found = self._say(error)
        if _breaks_a_rule(error):
            raise DataError(
                "rows that the scores database cannot take", where=self.where, found=found
            ) from error
        fix = "see that it runs and can be reached, then run again" if attempt else FIXES[self.kind]
        raise LeadscoreError(
            "the scores database failed", where=self.where, found=found, fix=fix
        ) from error

    def _say(self, error: adbc.Error) -> str:
        return self._clean(
            " ".join(str(error).split("\nquery")[0].split("\nDETAIL")[0].split())[:300]
        )

    def _clean(self, text: str) -> str:
        """Take the password out of a text."""
        password = self._url.password
        named = self._url.query.get("password")
        for secret in filter(
            None,
            (password, quote(password or "", safe=""), named if isinstance(named, str) else ""),
        ):
            text = text.replace(secret, "***")
        return text


def _url(url_or_path: str | Path) -> sa.URL:
    if isinstance(url_or_path, Path) or "://" not in url_or_path:
        return sa.URL.create("sqlite", database=str(url_or_path))
    return sa.make_url(url_or_path)


def _breaks_a_rule(error: adbc.Error) -> bool:
    return isinstance(error, adbc.IntegrityError) or "constraint failed" in str(error)


def _passing(error: adbc.Error) -> bool:
    """Say whether the same may go well in a while. The drivers give no SQLSTATE where a connection was lost."""
    if isinstance(
        error, adbc.IntegrityError | adbc.DataError | adbc.NotSupportedError
    ) or _breaks_a_rule(error):
        return False
    if error.sqlstate:
        return error.sqlstate.startswith(PASSING_STATES)
    text = str(error)
    lost = error.status_code == adbc.AdbcStatusCode.IO or any(word in text for word in PASSING)
    return lost and not any(word in text for word in LASTING)
