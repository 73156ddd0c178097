"""Erasure of an entity from the exports and deliveries that are kept.

The current export is replaced as usual, by a new folder and a switch of the link, and former
exports are removed. Each delivery is rewritten in place: the next delta to the CRM follows from
them. An erasure that was killed is completed by running it again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from operator import methodcaller
from pathlib import Path
from typing import Any

from configs.errors import StateError
from serve.crm.stored_deliveries import STATE_FILE
from serve.erasure.pages import page_names_entity
from serve.export.atomic_folders import (
    CURRENT_LINK,
    FOLDER_NAME,
    MANIFEST_NAME,
    STAGING_NAME,
    fingerprint_file,
    read_manifest,
    sync_folder,
    write_durably,
    write_manifest,
)
from serve.export.page_file import PAGE_NAME
from serve.private_files import share_like
from serve.store.entity_matcher import REDACTED, EntityMatcher, remove_rows

# Folder of the rewritten delivery.
ERASING_NAME, ERASED_NAME, DRAFT_NAME = ".erasing", ".erased", ".manifest"
# Extensions of files that hold rows.
TABLE_SUFFIXES = (".csv", ".jsonl", ".parquet")


def erase_export(
    folder: Path, matcher: EntityMatcher, rewrite_export: Callable[[], object]
) -> dict[str, int]:
    """Rewrite the current export if it names the entity, and remove former ones that do.

    Call it after the scores themselves are erased: ``rewrite_export`` writes the export from them.
    Return the number of rows in the current export and the number of former exports removed.
    """
    current = folder / CURRENT_LINK
    counts = _count_rows_by_file(current, matcher) if current.exists() else {}
    if any(counts.values()):
        rewrite_export()
    # The page is no row; it is written again with the rest.
    counts.pop(PAGE_NAME, None)
    return {
        "exports/current": sum(counts.values()),
        "exports, former (removed)": _remove_former_exports(folder, matcher),
    }


def erase_deliveries(exports: Path, matcher: EntityMatcher) -> dict[str, int]:
    """Erase an entity from all deliveries that are kept; return the number of its rows in them.

    Each delivery keeps its id, sequence and base: the next delta follows the same ones and clears
    other leads as before.
    """
    result = dict[str, int]()
    for folder in sorted(
        path for path in exports.glob("*") if path.is_dir() and not path.is_symlink()
    ):
        # Exports without a name lie at the same level; ``erase_export`` handles these.
        if FOLDER_NAME.fullmatch(folder.name) or folder.name == STAGING_NAME:
            continue
        # First what a killed erasure left, so that no delivery is missing when rows are counted.
        _finish_rewrite(folder)
        current = (folder / CURRENT_LINK).resolve()
        counts = {"current": 0, "former": 0}
        for path in sorted(
            path for path in folder.glob("*") if FOLDER_NAME.fullmatch(path.name) and path.is_dir()
        ):
            rows = sum(_count_rows_by_file(path, matcher).values())
            if rows:
                _rewrite_delivery(path, matcher)
            counts["current" if path == current else "former"] += rows
        result |= {f"exports/{folder.name}/{kind}": rows for kind, rows in counts.items()}
    return result


def _count_rows_by_file(folder: Path, matcher: EntityMatcher) -> dict[str, int]:
    """Return by file how many rows name the entity, and whether page and manifest do."""
    counts = {path.name: remove_rows(path, matcher)[0] for path in _list_tables(folder)}
    if (folder / PAGE_NAME).exists():
        counts[PAGE_NAME] = int(page_names_entity(folder / PAGE_NAME, matcher))
    if (folder / MANIFEST_NAME).exists():
        counts[MANIFEST_NAME] = int(
            _redact_manifest(manifest := _read_manifest(folder), matcher, {}) != manifest
        )
    return counts


def _read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a folder; raise StateError for a damaged one, which may name it."""
    try:
        return read_manifest(folder)
    except ValueError as error:
        raise StateError(
            "the manifest of an export is damaged, so the entity may still be named in it",
            where=str(folder / MANIFEST_NAME),
            found=type(error).__name__,
            fix="restore it from a backup, or remove its folder, then run again",
        ) from error


