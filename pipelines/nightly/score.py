"""The wiring of a night: data → champion → scores → checks → table → export, all targets in one transaction."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from configs.durations import format_duration
from configs.errors import ConfigError, NotFitToPublish
from configs.schema import Project
from features.contracts import Dataset
from features.score_tables import ACCOUNT_SCORES, SCORES
from features.tools.parallel import meanwhile
from features.wording.wording import wording_of
from models.accounts import WithinAccountDependence
from models.grades import GradeHysteresis
from models.registry import champion_cache
from models.registry.registry import RegisteredVersion, Registry
from models.scorer import Scorer
from pipelines.nightly.crm_delivery import deliver_exports, make_delivery_error, plan_exports
from pipelines.nightly.export import covers_newest_run, export_newest_scores, finish_killed_runs
from pipelines.nightly.publish_checks import (
    check_data,
    check_scores,
    load_champion_scorers,
    warn_registry_unreachable,
)
from pipelines.results.night import NightResult, PublishedScores
from pipelines.runner import Runner, read_clock
from pipelines.training_data import Snapshot, load_snapshot
from pipelines.version import find_code_version
from pipelines.workspace import hold_workspace, open_store
from serve.checks.checks import CheckResult, build_check_table, raise_on_stop, select_alerts
from serve.checks.score_checks import check_any_scored
from serve.crm.delivery import DeliveryResult
from serve.export.export import StagedExport, require_export_format, stage_export
from serve.run import Run
from serve.scoring.accounts import score_accounts
from serve.scoring.review_dates import add_review_dates
from serve.scoring.scoring import (
    ScoringRequest,
    build_scoring_matrix,
    explain_rows,
    score_matrix,
    stamp_run_columns,
)
from serve.scoring.trends import ScoreHistory, add_score_history, append_columns
from serve.scoring.weekly_lists import Week, add_weekly_list, make_draw_seed
from serve.store.store import Store

MAX_AHEAD = timedelta(days=1)
"""How far a night may lie before the machine's clock: without an as-of it is the midnight after the last row."""


def score_night(
    project: Project, as_of: str | None, driver: Runner, form: str = "csv"
) -> NightResult:
    """Score every target that has a champion, publish and export; return what was published.

    The same as-of again replaces its rows by the same rows. An as-of older than the newest published one goes into
    the table, but the CRM's file stays the newest. Raises NotFitToPublish where no target has a champion or a check
    refuses, and what reading raises; the ledger then says refused or failed, and nothing is published. Without an
    as-of the data must be read to know it, so an attempt that cannot read them has no ledger row.
    """
    require_export_format(form)  # known before anything is published
    plan_exports(project)
    moment = project.parse_instant(as_of) if as_of else None
    if not project.timed and moment is None:
        raise ConfigError(
            "this data has no times", where="--as-of", fix="say as of when these scores are"
        )
    with open_night_context(project, driver) as desk, meanwhile(load_snapshot, project, as_of) as reading:
        driver.log("reading the sources")
        champions, silent = champion_cache.read_champions(desk.registry, list(project.targets))
        moment = moment or reading.result().as_of
        known = [warn_registry_unreachable(silent)] if silent else []
        published = publish_night(
            desk, moment, champions, lambda: driver.step(sources)(reading), known, form
        )
        path, exported = driver.step(export_newest_scores)(
            desk.store, project, form, published.staged_export
        )
        handed = deliver_all_exports(desk, published.scores)
        remove_old_scores(desk, published.as_of)
        return NightResult(
            **vars(published), export=path, exported_as_of=exported, deliveries=handed
        )


def sources(reading: Future[Snapshot]) -> Snapshot:
    """Wait for what is being read since the night began: asking the registry first takes seconds."""
    return reading.result()


@dataclass(frozen=True)
class NightContext:
    """What a run that publishes has before it, under the workspace's lock."""

    project: Project
    store: Store
    registry: Registry
    driver: Runner


@contextmanager
def open_night_context(project: Project, driver: Runner) -> Iterator[NightContext]:
    """Hold the workspace, open its tables and models, and finish what a killed run left."""
    wording_of(project)  # words that do not fit the language are known before anything is read
    with hold_workspace(project), open_store(project).hold(project.project) as store:
        finish_killed_runs(store, project, driver)
        yield NightContext(project, store, Registry(project.workspace_path, project.project), driver)


