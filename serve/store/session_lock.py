"""One run at a time for a project in a PostgreSQL database, on whatever machine."""

from __future__ import annotations

import os
import platform
import time
from types import TracebackType
from typing import Any, Self

import adbc_driver_manager as adbc

from configs.errors import WorkspaceBusy
from serve.store.database import Database

# The same name in another schema is another project.
KEY = "hashtextextended('leadscore ' || current_schema() || ' ' || $1, 0)"
SETTINGS = {
    # A night computes for hours and this connection says nothing.
    "idle_session_timeout": "0",
    # The server misses a machine that lost its power after a minute, not after two hours.
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}
HOLDER = f"""
SELECT coalesce(string_agg(application_name, ', '), '') FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND objsubid = 1
AND (classid::bigint << 32) | objid::bigint = {KEY}
"""  # noqa: S608 - both parts are ours


class SessionLock:
    """The lock of a project, held by a connection of its own: it vanishes with the run, the machine or the server.

    It needs a connection to the server itself, or a pooler that pools sessions and not transactions.
    """

    def __init__(self, database: Database, project: str) -> None:
        self._database = database
        self._project = project
        self._connection: Any = None

    def __enter__(self) -> Self:
        """Take the lock; raise WorkspaceBusy at once if another run has it."""
        self._take(patience=0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._let_go()

    def confirm(self) -> None:
        """See that the lock is still held, or take it again where its connection was lost.

        Raises WorkspaceBusy if another run has it by now: only after the database's patience has passed, as a server
        may take a while to miss a connection that was cut.
        """
        try:
            self._ask("SELECT 1")
        except adbc.Error:
            self._let_go()
            self._take(self._database.patience)

    def _take(self, patience: float) -> None:
        deadline = time.monotonic() + patience
        while not self._database.answering(lambda _: self._taken()):
            if time.monotonic() >= deadline:
                found = self._ask(HOLDER, self._project)
                self._let_go()
                raise WorkspaceBusy(
                    "another run holds this project in the database",
                    where=f"{self._database.where}: {self._project}",
                    found=found or "a run that has just ended",
                    fix="wait for it to end, and score a project on one machine only",
                )
            time.sleep(min(1.0, patience))

    def _taken(self) -> bool:
        try:
            if self._connection is None:
                self._connection = self._database.open()
                name = f"leadscore on {platform.node()}, pid {os.getpid()}"
                for setting, value in {**SETTINGS, "application_name": name}.items():
                    # An older server does not know all of them.
                    self._ask(
                        "SELECT set_config(name, $2, false) FROM pg_settings WHERE name = $1",
                        setting,
                        value,
                    )
            return bool(self._ask(f"SELECT pg_try_advisory_lock({KEY})", self._project))
        except adbc.Error:
            self._let_go()
            raise

    def _ask(self, sql: str, *values: str) -> Any:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            row = cursor.fetchone()
        return row and row[0]

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
