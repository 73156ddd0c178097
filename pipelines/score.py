"""The wiring of a night: data → champion → scores → checks → table → export, all targets in one transaction."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import ConfigError, LeadscoreError, NotFitToPublish
from configs.schema import Project
from features.contracts import SCORES
from models.registry import Registry, Version
from models.scorer import Scorer
from pipelines.driver import Driver, clock
from pipelines.rows import Snapshot, snapshot
from pipelines.version import code_version
from pipelines.workspace import workspace
from serve.checks import check
from serve.export import export
from serve.scoring import score, stamped, with_history
from serve.store import Run, Store


@dataclass(frozen=True)
class Night:
    """One published as-of: its ledger id, rows by target, and the export file."""

    run_id: str
    as_of: datetime
    rows: dict[str, int]
    export: Path
    scores: pa.Table

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        total = sum(self.rows.values())
        return {"run_id": self.run_id, "status": "published", "rows": total, "export": str(self.export)}


def score_night(project: Project, as_of: str | None, driver: Driver, form: str = "csv") -> Night:
    """Score every target that has a champion, publish and export; return what was published.

    The same as-of again replaces its rows by the same rows. An as-of older than the newest published one goes into
    the table, but the CRM's file stays the newest. Raises NotFitToPublish where no target has a champion or a check
    refuses, and what reading raises; the ledger then says refused or failed, and nothing is published.
    """
    if not project.timed and as_of is None:
        raise ConfigError("this data has no times", where="--as-of", mend="say as of when these scores are")
    with workspace(project):
        store = Store(project.root / "scores.db")
        store.abandon(clock())
        champions = _champions(project)
        driver.note("reading the sources")
        with _reading(store, project, as_of, champions, driver):
            now = driver.step(snapshot)(project, as_of)
        run = _run(project, now.as_of, champions, driver, now.dataset.fingerprint)
        with _attempt(store, run):
            scores = driver.step(score_all)(now, champions, store, run.run_id, driver)
            driver.note(f"publishing {scores.num_rows:,} rows")
            driver.step(publish)(store, scores, run)
        path = driver.step(deliver)(store, project, run, form)
        rows = {target: scores.filter(pc.field("target") == target).num_rows for target in champions}
        return Night(run.run_id, now.as_of, rows, path, scores)


def score_all(now: Snapshot, champions: dict[str, Version], store: Store, run_id: str, driver: Driver) -> pa.Table:
    """Return the SCORES of all targets of one as-of, checked."""
    registry, project = Registry(now.project.root, now.project.project), now.project
    frames = {}
    for target, version in champions.items():
        driver.note(f"{target}: scoring with version {version.number}")
        names = {"project": project.project, "target": target, "model_version": str(version.number)}
        scorer = Scorer.load(registry.directory(version))
        learnt = project.instant(scorer.meta["trained_as_of"])
        if learnt > now.as_of:
            driver.note(f"{target}: the model learnt as of {learnt.isoformat()}: this is a rehearsal, not a forecast")
        frame = score(now.dataset, now.project.target(target), scorer, now.as_of, names)
        frames[target] = with_history(frame, store.previous(project.project, target, now.as_of))
    check(frames)
    scored_at = clock()
    return pa.concat_tables([stamped(frame, run_id, scored_at) for frame in frames.values()] or [SCORES.empty_table()])


def publish(store: Store, scores: pa.Table, run: Run) -> None:
    """Put the scores into the table in one transaction."""
    store.publish(scores, run.run_id, clock())


def deliver(store: Store, project: Project, run: Run, form: str) -> Path:
    """Write the CRM's file from the table, for the newest published as-of."""
    newest = store.last(project.project) or run
    return export(store.scores(project.project, newest.as_of), project.root, newest, form)


def export_again(project: Project, as_of: str | None, form: str) -> Path:
    """Write the CRM's file from the table, of the newest published as-of or of the one given.

    Raises ConfigError where nothing was published.
    """
    with workspace(project):
        store = Store(project.root / "scores.db")
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


def _champions(project: Project) -> dict[str, Version]:
    registry = Registry(project.root, project.project)
    found = {target: registry.champion(target) for target in project.targets}
    champions = {target: version for target, version in found.items() if version}
    if not champions:
        raise NotFitToPublish(
            "no target has a champion",
            where=f"{project.path}: targets",
            found=f"0 of {len(found)} ({', '.join(found)})",
            mend=f"run `leadscore train {project.path}` first",
        )
    return champions


def _run(
    project: Project, as_of: datetime, champions: dict[str, Version], driver: Driver, fingerprint: str | None
) -> Run:
    return Run(
        run_id=uuid.uuid4().hex,
        project=project.project,
        as_of=as_of,
        models={target: str(version.number) for target, version in champions.items()},
        code_version=code_version(),
        config_hash=project.config_hash,
        started_at=clock(),
        data_fingerprint=fingerprint,
        driver=driver.name,
        flow_run_id=driver.flow_run_id,
    )


@contextmanager
def _reading(
    store: Store, project: Project, as_of: str | None, champions: dict[str, Version], driver: Driver
) -> Iterator[None]:
    """Give an attempt that cannot even read its data a ledger row too, where its as-of is known."""
    try:
        yield
    except LeadscoreError:
        if as_of:
            with _attempt(store, _run(project, project.instant(as_of), champions, driver, None)):
                raise
        raise


@contextmanager
def _attempt(store: Store, run: Run) -> Iterator[None]:
    """Write the attempt into the ledger when it begins, and how it ended if it does not publish."""
    store.start(run)
    try:
        yield
    except NotFitToPublish as refusal:
        store.finish(run.run_id, "refused", str(refusal), clock())
        raise
    except BaseException as error:  # whatever ends the attempt, the ledger says so; it goes on unchanged
        store.finish(run.run_id, "failed", str(error) or type(error).__name__, clock())
        raise
