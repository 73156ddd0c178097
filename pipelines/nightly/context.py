"""Resources of a run that publishes, opened under the workspace's lock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from configs.schema import Project
from features.wording.wording import load_wording
from models.registry.registry import Registry
from pipelines.runner import Runner
from pipelines.state.required import require_sound_state
from pipelines.workspace import open_store, open_workspace
from serve.store.store import Store


@dataclass(frozen=True)
class NightContext:
    """Resources of a run that publishes; valid while it holds the workspace.

    Attributes:
        project: Config of the company.
        store: Scores table and run ledger, held for this run.
        registry: Models of the project.
        runner: Runs the steps and logs progress.
    """

    project: Project
    store: Store
    registry: Registry
    runner: Runner


@contextmanager
def open_night_context(project: Project, runner: Runner) -> Iterator[NightContext]:
    """Hold the workspace, and open its store and models.

    Raises ConfigError for words that do not fit the language, WorkspaceBusy while another run
    holds the workspace, StateError for stored state that was lost or damaged, and what opening the
    store raises.
    """
    # Words that do not fit stop the run before minutes of reading, not after them.
    load_wording(project)
    with open_workspace(project) as root, open_store(project).hold(project.project) as store:
        require_sound_state(project, store)
        yield NightContext(project, store, Registry(root, project.project), runner)
