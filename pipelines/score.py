"""The wiring of a night: data → champion → scores → checks → table → export, all targets in one transaction."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import ConfigError, NotFitToPublish
from configs.schema import Project
from models.registry import Registry, Version
from models.scorer import Scorer
from pipelines.driver import Driver, clock
from pipelines.fitness import check_data, check_scores, load_champions
from pipelines.rows import Snapshot, snapshot
from pipelines.version import code_version
from pipelines.workspace import store_of, workspace
from serve.checks import Check, check_table, loud, refuse
from serve.export import WRITERS, export
from serve.score_checks import check_some
from serve.scoring import Order, rows_to_score, score, stamped, with_history
from serve.store import Run, Store


@dataclass(frozen=True)
class Night:
    """One published as-of: its ledger id, rows by target, the export, which holds the newest as-of, and what warned."""

    run_id: str
    as_of: datetime
    rows: dict[str, int]
    export: Path
    exported: datetime
    scores: pa.Table
    checks: tuple[Check, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        head = {"run_id": self.run_id, "status": "published", "as_of": self.as_of.isoformat()}
        body = {"rows": sum(self.rows.values()), "targets": self.rows, "export": str(self.export)}
        return {**head, **body, "checks": [one.to_json() for one in self.checks]}


def score_night(project: Project, as_of: str | None, driver: Driver, form: str = "csv") -> Night:
    """Score every target that has a champion, publish and export; return what was published.

    The same as-of again replaces its rows by the same rows. An as-of older than the newest published one goes into
    the table, but the CRM's file stays the newest. Raises NotFitToPublish where no target has a champion or a check
    refuses, and what reading raises; the ledger then says refused or failed, and nothing is published. Without an
    as-of the data must be read to know it, so an attempt that cannot read them has no ledger row.
    """
    if form not in WRITERS:  # known before anything is published
        raise ConfigError("no such export format", where="--format", found=form, mend=f"use {', '.join(WRITERS)}")
    moment = project.instant(as_of) if as_of else None
    if not project.timed and moment is None:
        raise ConfigError("this data has no times", where="--as-of", mend="say as of when these scores are")
    with workspace(project):
        store = store_of(project)
        _tidy(store, project, driver)
        registry = Registry(project.root, project.project)
        champions = _champions(registry, project)
        driver.note("reading the sources")
        early = None
        if moment is None:
            early = driver.step(snapshot)(project, None)
            moment = early.as_of
        run = _run(project, moment, champions, driver)
        with _attempt(store, run) as checks:
            _require_champion(project, champions)
            scorers, found = load_champions({target: champions.get(target) for target in project.targets}, registry)
            _heed(checks, found, driver)
            now = early or driver.step(snapshot)(project, as_of)
            _heed(checks, driver.step(check_data)(now, scorers, store), driver)
            scores, found = driver.step(score_all)(now, champions, scorers, store, run.run_id, driver)
            _heed(checks, found, driver)
            driver.note(f"publishing {scores.num_rows:,} rows")
            driver.step(publish)(store, scores, run, now.dataset.fingerprint, checks)
        path, exported = driver.step(deliver)(store, project, form)
        rows = {target: scores.filter(pc.field("target") == target).num_rows for target in champions}
        return Night(run.run_id, run.as_of, rows, path, exported, scores, tuple(loud(checks)))


def score_all(
    now: Snapshot,
    champions: dict[str, Version],
    scorers: dict[str, Scorer],
    store: Store,
    run_id: str,
    driver: Driver,
) -> tuple[pa.Table, list[Check]]:
    """Return the SCORES of all targets of one as-of, and what was found of them."""
    project, frames, found = now.project, dict[str, pa.Table](), list[Check]()
    for target, version in champions.items():
        driver.note(f"{target}: scoring with version {version.number}")
        names = {"project": project.project, "target": target, "model_version": str(version.number)}
        scorer = scorers[target]
        learnt = project.instant(scorer.meta["trained_as_of"])
        if learnt > now.as_of:
            driver.note(f"{target}: the model learnt as of {learnt.isoformat()}: this is a rehearsal, not a forecast")
        order = Order(project.target(target), now.as_of, names, project.publish.reasons)
        matrix = rows_to_score(now.dataset, scorer, order)
        frame = score(now.dataset, scorer, order, matrix)
        frames[target] = with_history(frame, store.previous(project.project, target, now.as_of))
        found += check_scores(now, target, scorer, matrix, frames[target], store)
    scored_at = clock()
    scores = pa.concat_tables([stamped(frame, run_id, scored_at) for frame in frames.values()])
    return scores, [*check_some(frames), *found]


def publish(store: Store, scores: pa.Table, run: Run, fingerprint: str, checks: list[Check]) -> None:
    """Put the scores and the run's checks into their tables in one transaction."""
    told = check_table(checks, run.run_id, run.project, run.as_of)
    store.publish(scores, run.run_id, clock(), fingerprint, told)


def _heed(checks: list[Check], found: list[Check], driver: Driver) -> None:
    """Add what was found to the run's checks, say what is wrong, and refuse to go on where a check stops."""
    checks += found
    for one in loud(found):
        driver.note(str(one))
    refuse(found)


def deliver(store: Store, project: Project, form: str) -> tuple[Path, datetime]:
    """Write the CRM's file from the table, for the newest published as-of; return the file and that as-of."""
    newest = store.last(project.project)
    if newest is None:
        raise ValueError("nothing was published")
    return export(store.scores(project.project, newest.as_of), project.root, newest, form), newest.as_of


def _tidy(store: Store, project: Project, driver: Driver) -> None:
    """Finish what a killed run left: its ledger rows, and the export of scores that it had published."""
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


def _champions(registry: Registry, project: Project) -> dict[str, Version]:
    found = {target: registry.champion(target) for target in project.targets}
    return {target: version for target, version in found.items() if version}


def _require_champion(project: Project, champions: dict[str, Version]) -> None:
    if not champions:
        raise NotFitToPublish(
            "no target has a champion",
            where=f"{project.path}: targets",
            found=f"0 of {len(project.targets)} ({', '.join(project.targets)})",
            mend=f"run `leadscore train {project.path}` first",
        )


def _run(project: Project, as_of: datetime, champions: dict[str, Version], driver: Driver) -> Run:
    return Run(
        run_id=uuid.uuid4().hex,
        project=project.project,
        as_of=as_of,
        models={target: str(version.number) for target, version in champions.items()} or dict.fromkeys(project.targets),
        code_version=code_version(),
        config_hash=project.config_hash,
        started_at=clock(),
        driver=driver.name,
        flow_run_id=driver.flow_run_id,
    )


@contextmanager
def _attempt(store: Store, run: Run) -> Iterator[list[Check]]:
    """Write the attempt into the ledger when it begins, and how it ended if it does not publish; yield its checks."""
    store.start(run)
    checks = list[Check]()
    try:
        yield checks
    except NotFitToPublish as refusal:
        told = check_table(checks, run.run_id, run.project, run.as_of)
        store.finish(run.run_id, "refused", str(refusal), clock(), told)
        raise
    except BaseException as error:  # whatever ends the attempt, the ledger says so; it goes on unchanged
        stopped = isinstance(error, KeyboardInterrupt | SystemExit)
        message = "stopped by a signal" if stopped else str(error) or type(error).__name__
        store.finish(run.run_id, "failed", message, clock())
        raise
