"""One run at a time for a workspace."""

from __future__ import annotations

import fcntl
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from configs.errors import ConfigError, WorkspaceBusy


@contextmanager
def hold(root: Path) -> Iterator[None]:
    """Hold the workspace ``root`` for the length of the block; create it if need be.

    The lock is the kernel's (``flock(2)`` on ``root/.lock``): it vanishes with the process that holds it,
    so a killed run never leaves a workspace shut. The file's text, pid and command of the holder, is only
    for people.

    Raises WorkspaceBusy at once if another run holds it, ConfigError if the workspace cannot be written.
    """
    with _open(root) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise WorkspaceBusy(
                "another run holds this workspace",
                where=str(root),
                found=file.read().strip() or "a run that has just begun",
                mend="wait for it to end, or give this run another workspace with LEADSCORE_WORKSPACE",
            ) from error
        try:
            _say(file, f"pid {os.getpid()}: {shlex.join(sys.argv)}\n")
            yield
        finally:
            _say(file, "")
            # Closing would not do: a forked child shares the open file and would keep the lock.
            fcntl.flock(file, fcntl.LOCK_UN)


def _open(root: Path) -> IO[str]:
    try:
        root.mkdir(parents=True, exist_ok=True)
        file = (root / ".lock").open("a+", encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigError(
            "cannot write to the workspace",
            where=str(root),
            found=str(error),
            mend="name a directory you may write to",
        ) from error
    file.seek(0)
    return file


def _say(file: IO[str], text: str) -> None:
    file.truncate(0)
    file.write(text)
    file.flush()
