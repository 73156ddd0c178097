"""Exclusive locks on files: one run at a time for a workspace, or for a project of a database."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from configs.errors import ConfigError, WorkspaceBusy


@contextmanager
def lock_workspace(root: Path) -> Iterator[None]:
    """Lock the workspace ``root`` while the block runs; create the folder if it is missing.

    Raises WorkspaceBusy without waiting if another run holds the lock, ConfigError if the
    workspace cannot be written.
    """
    fix = "wait for it to end, or give this run another workspace with LEADSCORE_WORKSPACE"
    with hold_file_lock(root / ".lock", "another run holds this workspace", root, fix):
        yield


@contextmanager
def hold_file_lock(
    path: Path, busy: str, root: Path | None = None, fix: str = "wait for it to end"
) -> Iterator[None]:
    """Lock the file ``path`` while the block runs; create it if it is missing.

    The lock is the kernel's (``flock(2)``): it ends with the process that holds it, so a killed
    run leaves no stale lock. The file's text, pid and command of the holder, is information only.

    Raises WorkspaceBusy with the message ``busy`` about ``root`` (by default ``path``) without
    waiting if another run holds the lock, ConfigError if the file cannot be written.
    """
    # No soft lock: where flock(2) is missing it would outlive a killed run (filelock 3.30+).
    lock = FileLock(path, blocking=False, thread_local=False, fallback_to_soft=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        acquired = lock.acquire()
    except Timeout as error:
        holder = _read_holder(path) or "a run that has just begun"
        raise WorkspaceBusy(busy, where=str(root or path), found=holder, fix=fix) from error
    except OSError as error:
        raise ConfigError(
            "cannot write to the workspace",
            where=str(path.parent),
            found=str(error),
            fix="name a directory you may write to",
        ) from error
    with acquired:
        try:
            _write_holder(path, f"pid {os.getpid()}: {shlex.join(sys.argv)}\n")
            yield
        finally:
            # While the lock is held: afterwards this could erase the text of the next holder.
            _write_holder(path, "")


def is_workspace_held(root: Path) -> bool:
    """Return whether a living process of this machine holds the workspace.

    The answer comes from the pid that the holder wrote. Trying the lock instead would make a run
    that starts at this moment fail.
    """
    try:
        holder = (root / ".lock").read_text(encoding="utf-8", errors="replace")
        # Signal 0 is not delivered; it only shows whether the process exists.
        os.kill(int(holder.removeprefix("pid ").partition(":")[0]), 0)
    except PermissionError:
        # The process exists and belongs to another user.
        return True
    except (OSError, ValueError):
        return False
    return True


def _read_holder(path: Path) -> str:
    """Return the text in a lock file, without surrounding space; empty if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _write_holder(path: Path, text: str) -> None:
    """Replace the text in a lock file; a full disk is ignored, since the lock itself holds."""
    # In place, since a new file under this name would not carry the lock.
    with suppress(OSError), path.open("r+b", buffering=0) as file:
        file.truncate(0)
        file.write(text.encode())