def publish_night(
    desk: NightContext,
    as_of: datetime,
    champions: dict[str, RegisteredVersion | None],
    read: Callable[[], Snapshot],
    known: Sequence[CheckResult] = (),
    form: str | None = None,
) -> PublishedScores:
    """Score and publish one as-of with these champions, None for a target that has none; ``read`` gives the data.

    ``known`` is what was found before. With a ``form`` the CRM's file is written while the table is, if it will be the
    newest and has all targets.
    """
    project, driver, store = desk.project, desk.driver, desk.store
    _require_as_of_reached(as_of)
    run = _create_run(project, as_of, champions, driver)
    with _record_attempt(store, run) as checks:
        _require_champion(project, champions)
        scorers, found = load_champion_scorers(champions, desk.registry)
        _record_and_enforce(checks, [*known, *found], driver)
        now = read()
        if now.dataset.suppressed.listed_counts:
            driver.log(now.dataset.suppressed.describe())
        former = store.past_checks(project.project, now.as_of, project.checks.nights)
        _record_and_enforce(checks, driver.step(check_data)(now, scorers, former), driver)
        versions = {target: version for target, version in champions.items() if version}
        scored = driver.step(score_targets)(now, versions, scorers, store, former, run.run_id, driver)
        _record_and_enforce(checks, scored.found, driver)
        scores = scored.scores
        driver.log(
            f"publishing {scores.num_rows:,} rows and {scored.accounts.num_rows:,} of accounts"
        )
        run = replace(run, data_fingerprint=now.dataset.fingerprint)
        with _stage_export(desk, run, scored, form) as written:
            driver.step(publish)(store, scored, run, now.dataset, checks)
    rows = {
        target: pc.sum(pc.equal(scores["target"], target), min_count=0).as_py()
        for target in versions
    }
    return PublishedScores(
        run_id=run.run_id,
        as_of=run.as_of,
        rows=rows,
        scores=scores,
        staged_export=written,
        accounts=scored.accounts.num_rows,
        checks=tuple(select_alerts(checks)),
        suppressed=now.dataset.suppressed,
    )


@contextmanager
def _stage_export(
    desk: NightContext, run: Run, scored: ScoredTargets, form: str | None
) -> Iterator[Future[StagedExport] | None]:
    """Write the CRM's file of a run beside what else is done, to be shown once the run is published.

    Where it cannot be written the scores are published all the same: whoever wants the file meets the failure.
    """
    if form is None or set(run.models) != set(desk.project.targets):
        yield None
        return
    newest = desk.store.last_published_run(run.project)
    if newest is not None and newest.as_of > run.as_of:
        yield None
        return
    with meanwhile(
        stage_export, scored.scores, desk.project.workspace_path, run, form, scored.accounts
    ) as written:
        yield written


def deliver_all_exports(desk: NightContext, scores: pa.Table | None = None) -> tuple[DeliveryResult, ...]:
    """Deliver the newest scores to every configured CRM, from those in hand where they are all there are.

    Raises LeadscoreError, after all were tried, if one failed: the scores are published all the same.
    """
    project, newest = desk.project, desk.store.last_published_run(desk.project.project)
    fresh = scores if newest and covers_newest_run(scores, newest, project) else None
    done, failed = desk.driver.step(deliver_exports)(desk.store, project, desk.driver, fresh)
    if failed:
        raise make_delivery_error(failed, project)
    return tuple(done)


def remove_old_scores(desk: NightContext, as_of: datetime) -> None:
    """Remove the scores that lie further behind a night than the config keeps."""
    keep = desk.project.publish.keep
    if keep is not None and (
        removed := desk.store.delete_scores_before(desk.project.project, as_of - keep)
    ):
        desk.driver.log(
            f"removed {removed:,} nights (one a target) that are older than {format_duration(keep)}"
        )


@dataclass(frozen=True)
class ScoredTargets:
    """What a night is about to publish: SCORES of all targets, ACCOUNT_SCORES, and what the checks found of them."""

    scores: pa.Table
    accounts: pa.Table
    found: list[CheckResult]


def score_targets(
    now: Snapshot,
    champions: dict[str, RegisteredVersion],
    scorers: dict[str, Scorer],
    store: Store,
    former: pa.Table,
    run_id: str,
    driver: Runner,
) -> ScoredTargets:
    """Score all targets of one as-of, and look at the scores beside the last nights' checks."""
    project, frames, accounts, found = (
        now.project,
        dict[str, pa.Table](),
        list[pa.Table](),
        list[CheckResult](),
    )
    wording = wording_of(project)
    for target, version in sorted(champions.items()):
        driver.log(f"{target}: scoring with version {version.number}")
        names = {"project": project.project, "target": target, "model_version": str(version.number)}
        scorer = scorers[target]
        learnt = project.parse_instant(scorer.metadata.trained_as_of)
        if learnt > now.as_of:
            driver.log(
                f"{target}: the model learnt as of {learnt.isoformat()}: this is a rehearsal, not a forecast"
            )
        order = ScoringRequest(
            project.target_config(target),
            now.as_of,
            names,
            project.publish.reasons,
            project.capacity_config,
            wording,
        )
        matrix = build_scoring_matrix(now.dataset, scorer, order)
        frame = score_matrix(now.dataset, scorer, order, matrix)
        with meanwhile(explain_rows, scorer, order, matrix, frame) as words:
            if project.publish.accounts:
                accounts.append(
                    score_accounts(
                        now.dataset,
                        frame,
                        WithinAccountDependence.from_json(scorer.metadata.within_account),
                    )
                )
            frame = add_history_columns(now, target, frame, store)
            found += check_scores(now, target, scorer, matrix, frame, former)
        frames[target] = append_columns(frame, words.result())
    scored_at = read_clock()
    scores = [stamp_run_columns(frame, SCORES, run_id, scored_at) for frame in frames.values()]
    owned = [stamp_run_columns(rows, ACCOUNT_SCORES, run_id, scored_at) for rows in accounts]
    together = pa.concat_tables([ACCOUNT_SCORES.empty_table(), *owned])
    return ScoredTargets(pa.concat_tables(scores), together, [*check_any_scored(frames), *found])


