"""The CRM's file from the scores table: after a night, after one that died before it, and on request."""

from __future__ import annotations

from concurrent.futures import Future
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from configs.schema import Project
from pipelines.nightly.crm import catch_up
from pipelines.nightly.suppress import permitted, whole_accounts
from pipelines.runner import Driver, clock
from pipelines.workspace import published, store_of, workspace
from serve.export.atomic_folders import current_run
from serve.export.export import Staged, export, require_form
from serve.store.store import Run, Store


def deliver(
    store: Store, project: Project, form: str, written: Future[Staged] | None = None
) -> tuple[Path, datetime]:
    """Show the CRM's file for the newest published as-of; return the file and that as-of.

    It is written from the table, without whom the lists of today name, unless the run that published has ``written``
    it meanwhile: reading a million rows back takes longer than writing them.
    """
    newest = published(store, project)
    if written and (staged := written.result()).run_id == newest.run_id:
        return staged.show(), newest.as_of
    scores = permitted(project, store.scores(project.project, newest.as_of))
    return write_again(store, project, newest, form, scores), newest.as_of


def write_again(store: Store, project: Project, run: Run, form: str, scores: pa.Table) -> Path:
    """Write the CRM's file of a published as-of; accounts with somebody who is not in the scores are left out."""
    accounts = whole_accounts(store.accounts(project.project, run.as_of), scores)
    return export(scores, project.root, run, form, accounts)


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
    if newest and current_run(project.root / "exports") != newest.run_id:
        driver.note(
            f"writing the export of {newest.as_of.isoformat()}, which was published and not delivered"
        )
        deliver(store, project, "csv")
    catch_up(store, project, driver)


def export_again(project: Project, as_of: str | None, form: str) -> Path:
    """Write the CRM's file from the table, of the newest published as-of or of the one given.

    Raises ConfigError for an unknown form and where nothing was published.
    """
    require_form(form, project.publish.exports)
    with workspace(project):
        store = store_of(project)
        run = published(store, project, project.instant(as_of) if as_of else None)
        return write_again(
            store, project, run, form, permitted(project, store.scores(project.project, run.as_of))
        )
