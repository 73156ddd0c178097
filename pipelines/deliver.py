"""The CRM's file from the scores table: after a night, after one that died before it, and on request."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from configs.errors import ConfigError
from configs.schema import Project
from pipelines.crm import catch_up
from pipelines.driver import Driver, clock
from pipelines.workspace import store_of, workspace
from serve.export import WRITERS, export
from serve.store import Run, Store


def deliver(store: Store, project: Project, form: str, fresh: pa.Table | None = None) -> tuple[Path, datetime]:
    """Write the CRM's file for the newest published as-of; return the file and that as-of.

    The scores are read from the table, but for ``fresh`` ones that a run has just put there, all there are of the
    newest as-of: reading a million back takes longer than writing the file.
    """
    newest = store.last(project.project)
    if newest is None:
        raise ValueError("nothing was published")
    scores = fresh if whole(fresh, newest, project) else store.scores(project.project, newest.as_of)
    accounts = store.accounts(project.project, newest.as_of)
    return export(scores, project.root, newest, form, accounts), newest.as_of


def whole(fresh: pa.Table | None, newest: Run, project: Project) -> bool:
    """Say whether the scores that a run has in hand are all there are of the newest as-of."""
    own = fresh is not None and fresh.num_rows > 0 and fresh["run_id"][0].as_py() == newest.run_id
    return own and set(newest.models) == set(project.targets)


def tidy(store: Store, project: Project, driver: Driver) -> None:
    """Finish what a killed run left: its ledger rows, and the export of scores that it had published.

    Only under the workspace's lock is a run that is still called started surely dead. Where somebody may object,
    nothing that was left over is delivered before the next night is published.
    """
    store.abandon(project.project, clock())
    if project.privacy.suppress or project.privacy.suppress_where:
        return  # who objects by now is only known once the sources are read: the night that follows delivers
    newest = store.last(project.project)
    if newest and _exported_run(project.root) != newest.run_id:
        driver.note(f"writing the export of {newest.as_of.isoformat()}, which was published and not delivered")
        deliver(store, project, "csv")
    catch_up(store, project, driver)


def _exported_run(root: Path) -> str | None:
    try:
        manifest = json.loads((root / "exports" / "current" / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return manifest.get("run_id")


def export_again(project: Project, as_of: str | None, form: str) -> Path:
    """Write the CRM's file from the table, of the newest published as-of or of the one given.

    Raises ConfigError for an unknown form and where nothing was published.
    """
    if form not in WRITERS:
        mine = ", ".join(project.publish.exports)
        mend = f"use {', '.join(WRITERS)}" + (f", or of the config: {mine}" if mine else "")
        raise ConfigError("no such export format", where="--format", found=form, mend=mend)
    with workspace(project):
        store = store_of(project)
        wanted = project.instant(as_of) if as_of else None
        run = store.last(project.project, wanted)
        if run is None:
            raise ConfigError(
                "nothing was published",
                where=f"the ledger of {project.project}",
                found=f"as of {wanted.isoformat()}" if wanted else "no run",
                mend=f"run `leadscore score {project.path}` first",
            )
        accounts = store.accounts(project.project, run.as_of)
        return export(store.scores(project.project, run.as_of), project.root, run, form, accounts)
