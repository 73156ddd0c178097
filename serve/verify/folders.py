"""Folders of files with a manifest: their links, their checksums, and what is left over."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from features.files.examination import Examination
from serve.export.atomic_folders import (
    CURRENT_LINK,
    FOLDER_NAME,
    MANIFEST_NAME,
    fingerprint_file,
    read_manifest,
)

# Draft files are named after the process that writes them.
DRAFT_NAME = re.compile(r"\..+\.\d+|.+\.draft|\.manifest|\.current|\.staging|\.erasing|\.erased")
# A quick check leaves larger files out; it reads the others in a fraction of a second.
QUICK_BYTES = 64 * 1024 * 1024


def list_folders(folder: Path) -> list[Path]:
    """Return the folders of finished files below a folder, the newest name first."""
    paths = (path for path in folder.glob("*") if FOLDER_NAME.fullmatch(path.name))
    return sorted((path for path in paths if path.is_dir()), reverse=True)


def read_manifest_of(examination: Examination, folder: Path, fix: str) -> Mapping[str, Any] | None:
    """Return the manifest of a folder; report one that is missing or unreadable."""
    try:
        return read_manifest(folder)
    except (OSError, ValueError) as error:
        kind = "missing" if isinstance(error, FileNotFoundError) else "unreadable"
        examination.report(f"the manifest of {folder} is {kind}", fix)
        return None


def compare_files(
    examination: Examination,
    folder: Path,
    files: Mapping[str, Mapping[str, Any]],
    fix: str,
    quick: bool = False,
) -> None:
    """Report files of a folder that are missing, changed or not in the manifest."""
    for name, stored in sorted(files.items()):
        path = folder / name
        examination.counts["files"] += 1
        if not path.is_file():
            examination.report(f"{path} is missing", fix)
        elif quick and path.stat().st_size > QUICK_BYTES:
            examination.left_out.append(f"the content of {path.name}")
        elif fingerprint_file(path)["sha256"] != stored.get("sha256"):
            examination.report(f"{path} has changed: its sha256 is not the manifest's", fix)
    known = {MANIFEST_NAME, *files}
    examination.report_all(
        f"files of {folder} are not in its manifest",
        sorted(path.name for path in folder.iterdir() if path.name not in known),
        "move them away",
    )


def resolve_current(examination: Examination, folder: Path, fix: str) -> Path | None:
    """Return the folder that ``current`` leads to; report a link that leads nowhere.

    The path is one of ``list_folders``, unless the link leads out of ``folder``.
    """
    link = folder / CURRENT_LINK
    if not link.is_symlink():
        kind = "is no link" if link.exists() else "is missing"
        examination.report(f"{link} {kind}", f"move away what is there; {fix}")
        return None
    if not link.is_dir():
        examination.report(f"{link} leads to {link.readlink()}, which is no folder", fix)
        return None
    target = link.resolve()
    return folder / target.name if target.parent == folder.resolve() else target


def check_leftovers(examination: Examination, root: Path, quarantined: set[str]) -> None:
    """Report drafts that a killed run left, folders without a manifest, and foreign quarantine.

    ``quarantined`` are the names of the quarantine files that the sources can have.
    """
    examination.counts["folders"] = len(places := list(_list_places(root)))
    drafts = [
        str(path.relative_to(root))
        for place in places
        for path in sorted(place.iterdir())
        if DRAFT_NAME.fullmatch(path.name)
        or (
            place.is_relative_to(root / "exports")
            and FOLDER_NAME.fullmatch(path.name)
            and not (path / MANIFEST_NAME).exists()
        )
    ]
    examination.report_all(
        "drafts are left over from a killed run",
        drafts,
        "the next night replaces most of them; remove what stays after it",
    )
    quarantine = root / "quarantine"
    foreign = (
        sorted(path.name for path in quarantine.iterdir() if path.name not in quarantined)
        if quarantine.is_dir()
        else []
    )
    examination.report_all(
        "entries of quarantine/ belong to no source of the config",
        foreign,
        "remove them: they may hold rows of people",
    )


def _list_places(root: Path) -> Iterator[Path]:
    """Yield the folders in which runs write drafts."""
    exports = root / "exports"
    names = [
        path
        for path in sorted(exports.glob("*"))
        if path.is_dir() and not path.is_symlink() and not FOLDER_NAME.fullmatch(path.name)
        if path.name != ".staging"
    ]
    for place in (root, exports, *names, root / "reports"):
        if place.is_dir():
            yield place
