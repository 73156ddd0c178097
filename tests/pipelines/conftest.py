"""Fixtures: a company with a champion, and a Prefect server for this test run alone."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from configs.schema import load_project
from models.learners import lightgbm
from pipelines.runner import Runner
from pipelines.training.train import train_targets
from tests.built_once import build_once
from tests.pipelines import guarded, tiny


@pytest.fixture(scope="session")
def guarded_company(tmp_path_factory):
    """Return the folder of a company with personal columns and a champion; copy it before use."""
    return build_once(tmp_path_factory, "guarded", _train_guarded)


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory):
    """Return the environment of a client of a real server on loopback.

    The server has scheduler, events and automations. Mark the tests that
    use it with ``server``: it takes half a minute to start.
    """
    home = tmp_path_factory.mktemp("prefect")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")},
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    command = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port), "--no-ui"]
    with (home / "server.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            _wait(environment["PREFECT_API_URL"] + "/health", server, home / "server.log")
            yield environment
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()


def _train_guarded(folder):
    guarded.write(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("LEADSCORE_WORKSPACE", raising=False)
        patch.setattr(lightgbm, "ROUNDS", 15)
        (done,) = train_targets(load_project("company.yaml"), tiny.END, ["buy"], Runner())
    assert done.error is None


def _wait(address, server, log):
    for _ in range(180):
        assert server.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (OSError, urllib.error.URLError):
            time.sleep(1)
    raise AssertionError(log.read_text())
