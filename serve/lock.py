"""One run at a time for a workspace."""

from __future__ import annotations

import fcntl
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from configs.errors import ConfigError, WorkspaceBusy


@contextmanager
def hold(root: Path) -> Iterator[None]:
    """Hold the workspace ``root`` for the length of the block; create it if need be.

    Raises WorkspaceBusy at once if another run holds it, ConfigError if the workspace cannot be written.
    """
    fix = "wait for it to end, or give this run another workspace with LEADSCORE_WORKSPACE"
    with hold_file(root / ".lock", "another run holds this workspace", root, fix):
        yield


@contextmanager
def hold_file(
    path: Path, busy: str, root: Path | None = None, fix: str = "wait for it to end"
) -> Iterator[None]:
    """Hold a file that stands for something that one run at a time may do.

    The lock is the kernel's (``flock(2)``): it vanishes with the process that holds it, so a killed run never leaves
    it shut. The file's text, pid and command of the holder, is only for people.

    Raises WorkspaceBusy at once, saying ``busy`` of ``root`` or of the path, if another run holds it; ConfigError if
    it cannot be written.
    """
    with _open(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            found = file.read().strip() or "a run that has just begun"
            raise WorkspaceBusy(busy, where=str(root or path), found=found, fix=fix) from error
        try:
            _say(file, f"pid {os.getpid()}: {shlex.join(sys.argv)}\n")
            yield
        finally:
            _say(file, "")
            # Closing would not do: a forked child shares the open file and would keep the lock.
            fcntl.flock(file, fcntl.LOCK_UN)


def held(root: Path) -> bool:
    """Say whether a living process of this machine holds the workspace, without touching its lock.

    By the pid that the holder wrote: to try the lock would keep a run that begins at this moment from taking it.
    """
    try:
        said = (root / ".lock").read_text(encoding="utf-8", errors="replace")
        os.kill(int(said.removeprefix("pid ").partition(":")[0]), 0)
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return True


def _open(path: Path) -> IO[str]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigError(
            "cannot write to the workspace",
            where=str(path.parent),
            found=str(error),
            fix="name a directory you may write to",
        ) from error
    file.seek(0)
    return file


def _say(file: IO[str], text: str) -> None:
    """Write who holds the lock; on a full disk nobody is told, and the lock holds all the same."""
    with suppress(OSError):
        file.truncate(0)
        os.write(file.fileno(), text.encode())
