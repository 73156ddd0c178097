"""The wirings as Prefect flows, with a task for each step and a summary artifact."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run
from prefect.states import Failed, State

from configs.errors import LeadscoreError
from configs.schema import load_project
from pipelines.monitoring.monitor import monitor as follow_targets
from pipelines.nightly.score import score_night
from pipelines.orchestration.scheduled import find_superseded_state, run_on_schedule, tell
from pipelines.reports.markdown import night_markdown, training_markdown
from pipelines.reports.monitor_tables import outcomes_markdown
from pipelines.results.monitoring import MonitorResult
from pipelines.results.night import NightResult
from pipelines.results.training import TargetTraining
from pipelines.runner import Runner, Step
from pipelines.training.train import train as train_targets


def drop_expected_traceback(record: logging.LogRecord) -> bool:
    """Take the traceback off a line of Prefect's on a failure that a user can meet, or on none; keep the line."""
    kind = record.exc_info[0] if record.exc_info else None
    if kind is None or issubclass(kind, LeadscoreError):
        record.exc_info = None
    return True


for _name in ("prefect.engine", "prefect.flow_runs", "prefect.task_runs"):
    logging.getLogger(_name).addFilter(drop_expected_traceback)


def fail_with_message(function: Step) -> Step:
    """Have a failure that a user can meet end the run in its own two lines, not in Prefect's traceback of them.

    Whoever takes the result has the failure raised as before.
    """

    @wraps(function)
    def run(*arguments: Any, **named: Any) -> Any:
        try:
            return function(*arguments, **named)
        except LeadscoreError as error:
            return Failed(message=str(error), data=error)

    return run  # type: ignore[return-value]


@flow(
    name="leadscore-train",
    persist_result=False,
    validate_parameters=False,
    on_failure=[tell],
    on_crashed=[tell],
)
@fail_with_message
def train(
    config: str, as_of: str | None = None, targets: list[str] | None = None
) -> list[TargetTraining]:
    """Train the targets of a config; the run fails if one of them has no new champion."""
    if skipped := find_superseded_state():
        return skipped  # type: ignore[return-value]
    project = load_project(config)
    driver, names = _create_runner(), targets or list(project.targets)
    results = run_on_schedule(
        project, as_of, driver.log, lambda moment: train_targets(project, moment, names, driver)
    )
    create_markdown_artifact(
        training_markdown(project, results), key="leadscore-training", description=config
    )
    refused = [result.target for result in results if result.error]
    if refused:  # a failed state that still carries what was found
        return Failed(message=f"no new champion: {', '.join(refused)}", data=results)  # type: ignore[return-value]
    return results


def run_train_flow(config: str, as_of: str | None, targets: list[str]) -> list[TargetTraining]:
    """Run the training flow here and return what became of each target, refused ones too."""
    state = train(config, as_of, targets, return_state=True)
    return state.result(raise_on_failure=not isinstance(state.data, list))  # type: ignore[return-value]


@flow(
    name="leadscore-score",
    persist_result=False,
    validate_parameters=False,
    on_failure=[tell],
    on_crashed=[tell],
)
@fail_with_message
def score(config: str, as_of: str | None = None, form: str = "csv") -> NightResult:
    """Score and publish one as-of of a config."""
    project = load_project(config)
    driver = _create_runner()
    night = run_on_schedule(
        project, as_of, driver.log, lambda moment: score_night(project, moment, driver, form)
    )
    create_markdown_artifact(
        night_markdown(project, night), key="leadscore-scores", description=config
    )
    return night


@flow(
    name="leadscore-monitor",
    persist_result=False,
    validate_parameters=False,
    on_failure=[tell],
    on_crashed=[tell],
)
@fail_with_message
def monitor(
    config: str, as_of: str | None = None, targets: list[str] | None = None
) -> list[MonitorResult]:
    """Hold the published scores of a config against what happened since."""
    if skipped := find_superseded_state():
        return skipped  # type: ignore[return-value]
    project = load_project(config)
    driver, names = _create_runner(), targets or list(project.targets)
    results = run_on_schedule(
        project, as_of, driver.log, lambda moment: follow_targets(project, moment, names, driver)
    )
    create_markdown_artifact(
        outcomes_markdown(project, results), key="leadscore-outcomes", description=config
    )
    return results


def _create_runner() -> Runner:
    logger = get_run_logger()
    return Runner("prefect", str(flow_run.id), _create_task, partial(_log_line, logger))


def _log_line(logger: Any, line: str) -> None:
    logger.info(line)


def _create_task(function: Callable) -> Callable:
    """Make a task of a step: never cached, since tables are no cache keys, and run where the flow runs."""
    name = getattr(function, "__name__", "step")
    step = task(fail_with_message(function), name=name, cache_policy=NO_CACHE, persist_result=False)  # type: ignore[call-overload]

    def run(*arguments: Any) -> Any:
        found = step(*arguments)
        return (
            found.result() if isinstance(found, State) else found
        )  # a task gives the state that it ended in as it is

    return run
