"""Publish one as-of: load models and data, score, check, and write all targets or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import NotFitToPublish
from configs.schema import Project
from features.contracts import Dataset
from features.tools.parallel import run_in_background
from models.registry.records import RegisteredVersion
from models.scorer import Scorer
from pipelines.buying_group.roles import list_role_tables
from pipelines.nightly.attempt import create_run, record_and_enforce, record_attempt
from pipelines.nightly.context import NightContext
from pipelines.nightly.publish_checks import check_data, load_champion_scorers
from pipelines.nightly.score import ScoredTargets, score_targets
from pipelines.page.gather import make_page_builder
from pipelines.results.night import PublishedScores
from pipelines.runner import read_clock
from pipelines.training_data import Snapshot
from serve.checks.checks import CheckResult, build_check_table, select_alerts
from serve.export.export import StagedExport, stage_export
from serve.export.night_files import NightFiles
from serve.export.page_file import PageBuilder
from serve.night_tables import stamp_night_tables
from serve.run import Run
from serve.store.store import Store


def publish_night(
    context: NightContext,
    as_of: datetime,
    champions: Mapping[str, RegisteredVersion | None],
    reading: Future[Snapshot],
    checks: Sequence[CheckResult] = (),
    form: str | None = None,
) -> PublishedScores:
    """Score and publish one as-of with these champions; a target without one is left out.

    ``reading`` is the data, being read in the background. ``checks`` are results known before.
    With a ``form`` the CRM's file is written while the table is, if the run has all targets and
    is the newest. Raises NotFitToPublish where no target has a champion or a check stops, and
    what reading and the store raise; the ledger then says refused or failed.
    """
    # The attempt enters the ledger before anything that may fail, so each failure is recorded.
    run = create_run(context, as_of, champions)
    with record_attempt(context.store, run) as recorded:
        snapshot, scored = prepare_scores(context, run, champions, reading, checks, recorded)
        context.runner.log(
            f"publishing {scored.scores.num_rows:,} rows and {scored.accounts.num_rows:,} account "
            "rows"
        )
        run = replace(run, data_fingerprint=snapshot.dataset.fingerprint)
        # Only the newest run with all targets becomes the CRM's file, so only it is worth staging.
        staged_form = form if is_newest_and_complete(context, run) else None
        root, checks_of_run = context.project.workspace_path, describe_checks(recorded, run)
        extras = collect_night_files(scored, run)
        build_page = _make_night_page_builder(context, run, scored, checks_of_run, snapshot, extras)
        # Writing the files takes seconds, so it runs while the table is written. Nothing points to
        # them until the scores are committed.
        with run_in_background(
            stage_newest_export, scored, root, run, staged_form, extras, build_page
        ) as staged:
            context.runner.run(
                publish_scores,
                context.store,
                scored,
                run,
                snapshot.dataset,
                checks_of_run,
                extras.tables,
            )
    return _summarize_publication(run, scored, extras, staged, recorded, snapshot)


def _make_night_page_builder(
    context: NightContext,
    run: Run,
    scored: ScoredTargets,
    checks: pa.Table,
    snapshot: Snapshot,
    extras: NightFiles,
) -> PageBuilder | None:
    """Return the builder of a run's page from what the run has in hand."""
    return make_page_builder(
        context.project,
        context.store,
        run,
        scored.scores,
        checks=checks,
        dataset=snapshot.dataset,
        registry=context.registry,
        tables=extras.tables,
        accounts=scored.accounts,
    )


def prepare_scores(
    context: NightContext,
    run: Run,
    champions: Mapping[str, RegisteredVersion | None],
    reading: Future[Snapshot],
    checks: Sequence[CheckResult],
    recorded: list[CheckResult],
) -> tuple[Snapshot, ScoredTargets]:
    """Return the data and the scores of a run; nothing is published.

    The results of all checks are added to ``recorded``. Raises as ``publish_night``.
    """
    # Before the advice to train first: a lost champion is restored, not replaced.
    record_and_enforce(recorded, checks, context.runner)
    require_champion(context.project, champions)
    scorers, model_checks = load_champion_scorers(champions, context.registry)
    # Enforced before the wait for the data: a broken model stops the run in any case.
    record_and_enforce(recorded, model_checks, context.runner)
    snapshot = context.runner.run(wait_for_snapshot, reading)
    return snapshot, _score_and_check(context, snapshot, run, scorers, recorded)


def wait_for_snapshot(reading: Future[Snapshot]) -> Snapshot:
    """Return the data once they are read; raise what reading raises."""
    return reading.result()


def stage_newest_export(
    scored: ScoredTargets,
    root: Path,
    run: Run,
    form: str | None,
    extras: NightFiles,
    build_page: PageBuilder | None = None,
) -> StagedExport | None:
    """Write the CRM's file of a run and its page next to the current ones; None without a form."""
    if form is None:
        return None
    return stage_export(scored.scores, root, run, form, scored.accounts, build_page, extras)


