"""Directories of files that are on the disk, with a manifest, before anything points to them."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path
from typing import IO, Any

MANIFEST, STAGING, CURRENT = "manifest.json", ".staging", "current"
NAME = re.compile(r"\d+T\d{6}Z-[0-9a-f]{12}(-\d+)?")
"""A directory's name: its as-of in UTC and the first digits of a sha256."""
KEEP = 7


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


def write_manifest(path: Path, about: Mapping[str, Any]) -> None:
    """Write what a directory holds as JSON, and see it on the disk."""
    text = json.dumps(about, indent=2, sort_keys=True, ensure_ascii=False)
    write(path, lambda file: file.write(f"{text}\n".encode()))


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return what a directory says of itself; raise OSError or ValueError where it does not."""
    found: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return found


def current_run(folder: Path) -> str | None:
    """Return the run whose scores the current directory holds; None where there is none that says so."""
    try:
        return read_manifest(folder / CURRENT).get("run_id")
    except (OSError, ValueError):
        return None


def free_name(folder: Path, as_of: datetime, sha256: str) -> str:
    """Return a NAME that no directory has."""
    stamp = f"{as_of.astimezone(UTC):%Y%m%dT%H%M%SZ}-{sha256[:12]}"
    return next(
        n for n in chain([stamp], (f"{stamp}-{i}" for i in count(2))) if not (folder / n).exists()
    )


def place(folder: Path, name: str) -> None:
    """Give what was staged its name, in one step and on the disk."""
    sync(folder / STAGING)
    (folder / STAGING).replace(folder / name)
    sync(folder)


def switch(folder: Path, name: str) -> None:
    """Point ``current`` to a directory in one step: a link is replaced whole or not at all."""
    link = folder / ".current"
    link.unlink(missing_ok=True)
    link.symlink_to(name, target_is_directory=True)
    link.replace(folder / CURRENT)
    sync(folder)


def fingerprint(path: Path) -> dict[str, Any]:
    """Return a file's sha256 and bytes."""
    with path.open("rb") as file:
        return {
            "sha256": hashlib.file_digest(file, "sha256").hexdigest(),
            "bytes": path.stat().st_size,
        }
