"""A MariaDB server for a single test."""

import importlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

PASSWORD = "s3cret/word"
# Seconds for the server to accept connections.
PATIENCE = 60


@dataclass(frozen=True)
class Server:
    """A running server on loopback.

    Attributes:
        port: Its port.
        process: The server.
    """

    port: int
    process: subprocess.Popen

    @property
    def url(self) -> str:
        """Return the address of its database, with a user who may do everything."""
        return f"mysql://tester:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/company"

    def connect(self):
        """Return a connection of PyMySQL that commits each statement."""
        return importlib.import_module("pymysql").connect(
            host="127.0.0.1",
            port=self.port,
            user="tester",
            password=PASSWORD,
            database="company",
            charset="utf8mb4",
            autocommit=True,
        )

    def execute(self, *statements):
        """Execute statements, each with its own commit."""
        with self.connect() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


def _find_program(*names: str) -> str | None:
    # Debian puts the server where only root's shell looks.
    places = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    return next(filter(None, (shutil.which(name, path=places) for name in names)), None)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def mariadb() -> Iterator[Server]:
    """Run a server while the block runs; skip the test if MariaDB or PyMySQL is not installed."""
    pytest.importorskip("pymysql")
    server, install = _find_program("mariadbd", "mysqld"), _find_program("mariadb-install-db")
    if server is None or install is None:
        pytest.skip("no MariaDB server installed (mariadbd or mariadb-install-db is not found)")
    folder, port = Path(tempfile.mkdtemp(prefix="mariadb-")), _free_port()
    if os.geteuid() == 0:
        shutil.chown(folder, "mysql")
    user = ["--user=mysql"] if os.geteuid() == 0 else []
    data, begin = f"--datadir={folder / 'data'}", folder / "begin.sql"
    begin.write_text(
        "CREATE DATABASE company CHARACTER SET utf8mb4;\n"
        f"CREATE USER tester IDENTIFIED BY '{PASSWORD}';\nGRANT ALL ON *.* TO tester;\n"
    )
    begin.chmod(0o644)
    try:
        subprocess.run(
            [install, "--no-defaults", data, *user, "--skip-test-db"],
            check=True,
            capture_output=True,
        )
        with (folder / "log").open("wb") as log:
            options = (
                *("--no-defaults", data, *user, f"--port={port}", "--bind-address=127.0.0.1"),
                *(f"--socket={folder / 'socket'}", f"--init-file={begin}", "--skip-log-bin"),
                *("--innodb-flush-log-at-trx-commit=0", f"--pid-file={folder / 'pid'}"),
                # Not UTC, so that a timestamp in the zone of the server would be seen.
                "--default-time-zone=+05:00",
            )
            process = subprocess.Popen([server, *options], stdout=log, stderr=log)
        try:
            running = Server(port, process)
            _await_answer(running, folder / "log")
            yield running
        finally:
            process.kill()
            process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _await_answer(server: Server, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            server.connect().close()
            return
        except (OSError, importlib.import_module("pymysql").Error):
            if server.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(log.read_text(errors="replace")) from None
            time.sleep(0.1)
