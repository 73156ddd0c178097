"""A Prefect server that lives as long as one process, for runs without a Prefect API."""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import Future
from threading import Thread

from configs.errors import LeadscoreError
from pipelines.runner import is_prefect_configured

# The first start on a machine creates Prefect's database, which takes half a minute on a busy one.
MAX_START_SECONDS = 180.0
# Short next to a start, which takes 16 to 48 s; a try costs one refused connection.
POLL_SECONDS = 0.1
# A server that hangs must not keep the command from ending.
MAX_STOP_SECONDS = 20.0


def start_temporary_server() -> Future[None]:
    """Start a Prefect server in the background; return a Future that is done once it answers.

    Prefect would start one itself, but only when the first flow begins, and it would import the
    whole server into this process for that. A separate process starts while this one does other
    work. Wait for the Future before the first flow begins, and do not import Prefect before this
    call. The server is stopped when the process exits. Where a Prefect API is configured nothing is
    started.

    The Future raises LeadscoreError if the server does not answer.
    """
    ready = Future[None]()
    # Prefect reads its settings on import and would not see an address that is set later.
    if is_prefect_configured() or "prefect" in sys.modules:
        ready.set_result(None)
        return ready
    address = f"http://127.0.0.1:{_find_free_port()}"
    server = _start_server(address)
    os.environ["PREFECT_API_URL"] = f"{address}/api"
    # Functions of atexit run in reverse order: the server stops after Prefect, which is imported
    # later, has sent its last log lines.
    atexit.register(_stop_server, server)
    health = f"{address}/api/health"
    Thread(target=_wait_for_answer, args=(server, health, ready), daemon=True).start()
    return ready


def _find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start_server(address: str) -> subprocess.Popen[bytes]:
    host, _, port = address.removeprefix("http://").partition(":")
    command = [sys.executable, "-m", "prefect", "server", "start", "--no-ui"]
    return subprocess.Popen(
        [*command, "--host", host, "--port", port],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _stop_server(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(MAX_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()


def _wait_for_answer(server: subprocess.Popen[bytes], health: str, ready: Future[None]) -> None:
    """Complete ``ready`` once the server answers; fail it if the server ends or takes too long."""
    deadline = time.monotonic() + MAX_START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(health, timeout=5):
                ready.set_result(None)
                return
        except OSError:
            time.sleep(POLL_SECONDS)
    exit_code = server.poll()
    ready.set_exception(
        LeadscoreError(
            "the temporary Prefect server does not answer",
            where=health,
            found="no answer" if exit_code is None else f"exit code {exit_code}",
            fix="run `prefect server start` to see why, or use --direct",
        )
    )
