"""Scores of an as-of without publishing them."""

from __future__ import annotations

import pyarrow as pa

from configs.errors import ConfigError
from configs.schema import Project
from models.registry import champion_cache
from models.registry.registry import Registry
from pipelines.nightly.attempt import create_run
from pipelines.nightly.context import NightContext
from pipelines.nightly.publish import require_champion
from pipelines.nightly.publish_checks import load_champion_scorers
from pipelines.nightly.score import score_targets
from pipelines.runner import Runner, read_clock
from pipelines.training_data import load_snapshot
from pipelines.workspace import open_store


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
