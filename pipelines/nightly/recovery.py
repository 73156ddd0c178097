"""Recovery from killed runs, done by the next run that holds the workspace."""

from __future__ import annotations

from configs.errors import StateError
from pipelines.nightly.context import NightContext
from pipelines.nightly.crm_delivery import deliver_missing_exports
from pipelines.nightly.export import export_newest_scores
from pipelines.runner import read_clock
from serve.export.atomic_folders import read_current_run_id


def finish_killed_runs(context: NightContext) -> None:
    """Close the ledger rows of killed runs, and export and deliver scores that they published.

    The context holds the workspace: only then is a run that the ledger calls started surely dead.
    Where the config suppresses leads, nothing is exported or delivered here.
    """
    project, store = context.project, context.store
    store.abandon_started_runs(project.project, read_clock())
    if project.privacy.suppress or project.privacy.suppress_where:
        # Who objects by now is known only once the sources are read, so the run that follows
        # exports and delivers.
        return
    try:
        _finish_newest_night(context)
    except StateError as error:
        # The night that follows may be the one that is missing rows, scored again.
        context.runner.log(str(error))


def _finish_newest_night(context: NightContext) -> None:
    project, store = context.project, context.store
    newest = store.last_published_run(project.project)
    if newest and read_current_run_id(project.workspace_path / "exports") != newest.run_id:
        context.runner.log(
            f"writing the export of {newest.as_of.isoformat()}, published by a run that was "
            "killed before its export"
        )
        export_newest_scores(context, "csv")
    deliver_missing_exports(context)
