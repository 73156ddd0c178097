"""Where one project's state lives: one run at a time, and never two projects."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from configs.errors import ConfigError, LeadscoreError
from configs.schema import Project
from features.tools.atomic_file import write_whole
from models.registry.registry import Registry
from serve.lock import hold_workspace
from serve.run import Run
from serve.store.database import RETRY_SECONDS
from serve.store.store import Store

OWNER_FILE = "project.txt"


@contextmanager
def hold_workspace(project: Project) -> Iterator[Path]:
    """Hold a project's workspace and yield its directory.

    Raises WorkspaceBusy while another run holds it, ConfigError if it belongs to another project: one that shares
    LEADSCORE_WORKSPACE with it would take its export from the CRM. An OSError of the block is raised as LeadscoreError.
    """
    with hold_workspace(project.workspace_path):
        owner = project.workspace_path / OWNER_FILE
        if not owner.exists():
            write_whole(owner, project.project)
        found = owner.read_text(encoding="utf-8")
        if found != project.project:
            raise ConfigError(
                "the workspace belongs to another project",
                where=str(owner),
                found=f"{found!r}, not {project.project!r}",
                fix="give each project a workspace of its own, in its YAML or by LEADSCORE_WORKSPACE",
            )
        try:
            yield project.workspace_path
        except OSError as error:  # a full disk, for one, may show itself in any library
            raise LeadscoreError(
                "a file could not be read or written",
                where=str(error.filename or project.workspace_path),
                found=error.strerror or str(error),
                fix="make room or fix the permissions and run it again; what was published is whole",
            ) from error


def open_store(project: Project, patience: float = RETRY_SECONDS) -> Store:
    """Open the scores table and the run ledger of a project: in its workspace, or where the config says.

    A database that does not answer is asked again for ``patience`` seconds.
    """
    address = project.publish.database
    return Store(address.get_secret_value() if address else project.workspace_path / "scores.db", patience)


def find_published_run(store: Store, project: Project, as_of: datetime | None = None) -> Run:
    """Return the newest run that published, or that of an as-of; raise ConfigError where there is none."""
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
    """Return a project's registry if there may be a model in it; one that is not there is not made."""
    there = os.environ.get("MLFLOW_TRACKING_URI") or (project.workspace_path / "mlflow.db").exists()
    return Registry(project.workspace_path, project.project) if there else None