def _list_tables(folder: Path) -> Iterator[Path]:
    yield from sorted(path for path in folder.iterdir() if path.suffix in TABLE_SUFFIXES)


def _remove_former_exports(folder: Path, matcher: EntityMatcher) -> int:
    """Remove leftovers of a killed run and the former exports that name the entity.

    Return the number of these exports.
    """
    shutil.rmtree(folder / STAGING_NAME, ignore_errors=True)
    current = (folder / CURRENT_LINK).resolve()
    former = [
        path
        for path in folder.glob("*")
        if FOLDER_NAME.fullmatch(path.name) and path.resolve() != current
    ]
    removed = [path for path in former if any(_count_rows_by_file(path, matcher).values())]
    for path in removed:
        # The manifest first: without it the folder no longer counts as an export.
        (path / MANIFEST_NAME).unlink(missing_ok=True)
        # No error is ignored, unlike in pruning: what stays would still name the entity.
        shutil.rmtree(path)
    return len(removed)


def _rewrite_delivery(old: Path, matcher: EntityMatcher) -> None:
    """Replace a delivery that names the entity by one without it."""
    new = old.parent / ERASING_NAME
    new.mkdir()
    changed = dict[str, dict[str, Any]]()
    for path in _list_tables(old):
        rows, content = remove_rows(path, matcher)
        write_durably(new / path.name, methodcaller("write", content))
        changed[fingerprint_file(path)["sha256"]] = fingerprint_file(new / path.name) | {
            "removed": rows
        }
    manifest = _redact_manifest(_read_manifest(old), matcher, changed)
    manifest = _subtract_removed_rows(
        manifest,
        changed,
        # The state lists the leads that the CRM holds: scored ones, and no cleared ones.
        remove_rows(old / STATE_FILE, matcher)[0] > 0 if (old / STATE_FILE).exists() else True,
    )
    write_manifest(new / DRAFT_NAME, manifest)
    sync_folder(new)
    # The manifest comes last, since it marks the rewritten delivery as complete.
    (new / DRAFT_NAME).replace(new / MANIFEST_NAME)
    sync_folder(new)
    share_like(new, old.parent)
    _finish_rewrite(old.parent)


def _finish_rewrite(folder: Path) -> None:
    """Move a complete rewritten delivery into place; remove leftovers of killed runs.

    A folder cannot replace another in one step. Between the two steps there is none: no reader sees
    a partial one.
    """
    new, old = folder / ERASING_NAME, folder / ERASED_NAME
    if (new / MANIFEST_NAME).exists():
        destination = folder / _read_manifest(new)["delivery"]
        if destination.exists():
            shutil.rmtree(old, ignore_errors=True)
            destination.replace(old)
        new.replace(destination)
        sync_folder(folder)
    for leftover in (new, old, folder / STAGING_NAME):
        shutil.rmtree(leftover, ignore_errors=True)


def _subtract_removed_rows(
    manifest: dict[str, Any], changed: dict[str, dict[str, Any]], scored: bool
) -> dict[str, Any]:
    """Subtract the rows removed from the parts from the manifest's own count.

    A removed lead was either ``scored`` or to be cleared, and counts accordingly.
    """
    removed = sum(part["removed"] for part in changed.values() if part.get("counted"))
    count = "rows" if scored or "cleared" not in manifest else "cleared"
    return manifest | {count: manifest.get(count, 0) - removed}


def _redact_manifest(value: Any, matcher: EntityMatcher, changed: dict[str, dict[str, Any]]) -> Any:
    """Return a manifest without the id.

    Descriptions of files that have ``changed`` are updated, by their former sha256.
    """
    if isinstance(value, list):
        return [_redact_manifest(item, matcher, changed) for item in value]
    if not isinstance(value, dict):
        return REDACTED if matcher.matches_any([value]) else value
    redacted = {key: _redact_manifest(item, matcher, changed) for key, item in value.items()}
    file = changed.get(str(redacted.get("sha256")))
    if file is not None:
        redacted |= {key: file[key] for key in ("sha256", "bytes") if key in redacted}
        if "rows" in redacted:
            redacted["rows"] -= file["removed"]
            file["counted"] = True
    return redacted
