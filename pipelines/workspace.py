"""Location of one project's state: a workspace holds one project, and one run at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from configs.errors import ConfigError, LeadscoreError
from configs.schema import Project
from features.tools.atomic_file import write_atomically
from models.registry.mlflow_access import find_tracking_address
from models.registry.registry import Registry
from serve.lock import lock_workspace
from serve.run import Run
from serve.store.database import RETRY_SECONDS
from serve.store.store import Store

OWNER_FILE = "project.txt"


@contextmanager
def open_workspace(project: Project) -> Iterator[Path]:
    """Lock a project's workspace and yield its directory.

    Raises WorkspaceBusy while another run holds it, and ConfigError if it belongs to another
    project: two projects that share LEADSCORE_WORKSPACE would overwrite each other's export. An
    OSError of the block is raised as LeadscoreError.
    """
    with lock_workspace(project.workspace_path):
        # Under the lock, or two first runs could both become the owner.
        _require_owner(project)
        try:
            yield project.workspace_path
        # Any library may meet a full disk, so the translation stands here and not at each write.
        except OSError as error:
            raise LeadscoreError(
                "a file could not be read or written",
                where=str(error.filename or project.workspace_path),
                found=error.strerror or str(error),
                fix="free disk space or fix the permissions, then run it again; "
                "published data is intact",
            ) from error


def open_store(project: Project, patience: float = RETRY_SECONDS) -> Store:
    """Open the scores table and the run ledger of a project.

    They lie in the workspace, or in the database that the config names. A database that does not
    answer is tried again for ``patience`` seconds.
    """
    return Store(project.publish.database or project.workspace_path / "scores.db", patience)


def find_published_run(store: Store, project: Project, as_of: datetime | None = None) -> Run:
    """Return the newest run that published, or that of an as-of; raise ConfigError if none did."""
    run = store.last_published_run(project.project, as_of)
    if run is None:
        raise ConfigError(
            "nothing was published",
            where=f"the ledger of {project.project}",
            found=f"as of {as_of.isoformat()}" if as_of else "no run",
            fix=f"run `leadscore score {project.path}` first",
        )
    return run


def find_registry(project: Project) -> Registry | None:
    """Return a project's registry if it may hold a model, else None; none is created."""
    path = project.workspace_path / "mlflow.db"
    # A tracking server may hold models although the workspace has no database. Opening a registry
    # would create one.
    may_exist = find_tracking_address() or path.exists()
    return Registry(project.workspace_path, project.project) if may_exist else None


def _require_owner(project: Project) -> None:
    """Make the project the owner of a new workspace; raise ConfigError for another's workspace."""
    path = project.workspace_path / OWNER_FILE
    if not path.exists():
        write_atomically(path, project.project)
    owner = path.read_text(encoding="utf-8")
    if owner != project.project:
        raise ConfigError(
            "the workspace belongs to another project",
            where=str(path),
            found=f"{owner!r}, not {project.project!r}",
            fix="give each project its own workspace, in its YAML or by LEADSCORE_WORKSPACE",
        )
