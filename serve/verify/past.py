"""What exports and deliveries show of the past, where the scores database should know it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from configs.errors import StateError
from features.files.sqlite_file import BACKUP_PAGE
from serve.export.atomic_folders import CURRENT_LINK, MANIFEST_NAME, read_manifest
from serve.store.reader import ScoreReader


def list_manifests(exports: Path) -> Iterator[Path]:
    """Yield the manifests below the folder of exports, those of the current files first."""
    for pattern in (CURRENT_LINK, "*", f"*/{CURRENT_LINK}", "*/*"):
        yield from sorted(exports.glob(f"{pattern}/{MANIFEST_NAME}"), reverse=True)


def find_published_proof(root: Path) -> str:
    """Return the file that shows that scores were published; empty if there is none."""
    manifest = next(list_manifests(root / "exports"), None)
    return f"{manifest.relative_to(root)} is of published scores" if manifest else ""


def require_known_past(reader: ScoreReader, project: str, root: Path, address: str) -> None:
    """Raise StateError if the exports show a published run that the ledger does not know.

    Such a database is empty, another one or an older one. The ledger keeps its runs when their
    scores are removed, so that it knows every run that ever published.
    """
    ledger = reader.runs(project)
    proof = find_published_proof(root)
    where = f"{address}: score_runs"
    if proof and "published" not in ledger["status"].to_pylist():
        raise StateError(
            "the scores database has lost its past",
            where=where,
            found=f"no published run of {project}, but {proof}",
            fix=f"restore the database from the backup ({BACKUP_PAGE}), or name the right one in "
            "publish.database; to begin anew on purpose, move exports/ out of the workspace",
        )
    run_id = read_run_id(root / "exports" / CURRENT_LINK, project)
    if run_id and run_id not in ledger["run_id"].to_pylist():
        raise StateError(
            "the scores database is older than the export",
            where=where,
            found=f"it has no run {run_id}, of which exports/{CURRENT_LINK} is",
            fix=f"restore the newest backup of the database ({BACKUP_PAGE}); to go on from this "
            "one on purpose, run `leadscore export CONFIG`",
        )


def read_run_id(folder: Path, project: str) -> str | None:
    """Return the run of a folder's manifest; None if it is unreadable or of another project."""
    try:
        manifest = read_manifest(folder)
    except (OSError, ValueError):
        return None
    if manifest.get("project") != project:
        return None
    run_id = manifest.get("run_id")
    return run_id if isinstance(run_id, str) else None
