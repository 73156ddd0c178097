"""PgBouncer, a connection pooler in front of a PostgreSQL server, for a single test."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest


@contextmanager
def pgbouncer(url: str, mode: str) -> Iterator[str]:
    """Run PgBouncer before the server of a URL; yield the URL of the pooler.

    ``mode`` is ``session``, ``transaction`` or ``statement``. Skips where it is not installed.
    """
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("no connection pooler installed (pgbouncer is not found)")
    server = urlsplit(url)
    folder = Path(tempfile.mkdtemp(prefix="pgbouncer-"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = folder / "pgbouncer.ini"
    settings.write_text(
        f"[databases]\n* = host={server.hostname} port={server.port} "
        f"user={server.username} password='s3cret/word'\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = any\npool_mode = {mode}\ndefault_pool_size = 5\n"
        f"logfile = {folder / 'log'}\nignore_startup_parameters = extra_float_digits\n",
        encoding="utf-8",
    )
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if as_user:
        for path in (folder, settings):
            shutil.chown(path, "postgres")
    process = subprocess.Popen([*as_user, program, str(settings)], stderr=subprocess.DEVNULL)
    try:
        _wait_until_open(port)
        yield f"postgresql://{server.username}@127.0.0.1:{port}{server.path}"
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_open(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < deadline, "the pooler does not start"
        time.sleep(0.05)
