"""A Prefect server that lives as long as one process, for runs without a Prefect API."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from configs.errors import LeadscoreError
from features.tools.parallel import run_in_background
from pipelines.runner import is_prefect_configured

# The first start on a machine creates Prefect's database, which takes half a minute on a busy one.
MAX_START_SECONDS = 180.0
POLL_SECONDS = 0.1
MAX_STOP_SECONDS = 20.0


@contextmanager
def start_temporary_server() -> Iterator[Future[None]]:
    """Start a Prefect server in the background; yield a Future that is done once it answers.

    Prefect would start one itself, but only when the first flow begins and inside the imports of
    this process. A separate process starts while this one does other work. The block must not
    import Prefect before it has waited for the Future. The server is stopped at the end of the
    block. Where a Prefect API is configured nothing is started.

    The Future raises LeadscoreError if the server does not answer.
    """
    if is_prefect_configured() or "prefect" in sys.modules:
        ready = Future[None]()
        ready.set_result(None)
        yield ready
        return
    address = f"http://127.0.0.1:{_find_free_port()}"
    server = _start_server(address)
    os.environ["PREFECT_API_URL"] = f"{address}/api"
    try:
        with run_in_background(_wait_for_answer, server, f"{address}/api/health") as waiting:
            yield waiting
    finally:
        os.environ.pop("PREFECT_API_URL", None)
        server.terminate()
        try:
            server.wait(MAX_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()


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


def _wait_for_answer(server: subprocess.Popen[bytes], health: str) -> None:
    """Return once the server answers; raise LeadscoreError if it ends or takes too long."""
    deadline = time.monotonic() + MAX_START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(health, timeout=5):
                return
        except OSError:
            time.sleep(POLL_SECONDS)
    raise LeadscoreError(
        "the temporary Prefect server does not answer",
        where=health,
        found=f"exit code {server.poll()}" if server.poll() is not None else "no answer",
        fix="run `prefect server start` to see why, or use --direct",
    )
