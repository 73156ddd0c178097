"""The scores database, SQLite or PostgreSQL through ADBC, with retries while it does not answer.

All access goes through ADBC's drivers and none through Python's own sqlite3: two copies of SQLite
in one process would release each other's file locks (https://www.sqlite.org/howtocorrupt.html,
2.2.1).
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
from sqlalchemy.dialects import postgresql, sqlite

from configs.addresses.database import SQLITE, parse_database_address
from configs.addresses.parser import Address, AddressError
from configs.addresses.redaction import redact_exception
from configs.errors import ConfigError, DataError, LeadscoreError
from features.files.sqlite_file import (
    describes_damage,
    has_write_ahead_log,
    make_damage_error,
    require_file_not_lost,
)
from serve.store.session import Session

Result = TypeVar("Result")
LOG = logging.getLogger(__name__)
# Longer than a restart of a database server takes.
RETRY_SECONDS = 120.0
# One try to connect; a server that drops packets must not exceed the retry limit by much.
CONNECT_SECONDS, LEAST_CONNECT_SECONDS = 5.0, 2.0
# SQLite itself waits this long for a lock before it reports that the file is busy.
BUSY_TIMEOUT_MS = 5_000
DIALECTS = {
    "sqlite": lambda: sqlite.dialect(paramstyle="qmark"),
    "postgresql": lambda: postgresql.dialect(paramstyle="numeric_dollar"),
}
# A row of scores is wide and lies in the B-tree of its key: SQLite's default page of 4 KB would
# hold a handful of rows.
PRAGMAS = (f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}", "PRAGMA page_size = 16384")

# SQLSTATEs: connection lost, server stopping or starting, out of memory or connections, deadlock,
# lock not granted.
TRANSIENT_SQLSTATES = ("08", "57P", "53200", "53300", "40", "55P03")
TRANSIENT_MESSAGES = ("locked", "busy", "disk I/O error", "connection")
# Failures to connect that have no SQLSTATE and that waiting does not fix.
PERMANENT_MESSAGES = (
    *("does not exist", "authentication", "no pg_hba.conf entry", "password", "invalid"),
    *(
        "readonly",
        "is full",
        "failed to open",
        "unable to open",
        "Python exception",
        "statement pooling mode",
    ),
)

# Advice for failures that are not transient.
FIXES = {
    "sqlite": "check that the file is a database of leadscore and that its disk has free space",
    "postgresql": (
        "check that publish.database names server, database, user and password correctly, "
        "and that the user has the privileges"
    ),
}


class Database:
    """One database; its transactions are retried while it is busy or unreachable.

    Attributes:
        backend: ``sqlite`` or ``postgresql``.
        address: The address without secrets, for messages.
        retry_seconds: Time limit of the retries, counted from the first failure after a success:
            all operations on a database that is gone share it.
        read_only: Whether nothing is created or changed.
    """

    def __init__(
        self,
        address: Address | str | Path,
        retry_seconds: float = RETRY_SECONDS,
        read_only: bool = False,
    ) -> None:
        """Parse the address; connect to nothing yet.

        ``address`` is the path of a SQLite file, or the address of a database; a text is always an
        address. Raises ConfigError for one that cannot be used, or for a folder that cannot be
        created or written to, StateError for a directory in place of the file.
        """
        self._address = _read_address(address)
        self.backend = self._address.scheme
        self.address = str(self._address)
        self.retry_seconds, self.read_only = retry_seconds, read_only
        # When the database stopped answering, by the monotonic clock.
        self._silent_since: float | None = None
        self._dialect = DIALECTS[self.backend]()
        if self.backend == "sqlite":
            require_file_not_lost("scores database", self.path, "", "")
            if not read_only:
                self._require_writable_folder()

    @property
    def path(self) -> Path:
        """Return the file of a SQLite database."""
        return Path(self._address.path)

    def run(self, work: Callable[[Session], Result], writes: bool = True) -> Result:
        """Run ``work`` in one transaction and return its result; roll back if it raises.

        While the database is busy or does not answer, the work is repeated from the start in a new
        connection, for up to ``retry_seconds``. The lost answer may have been that to the commit:
        work that writes must check, where ``session.is_retry``, whether its changes are already
        there. Raises DataError for rows that violate a constraint, LeadscoreError for any other
        failure of the database.
        """
        return self.retry(lambda attempt: self._attempt(work, writes, is_retry=attempt > 0))

    def retry(self, call: Callable[[int], Result]) -> Result:
        """Return the result of ``call``, repeated while the database is busy or unreachable.

        ``call`` takes the number of earlier attempts. Raises as ``run`` does.
        """
        for attempt in count():
            try:
                result = call(attempt)
            except adbc.Error as error:
                if not _is_transient(error):
                    self._raise_failure(error, attempt)
                # Not per call: what follows a failure, such as the ledger's entry of it, would
                # wait for the same dead server once more.
                self._silent_since = self._silent_since or time.monotonic()
                remaining = self._remaining_seconds()
                if remaining <= 0:
                    self._raise_failure(error, attempt)
                if attempt == 0:
                    LOG.warning(
                        "the scores database does not answer (%s); retrying for %.0f s",
                        self._describe_error(error),
                        remaining,
                    )
                # Doubled from 0.2 s, enough for a short lock, up to 6.4 s while a server restarts.
                time.sleep(min(remaining, 0.2 * 2 ** min(attempt, 5)))
            else:
                self._silent_since = None
                return result
        raise AssertionError  # unreachable: the loop is endless

    def connect(self, autocommit: bool = True) -> Any:
        """Return a new connection.

        With ``autocommit`` each statement is its own transaction, in SQLite until a BEGIN.
        """
        module = importlib.import_module(f"adbc_driver_{self.backend}.dbapi")
        connection = module.connect(self._driver_uri(), autocommit=autocommit)
        if self.backend == "sqlite":
            self._configure_sqlite(connection)
        return connection

    def compact(self, tables: Sequence[str]) -> bool:
        """Release the space of deleted rows; return whether their bytes are certainly gone.

        In SQLite they are gone from its files, unless a reader still uses the former state.
        PostgreSQL overwrites them later. SQLite needs as much free space as its file takes. Raises
        LeadscoreError if the database fails.
        """
        return self.retry(lambda attempt: self._vacuum(tables))

    def find_damage(self, max_bytes: int | None = None, thorough: bool = False) -> str:
        """Return the first problem of a SQLite file's structure, by ``PRAGMA quick_check``.

        A ``thorough`` check is ``PRAGMA integrity_check``, which compares indexes with rows too.

        Return an empty text for a sound file, for one larger than ``max_bytes``, and for
        PostgreSQL, whose server checks its own pages. Raises StateError for a file that cannot be
        read as a database.
        """
        if self.backend != "sqlite" or (max_bytes and self.path.stat().st_size > max_bytes):
            return ""
        pragma = "integrity_check" if thorough else "quick_check"
        return self.retry(lambda attempt: self._check_structure(pragma))

    def _check_structure(self, pragma: str) -> str:
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"PRAGMA {pragma}(1)")
            problem = str(cursor.fetchone()[0])
            if problem != "ok":
                # SQLite names trees, pages and cells; no value of a row.
                return " ".join(problem.split())
            cursor.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
            expected = int(cursor.fetchone()[0])
        size = self.path.stat().st_size
        # While the write-ahead log has content, the file may lack the newest pages.
        if size < expected and not has_write_ahead_log(self.path):
            return f"{size:,} of {expected:,} bytes"
        return ""

    def _vacuum(self, tables: Sequence[str]) -> bool:
        with self.connect() as connection, connection.cursor() as cursor:
            if self.backend != "sqlite":
                for name in tables:
                    cursor.execute(f"VACUUM {name}")
                return False
            cursor.execute("VACUUM")
            # The write-ahead log holds removed rows until it is emptied; 0 means that it was.
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return bool(cursor.fetchone()[0] == 0)

    def _attempt(self, work: Callable[[Session], Result], writes: bool, is_retry: bool) -> Result:
        """Run ``work`` in one transaction; closing the connection rolls back what is pending."""
        # SQLite's driver would begin as a reader, and a reader may fail to become the writer.
        with self.connect(autocommit=self.backend == "sqlite") as connection:
            session = Session(connection, self._dialect, is_retry)
            if self.backend == "postgresql" and self.read_only:
                # All reads of the transaction see one state.
                session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            if self.backend == "sqlite":
                session.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
            result = work(session)
            if self.backend == "sqlite":
                session.execute("COMMIT")
            else:
                connection.commit()
            return result

    def _configure_sqlite(self, connection: Any) -> None:
        if self.read_only:
            pragmas: Sequence[str] = (PRAGMAS[0], "PRAGMA query_only = 1")
        else:
            pragmas = PRAGMAS
        with connection.cursor() as cursor:
            # Before the switch to WAL, after which SQLite does not change the page size any more.
            for pragma in pragmas:
                cursor.execute(pragma)
            if self.read_only:
                return
            cursor.execute("PRAGMA journal_mode")
            if cursor.fetchone()[0] != "wal":
                # The file keeps this setting: readers and the writer no longer block each other.
                cursor.execute("PRAGMA journal_mode = WAL")

    def _driver_uri(self) -> str:
        if self.backend == "sqlite":
            return f"file:{quote(str(self.path))}?{self._open_mode()}"
        patience = max(LEAST_CONNECT_SECONDS, min(CONNECT_SECONDS, self._remaining_seconds()))
        # A server without power is noticed after 30 + 3 x 10 seconds, as by the project lock.
        limits = {
            "connect_timeout": f"{patience:.0f}",
            "keepalives_idle": "30",
            "keepalives_interval": "10",
            "keepalives_count": "3",
            # The same for data that was sent and not acknowledged, in milliseconds.
            "tcp_user_timeout": "60000",
        }
        return self._address.render(limits)

    def _open_mode(self) -> str:
        """Return SQLite's parameters of opening the file.

        Reading alone must not leave anything behind. A connection that may write removes the log
        that it created; where a killed run left a log, such a connection would move its pages into
        the file, and one that only reads does not.
        """
        if not self.read_only:
            return "mode=rwc"
        if has_write_ahead_log(self.path):
            return "mode=ro"
        # Where no log can be created, nobody else can write either.
        return "mode=rw" if os.access(self.path.parent, os.W_OK) else "mode=ro&immutable=1"

    def _remaining_seconds(self) -> float:
        """Return how long retries may still go on."""
        silent = time.monotonic() - self._silent_since if self._silent_since is not None else 0.0
        return self.retry_seconds - silent

    def _require_writable_folder(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            path = self.path if self.path.exists() else self.path.parent
            # Not opened: closing the file would release this process's SQLite locks on it.
            problem = "" if os.access(path, os.W_OK) else f"no right to write {path}"
        except OSError as error:
            problem = str(error)
        if problem:
            raise ConfigError(
                "cannot open the scores database",
                where=self.address,
                found=problem,
                fix="name a file you may write to",
            )

    def _raise_failure(self, error: adbc.Error, attempt: int) -> NoReturn:
        message = self._describe_error(error)
        # A traceback shows the cause as well.
        redact_exception(error, self._address.mask)
        if self.backend == "sqlite" and describes_damage(message):
            raise make_damage_error("scores database", self.path, message) from error
        if _violates_constraint(error):
            raise DataError(
                "the scores database rejects the rows", where=self.address, found=message
            ) from error
        fix = (
            "check that it runs and is reachable, then run again"
            if attempt
            else FIXES[self.backend]
        )
        raise LeadscoreError(
            "the scores database failed", where=self.address, found=message, fix=fix
        ) from error

    def _describe_error(self, error: adbc.Error) -> str:
        # After these words come the query and values of the row, perhaps personal ones.
        message = str(error).split("\nquery")[0].split("\nDETAIL")[0]
        # Masked before it is cut: a part of a secret could not be recognised.
        return self._address.mask(" ".join(message.split()))[:300]


def _read_address(address: Address | str | Path) -> Address:
    if isinstance(address, Path):
        return Address(SQLITE, path=str(address))
    if isinstance(address, Address):
        return address
    try:
        return parse_database_address(address)
    except AddressError as error:
        raise ConfigError(error.what, where="the scores database", fix=error.fix) from None


def _violates_constraint(error: adbc.Error) -> bool:
    return isinstance(error, adbc.IntegrityError) or "constraint failed" in str(error)


def _is_transient(error: adbc.Error) -> bool:
    """Return whether a retry may succeed. The drivers give no SQLSTATE for a lost connection."""
    if describes_damage(str(error)):
        return False
    if isinstance(
        error, adbc.IntegrityError | adbc.DataError | adbc.NotSupportedError
    ) or _violates_constraint(error):
        return False
    if error.sqlstate:
        return error.sqlstate.startswith(TRANSIENT_SQLSTATES)
    message = str(error)
    is_lost = error.status_code == adbc.AdbcStatusCode.IO or any(
        word in message for word in TRANSIENT_MESSAGES
    )
    return is_lost and not any(word in message for word in PERMANENT_MESSAGES)
