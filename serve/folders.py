"""Files and directories that are on the disk before anything points to them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any


def write(path: Path, fill: Callable[[IO[bytes]], object]) -> None:
    """Write a new file and see its content on the disk."""
    with path.open("xb") as file:
        fill(file)
        settle(file)


def settle(file: IO[bytes]) -> None:
    """See what was written to an open file on the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync(folder: Path) -> None:
    """See a directory's entries on the disk; without it a power cut may lose a file whose content is safe."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def switch(folder: Path, name: str) -> None:
    """Point ``current`` to a directory in one step: a link is replaced whole or not at all."""
    link = folder / ".current"
    link.unlink(missing_ok=True)
    link.symlink_to(name, target_is_directory=True)
    link.replace(folder / "current")
    sync(folder)


def fingerprint(path: Path) -> dict[str, Any]:
    """Return a file's sha256 and bytes."""
    with path.open("rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "bytes": path.stat().st_size}
