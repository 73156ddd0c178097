"""An entity taken out of the exports and deliveries that are kept.

The current export is replaced as it always is, a whole new folder and then the link, and former ones are removed. Of
deliveries each one is written anew in its own place: what a CRM is told next follows from them. What was killed
half-way is finished by doing it again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from serve.crm.kept import STATE_FILE
from serve.export.atomic_folders import (
    CURRENT,
    MANIFEST,
    NAME,
    STAGING,
    fingerprint,
    read_manifest,
    sync,
    write,
    write_manifest,
)
from serve.store.named import HIDDEN, Named, without

ERASING, ERASED, DRAFT = ".erasing", ".erased", ".manifest"
TABLES = (".csv", ".jsonl", ".parquet")


def erase_export(folder: Path, named: Named, again: Callable[[], object]) -> dict[str, int]:
    """Have the current export written ``again`` if it names an entity, and remove the former ones that do.

    Call it once the scores themselves are erased. Return how many rows were in the current one, and how many former
    ones were removed.
    """
    rows = sum(_rows(folder / CURRENT, named).values()) if (folder / CURRENT).exists() else 0
    if rows:
        again()
    return {"exports/current": rows, "exports, former (removed)": _remove_former(folder, named)}


def erase_deliveries(exports: Path, named: Named) -> dict[str, int]:
    """Take an entity out of every delivery that is kept, current or former, and count its rows in them.

    Each keeps its name, number and base: the next delta follows the same ones, and clears others as it would have.
    """
    found = dict[str, int]()
    for folder in sorted(
        path for path in exports.glob("*") if path.is_dir() and not path.is_symlink()
    ):
        if NAME.fullmatch(folder.name) or folder.name == STAGING:
            continue
        _finish(folder)
        current = (folder / CURRENT).resolve()
        counts = {"current": 0, "former": 0}
        for path in sorted(
            path for path in folder.glob("*") if NAME.fullmatch(path.name) and path.is_dir()
        ):
            rows = sum(_rows(path, named).values())
            if rows:
                _rewrite(path, named)
            counts["current" if path == current else "former"] += rows
        found |= {f"exports/{folder.name}/{which}": rows for which, rows in counts.items()}
    return found


def _rows(folder: Path, named: Named) -> dict[str, int]:
    """Return by file how many rows name the entity, and whether the manifest does."""
    found = {path.name: without(path, named)[0] for path in _tables(folder)}
    if (folder / MANIFEST).exists():
        found[MANIFEST] = int(_hidden(before := read_manifest(folder), named, {}) != before)
    return found


def _tables(folder: Path) -> Iterator[Path]:
    yield from sorted(path for path in folder.iterdir() if path.suffix in TABLES)


def _remove_former(folder: Path, named: Named) -> int:
    """Remove what a killed run left and every former folder that names the entity; return how many of these."""
    shutil.rmtree(folder / STAGING, ignore_errors=True)
    current = (folder / CURRENT).resolve()
    former = [
        path for path in folder.glob("*") if NAME.fullmatch(path.name) and path.resolve() != current
    ]
    gone = [path for path in former if any(_rows(path, named).values())]
    for path in gone:
        # First of all it stops being an export.
        (path / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(path)
    return len(gone)


def _rewrite(old: Path, named: Named) -> None:
    """Put a delivery without the entity in the place of one that names it."""
    new = old.parent / ERASING
    new.mkdir()
    changed = dict[str, dict[str, Any]]()
    for path in _tables(old):
        rows, content = without(path, named)
        write(new / path.name, lambda file, content=content: file.write(content))  # type: ignore[misc]
        changed[fingerprint(path)["sha256"]] = fingerprint(new / path.name) | {"removed": rows}
    manifest = _hidden(read_manifest(old), named, changed)
    manifest = _counted(
        manifest,
        changed,
        without(old / STATE_FILE, named)[0] > 0 if (old / STATE_FILE).exists() else True,
    )
    write_manifest(new / DRAFT, manifest)
    sync(new)
    (new / DRAFT).replace(new / MANIFEST)
    sync(new)
    _finish(old.parent)


def _finish(folder: Path) -> None:
    """Put a rewritten delivery in its place if it is whole, and remove what is left of others that were killed.

    A folder cannot take another's place in one step. Between the two steps there is none: a reader sees no half one.
    """
    new, old = folder / ERASING, folder / ERASED
    if (new / MANIFEST).exists():
        place = folder / read_manifest(new)["delivery"]
        if place.exists():
            shutil.rmtree(old, ignore_errors=True)
            place.replace(old)
        new.replace(place)
        sync(folder)
    for left in (new, old, folder / STAGING):
        shutil.rmtree(left, ignore_errors=True)


def _counted(
    manifest: dict[str, Any], changed: dict[str, dict[str, Any]], scored: bool
) -> dict[str, Any]:
    """Take the rows of the parts off the manifest's own count: a lead that the CRM was to hold, or to clear."""
    removed = sum(part["removed"] for part in changed.values() if part.get("counted"))
    count = "rows" if scored or "cleared" not in manifest else "cleared"
    return manifest | {count: manifest.get(count, 0) - removed}


def _hidden(value: Any, named: Named, changed: dict[str, dict[str, Any]]) -> Any:
    """Return a manifest without the id, and with the files that have ``changed``, by their former sha256."""
    if isinstance(value, list):
        return [_hidden(each, named, changed) for each in value]
    if not isinstance(value, dict):
        return HIDDEN if isinstance(value, str) and value in named.cells else value
    found = {key: _hidden(each, named, changed) for key, each in value.items()}
    file = changed.get(str(found.get("sha256")))
    if file is not None:
        found |= {key: file[key] for key in ("sha256", "bytes") if key in found}
        if "rows" in found:
            found["rows"] -= file["removed"]
            file["counted"] = True
    return found
