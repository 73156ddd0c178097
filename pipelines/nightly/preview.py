"""Scores of an as-of without publishing them, and what a night would change."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections import Counter
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import ConfigError
from configs.schema import Project
from features.tools.parallel import run_in_background
from features.wording.wording import load_wording
from models.registry import champion_cache
from models.registry.registry import Registry
from models.registry.registry_file import (
    ARTIFACTS_FOLDER,
    CACHE_FILE,
    REGISTRY_FILE,
    connect_read_only,
)
from pipelines.nightly.attempt import create_run
from pipelines.nightly.context import NightContext
from pipelines.nightly.night import find_champions, require_valid_request
from pipelines.nightly.publish import (
    collect_night_files,
    count_rows,
    is_newest_and_complete,
    prepare_scores,
    require_champion,
    stage_newest_export,
)
from pipelines.nightly.publish_checks import load_champion_scorers
from pipelines.nightly.score import score_targets
from pipelines.results.dry_run import DryRun, TargetChange
from pipelines.runner import Runner, read_clock
from pipelines.state.required import require_sound_state
from pipelines.training_data import load_snapshot
from pipelines.workspace import (
    find_readers,
    find_scores_file,
    get_scores_address,
    open_store,
    require_owner,
)
from serve.checks.checks import CheckResult, select_alerts
from serve.export.suppress import drop_suppressed
from serve.run import Run
from serve.store.database import RETRY_SECONDS
from serve.store.store import Store


def rehearse_night(project: Project, as_of: str | None, runner: Runner, form: str) -> DryRun:
    """Do all that ``score_night`` does before it publishes; return what it would publish.

    Nothing of the workspace, the scores database and the registry changes, and no lock is taken:
    what is written goes into a temporary folder. Raises as ``score_night``.
    """
    clock = read_clock()
    moment = require_valid_request(project, as_of, clock, form)
    load_wording(project)
    find_readers(project)
    require_owner(project)
    with tempfile.TemporaryDirectory(prefix="leadscore-") as folder:
        scratch = Path(folder)
        _copy_registry(project.workspace_path, scratch)
        context = NightContext(
            project, _open_store(project, scratch), Registry(scratch, project.project), runner
        )
        require_sound_state(project, context.store)
        with run_in_background(load_snapshot, project, as_of, clock, scratch) as reading:
            runner.log("reading the sources")
            champions, checks = find_champions(context)
            run = create_run(context, moment or reading.result().as_of, champions.versions)
            recorded = list[CheckResult]()
            snapshot, scored = prepare_scores(
                context, run, champions.versions, reading, checks, recorded
            )
        stage_newest_export(scored, scratch, run, form, collect_night_files(scored, run))
        becomes_current, newest = is_newest_and_complete(context, run), _find_newest(context)
        return DryRun(
            as_of=run.as_of,
            rows=count_rows(scored.scores, run),
            accounts=scored.accounts.num_rows,
            checks=tuple(select_alerts(recorded)),
            suppressed=snapshot.dataset.suppressed,
            becomes_current=becomes_current,
            deliveries=tuple(project.publish.exports) if becomes_current else (),
            current_as_of=newest,
            changes=_compare_with_published(context, newest, run, scored.scores),
        )


def preview_scores(project: Project, as_of: str | None, runner: Runner) -> pa.Table:
    """Return the SCORES that ``score_night`` would publish, without publishing them.

    Takes no workspace lock. Of the workspace only the quarantine and the cache of champions are
    written, and database and registry are created where there are none. Grades, trends and lists
    follow the nights that are published. Raises NotFitToPublish where no target has a champion, and
    what reading raises.
    """
    if not project.timed and as_of is None:
        raise ConfigError(
            "this data has no times", where="as_of", fix="give the as-of of these scores"
        )
    registry = Registry(project.workspace_path, project.project)
    # Before the cache of champions, whose file shows that there is a database.
    store = open_store(project)
    champions = champion_cache.read_champions(registry, list(project.targets)).versions
    # Models come first: without one, minutes of reading the sources would be in vain.
    require_champion(project, champions)
    scorers, _ = load_champion_scorers(champions, registry)
    snapshot = load_snapshot(project, as_of, read_clock())
    snapshot.log_warnings(runner.log)
    run = create_run(NightContext(project, store, registry, runner), snapshot.as_of, champions)
    past_checks = store.past_checks(project.project, snapshot.as_of, project.checks.nights)
    return score_targets(snapshot, run, scorers, store, past_checks, runner.log).scores


def _copy_registry(root: Path, scratch: Path) -> None:
    """Put a copy of the registry's own files into a folder, with a link to its artifacts."""
    if (root / ARTIFACTS_FOLDER).exists():
        (scratch / ARTIFACTS_FOLDER).symlink_to((root / ARTIFACTS_FOLDER).absolute())
    if (root / CACHE_FILE).is_file():
        shutil.copyfile(root / CACHE_FILE, scratch / CACHE_FILE)
    if not (root / REGISTRY_FILE).is_file():
        return
    try:
        with (
            closing(connect_read_only(root / REGISTRY_FILE)) as source,
            closing(sqlite3.connect(scratch / REGISTRY_FILE)) as copy,
        ):
            source.backup(copy)
    except sqlite3.DatabaseError:
        # The registry says what is wrong with the file.
        shutil.copyfile(root / REGISTRY_FILE, scratch / REGISTRY_FILE)


def _open_store(project: Project, scratch: Path) -> Store:
    """Return the store of a project, read only; an empty one where there is none yet."""
    path = find_scores_file(project)
    if path is not None and not path.exists():
        return Store(scratch / "scores.db")
    return Store(get_scores_address(project), RETRY_SECONDS, read_only=True)


def _find_newest(context: NightContext) -> datetime | None:
    newest = context.store.last_published_run(context.project.project)
    return newest.as_of if newest else None


def _compare_with_published(
    context: NightContext, newest: datetime | None, run: Run, scores: pa.Table
) -> dict[str, TargetChange]:
    """Return by target the differences of the scores to those of the newest published as-of."""
    project, columns = context.project, ("target", "entity_id", "grade")
    published = scores.slice(0, 0)
    if newest:
        published = context.store.scores(project.project, newest, columns=columns)
        published = drop_suppressed(project, published)
    return {
        target: _compare_grades(_read_grades(published, target), _read_grades(scores, target))
        for target in count_rows(scores, run)
    }


def _read_grades(scores: pa.Table, target: str) -> dict[str, str]:
    rows = scores.filter(pc.equal(scores["target"], target))
    ids, grades = rows["entity_id"].to_pylist(), rows["grade"].to_pylist()
    return dict(zip(ids, grades, strict=True))


def _compare_grades(before: dict[str, str], after: dict[str, str]) -> TargetChange:
    both = before.keys() & after.keys()
    moves = Counter((before[lead], after[lead]) for lead in both if before[lead] != after[lead])
    return TargetChange(
        published=len(before),
        new=len(after.keys() - before.keys()),
        gone=len(before.keys() - after.keys()),
        grades=dict(sorted(moves.items())),
    )
