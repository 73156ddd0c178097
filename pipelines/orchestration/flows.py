"""Training, scoring and monitoring as Prefect flows, each step a task, with a summary artifact."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, TypeVar

# Set before Prefect is imported, which reads them then. DO_NOT_TRACK alone does not stop the
# telemetry of its server (Prefect 3.9).
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")
# A temporary server migrates its database first, which takes over a minute on a busy machine;
# Prefect's own limit is 20 seconds.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run
from prefect.states import Failed, State

from configs.addresses.redaction import redact_exception
from configs.errors import LeadscoreError
from configs.schema import load_project
from pipelines.monitoring.monitor import monitor_targets
from pipelines.nightly.night import score_night
from pipelines.orchestration.console import (
    install_traceback_filter,
    log_progress,
    quiet_console,
)
from pipelines.orchestration.scheduled import (
    find_superseded_state,
    report_failure,
    run_on_schedule,
)
from pipelines.reports.markdown import (
    render_monitor_markdown,
    render_night_markdown,
    render_training_markdown,
)
from pipelines.results.monitoring import MonitorResult
from pipelines.results.night import NightResult
from pipelines.results.training import TargetTraining
from pipelines.runner import TRAIN_FLOW, Runner, is_prefect_configured
from pipelines.training.train import train_targets
from serve.private_files import create_private_files

Step = TypeVar("Step", bound=Callable)

# What the three flows have in common.
FLOW_OPTIONS: dict[str, Any] = {
    "persist_result": False,
    "validate_parameters": False,
    "on_failure": [report_failure],
    "on_crashed": [report_failure],
}

install_traceback_filter()


def fail_with_message(function: Step) -> Step:
    """Make a function return a failed state, with the message, instead of raising LeadscoreError.

    Prefect then shows the message without a traceback. Taking the result raises the error. Of any
    other exception Prefect shows and stores all texts, so they are redacted.
    """

    @wraps(function)
    def run(*arguments: Any, **named: Any) -> Any:
        try:
            return function(*arguments, **named)
        except LeadscoreError as error:
            return Failed(message=str(error), data=error)
        except Exception as error:
            redact_exception(error)
            raise

    return run  # type: ignore[return-value]


@flow(name=TRAIN_FLOW, **FLOW_OPTIONS)
@fail_with_message
@create_private_files()
def train_flow(
    config: str, as_of: str | None = None, targets: list[str] | None = None
) -> list[TargetTraining]:
    """Train the targets of a config; the run fails if one of them has no new champion."""
    if skipped := find_superseded_state():
        return skipped  # type: ignore[return-value]
    project = load_project(config)
    runner, names = _create_runner(), targets or list(project.targets)
    results = run_on_schedule(
        project, as_of, runner.log, lambda moment: train_targets(project, moment, names, runner)
    )
    create_markdown_artifact(
        render_training_markdown(project, results), key="leadscore-training", description=config
    )
    refused = [result.target for result in results if result.error]
    # The failed state carries the results: the command reports on refused targets too.
    if refused:
        message = f"no new champion: {', '.join(refused)}"
        return Failed(message=message, data=results)  # type: ignore[return-value]
    return results


@flow(name="leadscore-score", **FLOW_OPTIONS)
@fail_with_message
@create_private_files()
def score_flow(config: str, as_of: str | None = None, form: str = "csv") -> NightResult:
    """Score and publish one as-of of a config."""
    # Unlike trainings, a missed night is never skipped: its scores belong to its own as-of.
    project = load_project(config)
    runner = _create_runner()
    night = run_on_schedule(
        project, as_of, runner.log, lambda moment: score_night(project, moment, runner, form)
    )
    create_markdown_artifact(
        render_night_markdown(project, night), key="leadscore-scores", description=config
    )
    return night


@flow(name="leadscore-monitor", **FLOW_OPTIONS)
@fail_with_message
@create_private_files()
def monitor_flow(
    config: str, as_of: str | None = None, targets: list[str] | None = None
) -> list[MonitorResult]:
    """Compare the published scores of a config with what happened since."""
    if skipped := find_superseded_state():
        return skipped  # type: ignore[return-value]
    project = load_project(config)
    runner, names = _create_runner(), targets or list(project.targets)
    results = run_on_schedule(
        project, as_of, runner.log, lambda moment: monitor_targets(project, moment, names, runner)
    )
    create_markdown_artifact(
        render_monitor_markdown(project, results), key="leadscore-outcomes", description=config
    )
    return results


def run_train_flow(config: str, as_of: str | None, targets: list[str]) -> list[TargetTraining]:
    """Run the training flow in this process; return the result of each target, refused ones too.

    Raises the error of a run that failed as a whole.
    """
    _prepare_console()
    # The state is asked for, since raising its error would lose the results of the other targets.
    state = train_flow(config, as_of, targets, return_state=True)
    refused = isinstance(state.data, list)
    return state.result(raise_on_failure=not refused)  # type: ignore[return-value]


def run_score_flow(config: str, as_of: str | None, form: str) -> NightResult:
    """Run the scoring flow in this process and return its result; raise its error."""
    _prepare_console()
    return score_flow(config, as_of, form)


def run_monitor_flow(config: str, as_of: str | None, targets: list[str]) -> list[MonitorResult]:
    """Run the monitoring flow in this process and return its results; raise its error."""
    _prepare_console()
    return monitor_flow(config, as_of, targets)


def _prepare_console() -> None:
    """Quieten the console, and say so where the next line takes a while."""
    quiet_console()
    if not is_prefect_configured():
        line = "starting a temporary Prefect server, which may take a minute"
        log_progress(logging.getLogger("prefect.leadscore"), line)


def _create_runner() -> Runner:
    return Runner(
        "prefect", str(flow_run.id), _create_task, partial(log_progress, get_run_logger())
    )


def _create_task(function: Callable) -> Callable:
    """Make a task of a step.

    It is never cached, since tables are no cache keys, and runs in the flow's own thread.
    """
    name = getattr(function, "__name__", "step")
    # Inputs that cannot be hashed, such as tables, would log a HashError each time.
    options = {"name": name, "cache_policy": NO_CACHE, "persist_result": False}
    step = task(fail_with_message(function), **options)

    def run(*arguments: Any, **named: Any) -> Any:
        result = step(*arguments, **named)
        # A task that returns a failed state hands that state over as it is.
        return result.result() if isinstance(result, State) else result

    return run
