"""Folders of files with a manifest, flushed to disk before anything points to them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path
from typing import IO, Any

from configs.errors import LeadscoreError, StateError
from features.files.os_errors import suggest_os_fix
from serve.private_files import share_like

MANIFEST_NAME, STAGING_NAME, CURRENT_LINK = "manifest.json", ".staging", "current"
# Name of a folder: its as-of in UTC and the first digits of a sha256.
FOLDER_NAME = re.compile(r"\d+T\d{6}Z-[0-9a-f]{12}(-\d+)?")
# A week of nightly folders.
KEPT_FOLDERS = 7


@contextmanager
def report_write_failure(folder: Path, content: str) -> Iterator[None]:
    """Raise an OSError of the block as LeadscoreError; ``content`` is the word for the files."""
    try:
        yield
    except OSError as error:
        raise LeadscoreError(
            f"cannot write the {content}",
            where=str(folder),
            found=str(error),
            fix=f"{suggest_os_fix(error)} and run again; the current {content} is intact",
        ) from error


def create_staging(folder: Path) -> Path:
    """Return an empty staging folder, which no reader opens, in a folder made for it if missing."""
    staging = folder / STAGING_NAME
    # A killed run, or a person, may have left something here.
    remove_draft(staging)
    if not folder.exists():
        folder.mkdir(parents=True)
        share_like(folder, folder.parent)
    staging.mkdir()
    return staging


def write_durably(path: Path, fill: Callable[[IO[bytes]], object]) -> None:
    """Write a new file and flush it to disk."""
    with path.open("xb") as file:
        fill(file)
        flush_to_disk(file)


def flush_to_disk(file: IO[bytes]) -> None:
    """Flush an open file to disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Flush the entries of a folder to disk.

    Without it a power failure may lose a file whose content is on disk.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_manifest(path: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest of a folder as JSON and flush it to disk."""
    text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_durably(path, lambda file: file.write(f"{text}\n".encode()))


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a folder; raise OSError or ValueError if it is missing or invalid."""
    manifest = json.loads((folder / MANIFEST_NAME).read_text(encoding="utf-8"))
    if not isinstance(manifest, dict):
        raise ValueError(f"{MANIFEST_NAME} is not an object")
    return manifest


def read_current_run_id(folder: Path) -> str | None:
    """Return the run whose scores the current folder holds; None if there is no manifest."""
    try:
        return read_manifest(folder / CURRENT_LINK).get("run_id")
    except (OSError, ValueError):
        return None


def require_replaceable_link(folder: Path, command: str) -> None:
    """Raise StateError if ``current`` is no link: a new folder cannot be switched to then.

    Tools that copy a workspace may follow its links. ``command`` makes the link again.
    """
    link = folder / CURRENT_LINK
    if folder.exists() and not folder.is_dir():
        raise StateError(
            "a folder of exports is a file",
            where=str(folder),
            found="a file",
            fix=f"move it away, then run `{command}`",
        )
    if link.exists() and not link.is_symlink():
        raise StateError(
            "the current export is no link to its folder",
            where=str(link),
            found="a directory" if link.is_dir() else "a file",
            fix=f"move it away (`mv {link} {link}.copied`), then run `{command}`",
        )


def remove_draft(path: Path) -> None:
    """Remove a draft of ours, whether it is a folder, a file or a link; raise OSError if not."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def choose_folder_name(folder: Path, as_of: datetime, sha256: str) -> str:
    """Return a FOLDER_NAME that no folder has yet."""
    stamp = f"{as_of.astimezone(UTC):%Y%m%dT%H%M%SZ}-{sha256[:12]}"
    # The same scores exported again have the same stamp, so a number from 2 on is appended.
    return next(
        name
        for name in chain([stamp], (f"{stamp}-{i}" for i in count(2)))
        if not (folder / name).exists()
    )


def promote_staging(folder: Path, name: str) -> None:
    """Rename the staging folder to its name, in one step and on disk.

    Those who may read ``folder`` may read it.
    """
    share_like(folder / STAGING_NAME, folder)
    # The entries come before the name: a name on disk must lead to all of its files.
    sync_folder(folder / STAGING_NAME)
    (folder / STAGING_NAME).replace(folder / name)
    sync_folder(folder)


def switch_current(folder: Path, name: str) -> None:
    """Point ``current`` to a folder in one step: renaming a link replaces it atomically."""
    link = folder / ".current"
    # A run killed before the rename leaves this link.
    remove_draft(link)
    link.symlink_to(name, target_is_directory=True)
    link.replace(folder / CURRENT_LINK)
    sync_folder(folder)


def fingerprint_file(path: Path) -> dict[str, Any]:
    """Return a file's sha256 and size in bytes."""
    with path.open("rb") as file:
        return {
            "sha256": hashlib.file_digest(file, "sha256").hexdigest(),
            "bytes": path.stat().st_size,
        }
