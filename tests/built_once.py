"""Folders that one worker builds for all workers of a test run."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def build_once(factory: pytest.TempPathFactory, name: str, build: Callable[[Path], object]) -> Path:
    """Return a folder that ``build`` fills, the first time that a worker asks for it.

    The other workers get the same folder, so copy it before anything is written there.
    """
    base = factory.getbasetemp()
    # The folder of a worker lies in that of the run.
    shared = (base.parent if base.name.startswith("popen-") else base) / "built-once"
    shared.mkdir(exist_ok=True)
    folder, done = shared / name, shared / f"{name}.done"
    with FileLock(shared / f"{name}.lock"):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            build(folder)
            done.touch()
    return folder