def describe_checks(checks: Sequence[CheckResult], run: Run) -> pa.Table:
    """Return the results of a run's checks as SCORE_CHECKS."""
    return build_check_table(checks, run.run_id, run.project, run.as_of)


def publish_scores(
    store: Store,
    scored: ScoredTargets,
    run: Run,
    dataset: Dataset,
    checks: pa.Table,
    tables: Mapping[str, pa.Table],
) -> None:
    """Write the scores, all other tables of the night and its checks in one transaction."""
    store.publish(
        scored.scores,
        run.run_id,
        read_clock(),
        run.data_fingerprint,
        checks,
        dataset.suppressed.rows,
        scored.accounts,
        tables,
    )


def collect_night_files(scored: ScoredTargets, run: Run) -> NightFiles:
    """Return the tables of a night other than scores, and why some are missing."""
    funnel, forecast, fit = scored.funnel, scored.forecast, scored.fit
    customers, visitors, channels = scored.customers, scored.visitors, scored.channels
    computed = funnel.result.tables.by_name() if funnel.result else {}
    computed |= forecast.result.list_night_tables() if forecast.result else {}
    computed |= fit.result.tables.by_name() if fit.result else {}
    computed |= customers.result.tables.by_name() if customers.result else {}
    computed |= {} if visitors.result is None else {"web_funnel": visitors.result}
    computed |= channels.result.tables.by_name() if channels.result else {}
    computed |= scored.touches.result.tables.by_name() if scored.touches.result else {}
    computed |= scored.uplift.result.tables.by_name() if scored.uplift.result else {}
    computed |= scored.qualification.result or {}
    computed |= list_role_tables(scored.roles.result)
    problems = {
        "funnel": funnel.problem,
        "forecast": forecast.problem,
        "fit": fit.problem,
        "customers": customers.problem,
        "visitors": visitors.problem,
        "channels": channels.problem,
        "touches": scored.touches.problem,
        "uplift": scored.uplift.problem,
        "qualification": scored.qualification.problem,
        "buying_group": scored.roles.problem,
    }
    return NightFiles(
        stamp_night_tables(computed, run),
        {group: problem for group, problem in problems.items() if problem},
    )


def _score_and_check(
    context: NightContext,
    snapshot: Snapshot,
    run: Run,
    scorers: Mapping[str, Scorer],
    recorded: list[CheckResult],
) -> ScoredTargets:
    """Return the scores of all targets; raise NotFitToPublish where the data or they do not fit."""
    project, runner = context.project, context.runner
    if snapshot.dataset.suppressed.listed_counts:
        runner.log(snapshot.dataset.suppressed.describe())
    past_checks = context.store.past_checks(project.project, snapshot.as_of, project.checks.nights)
    # Data comes first: nothing is scored on data that a check stops.
    record_and_enforce(recorded, runner.run(check_data, snapshot, scorers, past_checks), runner)
    scored = runner.run(
        score_targets, snapshot, run, scorers, context.store, past_checks, runner.log
    )
    record_and_enforce(recorded, scored.checks, runner)
    return scored


def is_newest_and_complete(context: NightContext, run: Run) -> bool:
    """Return whether a run is the newest and has all targets, so that its file becomes current."""
    newest = context.store.last_published_run(run.project)
    complete = set(run.models) == set(context.project.targets)
    # Equal as-ofs count as newest: a repeated night replaces its own file.
    return complete and (newest is None or newest.as_of <= run.as_of)


def require_champion(project: Project, champions: Mapping[str, RegisteredVersion | None]) -> None:
    """Raise NotFitToPublish where no target has a champion."""
    if not any(champions.values()):
        raise NotFitToPublish(
            "no target has a champion",
            where=f"{project.path}: targets",
            found=f"0 of {len(project.targets)} ({', '.join(project.targets)})",
            fix=f"run `leadscore train {project.path}` first; if its gate refuses, its report says "
            "why; a past as-of needs a model that was trained as of an earlier day",
        )


def _summarize_publication(
    run: Run,
    scored: ScoredTargets,
    extras: NightFiles,
    staged: Future[StagedExport | None],
    checks: Sequence[CheckResult],
    snapshot: Snapshot,
) -> PublishedScores:
    return PublishedScores(
        run_id=run.run_id,
        as_of=run.as_of,
        rows=count_rows(scored.scores, run),
        scores=scored.scores,
        staged_export=staged,
        accounts=scored.accounts.num_rows,
        tables={name: table.num_rows for name, table in extras.tables.items()},
        table_problems=extras.problems,
        checks=tuple(select_alerts(checks)),
        suppressed=snapshot.dataset.suppressed,
    )


def count_rows(scores: pa.Table, run: Run) -> dict[str, int]:
    """Return the rows of each target that a run scores."""
    return {
        # Without a minimum count the sum is 0, not null, where no lead was scored.
        target: pc.sum(pc.equal(scores["target"], target), min_count=0).as_py()
        for target, version in run.models.items()
        if version
    }
