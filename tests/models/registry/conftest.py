"""Fixture: an empty registry to copy, since MLflow takes seconds to create one."""

import subprocess
import sys

import pytest

OPEN = "import sys; from pathlib import Path; from models.registry.registry import Registry; "
OPEN += "Registry(Path(sys.argv[1]), 'race')._experiment_id"


@pytest.fixture(scope="session")
def opened(tmp_path_factory):
    """Return a new database that two processes opened at the same time, and their results."""
    root = tmp_path_factory.mktemp("opened")
    command = [sys.executable, "-c", OPEN, str(root / "workspace")]
    both = [
        subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    outputs = [b"".join(process.communicate(timeout=120)).decode() for process in both]
    return root, [process.returncode for process in both], outputs