def add_history_columns(now: Snapshot, target: str, frame: pa.Table, store: Store) -> pa.Table:
    """Add to a target's scores what follows from the nights before, the week's list, and when to look again."""
    project, publish = now.project, now.project.publish
    past = ScoreHistory.load(store, project.project, target, now.as_of)
    frame = add_score_history(
        frame, past, now.as_of, GradeHysteresis(publish.steady, publish.settle)
    )
    week = Week.containing(now.as_of, project.zone)
    given = store.listed_leads(project.project, target, week.start, now.as_of)
    frame = add_weekly_list(
        frame, given, project.capacity_config, make_draw_seed(project.project, target, week)
    )
    return add_review_dates(frame, past.previous, now.as_of, publish.review, project.zone)


def publish(
    store: Store, scored: ScoredTargets, run: Run, dataset: Dataset, checks: list[CheckResult]
) -> None:
    """Put the scores, the run's checks and whom it left out into their tables in one transaction."""
    told, suppressed = (
        build_check_table(checks, run.run_id, run.project, run.as_of),
        dataset.suppressed.rows,
    )
    store.publish(
        scored.scores,
        run.run_id,
        read_clock(),
        run.data_fingerprint,
        told,
        suppressed,
        scored.accounts,
    )


def _record_and_enforce(checks: list[CheckResult], found: list[CheckResult], driver: Runner) -> None:
    """Add what was found to the run's checks, say what is wrong, and refuse to go on where a check stops."""
    checks += found
    for one in select_alerts(found):
        driver.log(str(one))
    raise_on_stop(found)


def _require_as_of_reached(as_of: datetime) -> None:
    """Raise ConfigError for a night that is to come: until it has come, none before it would reach the CRM."""
    now = read_clock()
    if as_of > now + MAX_AHEAD:
        raise ConfigError(
            "this night is yet to come",
            where=f"--as-of {as_of.isoformat()}",
            found=f"the machine's clock shows {now.isoformat(timespec='seconds')}",
            fix="take an as-of of at most a day ahead, or set the clock",
        )


def _require_champion(project: Project, champions: dict[str, RegisteredVersion | None]) -> None:
    if not any(champions.values()):
        raise NotFitToPublish(
            "no target has a champion",
            where=f"{project.path}: targets",
            found=f"0 of {len(project.targets)} ({', '.join(project.targets)})",
            fix=f"run `leadscore train {project.path}` first, and if its gate refuses, read why: its report says it; "
            "a past night needs a model that was trained as of a day before it",
        )


def _create_run(
    project: Project,
    as_of: datetime,
    champions: dict[str, RegisteredVersion | None],
    driver: Runner,
) -> Run:
    models = {target: str(version.number) for target, version in champions.items() if version}
    return Run(
        run_id=uuid.uuid4().hex,
        project=project.project,
        as_of=as_of,
        models=models or dict.fromkeys(project.targets),
        code_version=find_code_version(),
        config_hash=project.config_hash,
        started_at=read_clock(),
        driver=driver.name,
        flow_run_id=driver.flow_run_id,
    )


@contextmanager
def _record_attempt(store: Store, run: Run) -> Iterator[list[CheckResult]]:
    """Write the attempt into the ledger when it begins, and how it ended if it does not publish; yield its checks."""
    store.start(run)
    checks = list[CheckResult]()
    try:
        yield checks
    except NotFitToPublish as refusal:
        told = build_check_table(checks, run.run_id, run.project, run.as_of)
        store.finish(run.run_id, "refused", str(refusal), read_clock(), told)
        raise
    except (
        BaseException
    ) as error:  # whatever ends the attempt, the ledger says so; it goes on unchanged
        stopped = isinstance(error, KeyboardInterrupt | SystemExit)
        message = "stopped by a signal" if stopped else str(error) or type(error).__name__
        store.finish(run.run_id, "failed", message, read_clock())
        raise
