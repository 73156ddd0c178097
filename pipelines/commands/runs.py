"""Runs shared by commands: training, night and monitor, through Prefect or directly."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import typer

from pipelines.commands.console import log_always, log_line
from pipelines.commands.options import choose_prefect, print_line, read_project

if TYPE_CHECKING:
    from collections.abc import Sequence

    from configs.errors import LeadscoreError
    from pipelines.results.monitoring import MonitorResult
    from pipelines.results.night import NightResult
    from pipelines.results.training import TargetTraining


class TargetResult(Protocol):
    """The result of one target: its name, its error if it failed, and its JSON."""

    @property
    def target(self) -> str:
        """Name of the target."""
        ...

    @property
    def error(self) -> LeadscoreError | None:
        """The error that stopped the target, None without one."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain JSON values."""
        ...


def run_training(
    config: str, as_of: str | None, targets: list[str], prefect: bool | None
) -> list[TargetTraining]:
    """Train targets through the chosen runner and return one result per target."""
    if choose_prefect(prefect):
        # Only a run through Prefect pays for its import, 3 to 5 s.
        from pipelines.orchestration.flows import run_train_flow

        return run_train_flow(config, as_of, targets)
    from pipelines.runner import Runner
    from pipelines.training.train import train_targets

    return train_targets(read_project(Path(config)), as_of, targets, Runner(log=log_line))


def run_night(config: str, as_of: str | None, form: str, prefect: bool | None) -> NightResult:
    """Score and publish one as-of through the chosen runner."""
    if choose_prefect(prefect):
        from pipelines.orchestration.flows import run_score_flow

        return run_score_flow(config, as_of, form)
    from pipelines.nightly.night import score_night
    from pipelines.runner import Runner

    return score_night(read_project(Path(config)), as_of, Runner(log=log_line), form)


def run_monitor(
    config: str, as_of: str | None, targets: list[str], prefect: bool | None
) -> list[MonitorResult]:
    """Compare published scores with outcomes through the chosen runner."""
    if choose_prefect(prefect):
        from pipelines.orchestration.flows import run_monitor_flow

        return run_monitor_flow(config, as_of, targets)
    from pipelines.monitoring.monitor import monitor_targets
    from pipelines.runner import Runner

    return monitor_targets(read_project(Path(config)), as_of, targets, Runner(log=log_line))


def collect_json(results: Sequence[TargetResult]) -> dict[str, Any]:
    """Return the results of all targets as plain JSON values."""
    return {"targets": {result.target: result.to_json() for result in results}}


def print_report_address(result: TargetTraining) -> None:
    """Print where the report of a training is, and the MLflow run that keeps its predictions."""
    # Not through a table: a path that is wrapped or cut cannot be opened.
    if result.report and result.version:
        print_line(f"report: {result.report} (MLflow run {result.version.run_id})", stored=True)


def exit_on_errors(results: Sequence[TargetResult]) -> None:
    """Log the error of each target, and exit if there is one.

    The exit code is the lowest: broken data (3) comes before a refusal of the gate (4).
    """
    errors = [result.error for result in results if result.error]
    # All errors are logged before the exit: one target must not hide the failure of another.
    for error in errors:
        log_always(str(error))
    if errors:
        raise typer.Exit(min(error.exit_code for error in errors))
