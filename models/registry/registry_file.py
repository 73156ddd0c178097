"""The registry's own database file: whether it was lost, is damaged, or is another database."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from configs.errors import StateError
from configs.loading.workspace_place import REGISTRY_FILE
from features.files.sqlite_file import (
    describes_damage,
    is_file_absent,
    make_damage_error,
    require_file_not_lost,
)

ARTIFACTS_FOLDER, CACHE_FILE = "artifacts", "champions.json"
CONTENT = "model registry"
# Table that every version of MLflow has.
OWN_TABLE = "experiments"
# MLflow's file has some megabytes; checking its structure must not delay a night.
MAX_CHECKED_BYTES = 256 * 1024 * 1024


def find_registry_proof(root: Path) -> str:
    """Return what shows that the workspace had a registry; empty if nothing does."""
    if _has_content(root / CACHE_FILE):
        return f"{CACHE_FILE} names champions"
    folders = (path for path in (root / ARTIFACTS_FOLDER).glob("*") if path.is_dir())
    folder = next(folders, None)
    return f"{ARTIFACTS_FOLDER}/{folder.name} holds files of a training" if folder else ""


def require_registry_file(root: Path) -> None:
    """Raise StateError if the registry's file was lost, is damaged or is no database of MLflow.

    A file that never existed is no error: MLflow creates it.
    """
    path = root / REGISTRY_FILE
    parts = f"{ARTIFACTS_FOLDER}/ and {CACHE_FILE}"
    require_file_not_lost(CONTENT, path, find_registry_proof(root), parts)
    if is_file_absent(path):
        return
    tables, problem = inspect_registry_file(path)
    if problem:
        raise make_damage_error(CONTENT, path, problem)
    if tables and OWN_TABLE not in tables:
        raise StateError(
            f"the {CONTENT} is another database",
            where=str(path),
            found=f"it has no table {OWN_TABLE}, but {len(tables)} others",
            fix="move it away and restore the file from the backup",
        )


def inspect_registry_file(
    path: Path, max_bytes: int = MAX_CHECKED_BYTES, thorough: bool = False
) -> tuple[set[str], str]:
    """Return the tables of a registry's file and the first problem of its structure.

    A ``thorough`` inspection also compares indexes with rows.

    The problem is empty for a sound file; of one larger than ``max_bytes`` only the first page is
    read. Nothing is changed. A file that another process writes at this moment has no problem.
    """
    try:
        with closing(connect_read_only(path)) as connection:
            rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            tables = {name for (name,) in rows}
            problem = "ok"
            if path.stat().st_size <= max_bytes:
                pragma = "integrity_check" if thorough else "quick_check"
                (problem,) = connection.execute(f"PRAGMA {pragma}(1)").fetchone()
    except sqlite3.DatabaseError as error:
        # A lock, or a journal that the next writer rolls back, is no damage.
        return set(), str(error) if describes_damage(str(error)) else ""
    return tables, "" if problem == "ok" else " ".join(problem.split())


def connect_read_only(path: Path) -> sqlite3.Connection:
    """Return a connection that creates and changes nothing.

    By Python's own SQLite, as MLflow uses it: two copies of SQLite would release each other's
    locks.
    """
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)


def _has_content(path: Path) -> bool:
    try:
        return bool(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        # A damaged file was one once.
        return path.is_file() and path.stat().st_size > 0
