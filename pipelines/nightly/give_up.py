"""A missing night that a person gives up: the ledger keeps it, and nobody is warned any more."""

from __future__ import annotations

import uuid
from datetime import datetime

from configs.errors import ConfigError
from configs.schema import Project
from pipelines.as_of import require_as_of_reached
from pipelines.runner import read_clock
from pipelines.version import find_code_version
from pipelines.workspace import find_published_run, open_store
from serve.run import Run
from serve.store.store import Store


def give_up_night(project: Project, text: str) -> datetime:
    """Record in the ledger that an as-of will not be published; return it in UTC.

    Raises ConfigError for a text that is no as-of, an as-of in the future, one that was published,
    and one before the first published: no warning names it.
    """
    as_of, clock = project.parse_instant(text), read_clock()
    require_as_of_reached(project, as_of, clock)
    store = _open_existing_store(project)
    # Without a published night none is missing.
    find_published_run(store, project)
    published = [
        row["as_of"]
        for row in store.runs(project.project).to_pylist()
        if row["status"] == "published"
    ]
    if as_of in published or as_of < min(published):
        raise ConfigError(
            "this night is not missing",
            where=f"--give-up {text}",
            found="it was published"
            if as_of in published
            else "it is earlier than the first published night",
            fix=f"`leadscore deploy {project.path} --status` names the missing nights",
        )
    # No lock: it changes nothing of a run that may be under way.
    store.give_up(
        Run(
            run_id=uuid.uuid4().hex,
            project=project.project,
            as_of=as_of,
            models=dict.fromkeys(project.targets),
            code_version=find_code_version(),
            config_hash=project.config_hash,
            started_at=clock,
        )
    )
    return as_of


def _open_existing_store(project: Project) -> Store:
    """Return the store; raise ConfigError where opening it would create a workspace."""
    if project.publish.database is None and not (project.workspace_path / "scores.db").exists():
        raise ConfigError(
            "nothing was published",
            where=str(project.workspace_path),
            found="no scores database",
            fix=f"run `leadscore score {project.path}` first",
        )
    return open_store(project)
