"""An advisory lock on a project in PostgreSQL: one run at a time across all machines."""

from __future__ import annotations

import os
import platform
import time
from types import TracebackType
from typing import Any, Self

import adbc_driver_manager as adbc

from configs.errors import ConfigError, WorkspaceBusy
from serve.store.database import Database

# The schema is part of the key: the same name in another schema is another project.
LOCK_KEY_SQL = "hashtextextended('leadscore ' || current_schema() || ' ' || $1, 0)"
CONNECTION_SETTINGS = {
    # This connection stays idle for the hours that a night computes.
    "idle_session_timeout": "0",
    # The server notices a machine without power after a minute, not after two hours.
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}
# An objsubid of 1 marks a key of one bigint; PostgreSQL shows its halves as classid and objid.
HOLDER_SQL = f"""
SELECT coalesce(string_agg(application_name, ', '), '')
FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND objsubid = 1
AND (classid::bigint << 32) | objid::bigint = {LOCK_KEY_SQL}
"""  # noqa: S608 - built from constants only


class SessionLock:
    """The lock of a project, held by its own connection: it ends with the run, machine or server.

    The connection must go to the server itself, or through a pooler that pools sessions and not
    transactions: behind another one, two runs could hold the lock.
    """

    def __init__(self, database: Database, project: str) -> None:
        self._database = database
        self._project = project
        self._connection: Any = None

    def __enter__(self) -> Self:
        """Acquire the lock without waiting.

        Raises WorkspaceBusy if another run holds it, and ConfigError for a pooler of transactions.
        """
        self._acquire(wait_seconds=0)
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        exception_traceback: TracebackType | None,
    ) -> None:
        self._release()

    def confirm(self) -> None:
        """Check that the lock is still held; reacquire it if its connection was lost.

        Raises WorkspaceBusy if another run holds it by now, after the database's retry limit: a
        server may take a while to notice that a connection was cut.
        """
        try:
            self._query_value("SELECT 1")
        except adbc.Error:
            self._release()
            self._acquire(self._database.retry_seconds)

    def _acquire(self, wait_seconds: float) -> None:
        deadline = time.monotonic() + wait_seconds
        while not self._database.retry(lambda _: self._try_acquire()):
            if time.monotonic() >= deadline:
                holder = self._query_value(HOLDER_SQL, self._project)
                self._release()
                raise WorkspaceBusy(
                    "another run holds this project in the database",
                    where=f"{self._database.address}: {self._project}",
                    found=holder or "a run that has just ended",
                    fix="wait for it to end, and score a project on one machine only",
                )
            time.sleep(min(1.0, wait_seconds))

    def _require_own_session(self) -> None:
        """Raise ConfigError if a pooler shares one session of the server among connections."""
        own = self._query_value("SELECT pg_backend_pid()")
        # A pooler of transactions lends the session that was used last to the next transaction, and
        # another one to this connection while that transaction is open.
        with self._database.connect(autocommit=False) as other, other.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            others = cursor.fetchone()[0]
            later = self._query_value("SELECT pg_backend_pid()")
        if own == others or own != later:
            raise ConfigError(
                "the database is reached through a pooler of transactions, "
                "behind which two runs could publish at the same time",
                where=f"publish.database: {self._database.address}",
                found="one session of the server for several connections",
                fix="name the server itself, or let the pooler pool sessions "
                "(PgBouncer: pool_mode = session)",
            )

    def _try_acquire(self) -> bool:
        try:
            if self._connection is None:
                self._connection = self._database.connect()
                # Shown to a run that finds the project held.
                name = f"leadscore on {platform.node()}, pid {os.getpid()}"
                for setting, value in {**CONNECTION_SETTINGS, "application_name": name}.items():
                    # Older servers lack some of the settings.
                    self._query_value(
                        "SELECT set_config(name, $2, false) FROM pg_settings WHERE name = $1",
                        setting,
                        value,
                    )
                # Before the lock: such a pooler would keep it after the run.
                self._require_own_session()
            return bool(
                self._query_value(f"SELECT pg_try_advisory_lock({LOCK_KEY_SQL})", self._project)
            )
        except (adbc.Error, ConfigError):
            self._release()
            raise

    def _query_value(self, sql: str, *values: str) -> Any:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            row = cursor.fetchone()
        return row and row[0]

    def _release(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
