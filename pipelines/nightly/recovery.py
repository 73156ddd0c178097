"""Recovery from killed runs, done by the next run that holds the workspace."""

from __future__ import annotations

from configs.schema import Project
from pipelines.nightly.crm_delivery import deliver_missing_exports
from pipelines.nightly.export import export_newest_scores
from pipelines.runner import Runner, read_clock
from serve.export.atomic_folders import read_current_run_id
from serve.store.store import Store


def finish_killed_runs(store: Store, project: Project, runner: Runner) -> None:
    """Close the ledger rows of killed runs, and export and deliver scores that they published.

    Call it under the workspace's lock: only then is a run that the ledger calls started surely
    dead. Where the config suppresses leads, nothing is exported or delivered here.
    """
    store.abandon_started_runs(project.project, read_clock())
    if project.privacy.suppress or project.privacy.suppress_where:
        # Who objects by now is known only once the sources are read, so the run that follows
        # exports and delivers.
        return
    newest = store.last_published_run(project.project)
    if newest and read_current_run_id(project.workspace_path / "exports") != newest.run_id:
        runner.log(
            f"writing the export of {newest.as_of.isoformat()}, published by a run that was "
            "killed before its export"
        )
        export_newest_scores(store, project, "csv")
    deliver_missing_exports(store, project, runner)
