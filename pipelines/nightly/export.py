"""The CRM's file from the scores table: after a night, after one that died before it, and on request."""

from __future__ import annotations

from concurrent.futures import Future
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from configs.schema import Project
from pipelines.nightly.crm_delivery import deliver_missing_exports
from pipelines.nightly.suppress import drop_suppressed, keep_complete_accounts
from pipelines.runner import Runner, read_clock
from pipelines.workspace import find_published_run, hold_workspace, open_store
from serve.export.atomic_folders import read_current_run_id
from serve.export.export import StagedExport, require_export_format, write_export
from serve.run import Run
from serve.store.store import Store


def export_newest_scores(
    store: Store, project: Project, form: str, staged: Future[StagedExport] | None = None
) -> tuple[Path, datetime]:
    """Show the CRM's file for the newest published as-of; return the file and that as-of.

    It is written from the table, without whom the lists of today name, unless the run that published has ``staged``
    it meanwhile: reading a million rows back takes longer than writing them.
    """
    newest = find_published_run(store, project)
    if staged and (staged := staged.result()).run_id == newest.run_id:
        return staged.show(), newest.as_of
    scores = drop_suppressed(project, store.scores(project.project, newest.as_of))
    return write_export_from_store(store, project, newest, form, scores), newest.as_of


def write_export_from_store(store: Store, project: Project, run: Run, form: str, scores: pa.Table) -> Path:
    """Write the CRM's file of a published as-of; accounts with somebody who is not in the scores are left out."""
    accounts = keep_complete_accounts(store.account_scores(project.project, run.as_of), scores)
    return write_export(scores, project.workspace_path, run, form, accounts)


def covers_newest_run(fresh: pa.Table | None, newest: Run, project: Project) -> bool:
    """Say whether the scores that a run has in hand are all there are of the newest as-of."""
    own = fresh is not None and fresh.num_rows > 0 and fresh["run_id"][0].as_py() == newest.run_id
    return own and set(newest.models) == set(project.targets)


def finish_killed_runs(store: Store, project: Project, driver: Runner) -> None:
    """Finish what a killed run left: its ledger rows, and the export of scores that it had published.

    Only under the workspace's lock is a run that is still called started surely dead. Where somebody may object,
    nothing that was left over is delivered before the next night is published.
    """
    store.abandon_started_runs(project.project, read_clock())
    if project.privacy.suppress or project.privacy.suppress_where:
        return  # who objects by now is only known once the sources are read: the night that follows delivers
    newest = store.last_published_run(project.project)
    if newest and read_current_run_id(project.workspace_path / "exports") != newest.run_id:
        driver.log(
            f"writing the export of {newest.as_of.isoformat()}, which was published and not delivered"
        )
        export_newest_scores(store, project, "csv")
    deliver_missing_exports(store, project, driver)


def export_from_store(project: Project, as_of: str | None, form: str) -> Path:
    """Write the CRM's file from the table, of the newest published as-of or of the one given.

    Raises ConfigError for an unknown form and where nothing was published.
    """
    require_export_format(form, project.publish.exports)
    with hold_workspace(project):
        store = open_store(project)
        run = find_published_run(store, project, project.parse_instant(as_of) if as_of else None)
        return write_export_from_store(
            store, project, run, form, drop_suppressed(project, store.scores(project.project, run.as_of))
        )
