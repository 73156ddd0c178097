"""The CRM's file, written from the scores table: after a run and on request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import pyarrow as pa

from configs.schema import Project
from pipelines.as_of import parse_as_of
from pipelines.nightly.context import NightContext
from pipelines.page.gather import make_page_builder
from pipelines.runner import read_clock
from pipelines.state.required import require_complete_night
from pipelines.workspace import find_published_run, open_store, open_workspace
from serve.export.export import StagedExport, require_export_format, write_export
from serve.export.night_files import NightFiles, read_table_problems
from serve.export.page_file import CurrentExport
from serve.export.suppress import drop_suppressed, drop_suppressed_rows, read_shown_accounts
from serve.run import Run
from serve.store.store import Store


def export_newest_scores(
    context: NightContext, form: str, staged: StagedExport | None = None
) -> tuple[CurrentExport, datetime]:
    """Make the newest published as-of the CRM's file; return the files and that as-of in UTC.

    A ``staged`` file of that run is moved into place: reading a million rows back takes longer
    than writing them. Otherwise the file is written from the table, without the leads that are
    suppressed now.
    """
    project, store = context.project, context.store
    newest = find_published_run(store, project)
    # Where a newer night was published before, the file stays that of the newer one.
    if staged and staged.run_id == newest.run_id:
        export = staged.make_current()
    else:
        require_complete_night(project, store)
        scores = drop_suppressed(project, store.scores(project.project, newest.as_of))
        tables = drop_suppressed_rows(project, store.night_tables(newest))
        export = write_export_from_store(store, project, newest, form, scores, tables)
    warn_about_page(export, project, context.runner.log)
    return export, newest.as_of


def write_export_from_store(
    store: Store,
    project: Project,
    run: Run,
    form: str,
    scores: pa.Table,
    tables: Mapping[str, pa.Table],
) -> CurrentExport:
    """Write the CRM's file, all others and the page of a published run.

    ``scores`` are its SCORES and ``tables`` its further tables, both without suppressed leads;
    accounts are those whose leads are all in the scores.
    """
    accounts = read_shown_accounts(project, store, run, scores)
    build_page = make_page_builder(project, store, run, scores, tables=tables, accounts=accounts)
    root = project.workspace_path
    extras = NightFiles(tables, read_table_problems(root, run.run_id))
    return write_export(scores, root, run, form, accounts, build_page, extras)


def warn_about_page(export: CurrentExport, project: Project, log: Callable[[str], None]) -> None:
    """Log why an export has no page, if it could not be built."""
    if export.page_problem:
        log(
            f"warn: the export is current, but without its page: {export.page_problem}; "
            f"`leadscore export {project.path}` writes both again"
        )


def covers_newest_run(scores: pa.Table | None, newest: Run, project: Project) -> bool:
    """Return whether the scores in hand are all scores of the newest as-of."""
    if scores is None or not scores.num_rows:
        return False
    # A target that the run left out keeps its latest scores, which only the table has.
    of_newest_run = scores["run_id"][0].as_py() == newest.run_id
    return of_newest_run and set(newest.models) == set(project.targets)


def export_from_store(
    project: Project, as_of: str | None, form: str, log: Callable[[str], None]
) -> CurrentExport:
    """Write the CRM's file from the table, for the given as-of or the newest published one.

    Raises ConfigError for an unknown format and where nothing was published, and WorkspaceBusy.
    """
    require_export_format(form, project.publish.exports)
    with open_workspace(project):
        store = open_store(project)
        require_complete_night(project, store)
        run = find_published_run(store, project, parse_as_of(project, as_of, read_clock()))
        scores = drop_suppressed(project, store.scores(project.project, run.as_of))
        tables = drop_suppressed_rows(project, store.night_tables(run))
        export = write_export_from_store(store, project, run, form, scores, tables)
    warn_about_page(export, project, log)
    return export
