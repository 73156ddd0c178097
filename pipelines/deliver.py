"""The CRM's file from the scores table: after a night, after one that died before it, and on request."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from configs.errors import ConfigError
from configs.schema import Project
from pipelines.driver import Driver, clock
from pipelines.workspace import store_of, workspace
from serve.export import export
from serve.store import Store


def deliver(store: Store, project: Project, form: str) -> tuple[Path, datetime]:
    """Write the CRM's file from the table, for the newest published as-of; return the file and that as-of."""
    newest = store.last(project.project)
    if newest is None:
        raise ValueError("nothing was published")
    return export(store.scores(project.project, newest.as_of), project.root, newest, form), newest.as_of


def tidy(store: Store, project: Project, driver: Driver) -> None:
    """Finish what a killed run left: its ledger rows, and the export of scores that it had published.

    Only under the workspace's lock is a run that is still called started surely dead.
    """
    store.abandon(project.project, clock())
    newest = store.last(project.project)
    if newest and _exported_run(project.root) != newest.run_id:
        driver.note(f"writing the export of {newest.as_of.isoformat()}, which was published and not delivered")
        deliver(store, project, "csv")


def _exported_run(root: Path) -> str | None:
    try:
        manifest = json.loads((root / "exports" / "current" / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return manifest.get("run_id")


def export_again(project: Project, as_of: str | None, form: str) -> Path:
    """Write the CRM's file from the table, of the newest published as-of or of the one given.

    Raises ConfigError where nothing was published.
    """
    with workspace(project):
        store = store_of(project)
        wanted = project.instant(as_of) if as_of else None
        run = store.last(project.project, wanted)
        if run is None:
            raise ConfigError(
                "nothing was published",
                where=str(project.root / "scores.db"),
                found=f"as of {wanted.isoformat()}" if wanted else "no run",
                mend=f"run `leadscore score {project.path}` first",
            )
        return export(store.scores(project.project, run.as_of), project.root, run, form)
