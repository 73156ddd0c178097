"""Serving of a config's flows as Prefect deployments on their cron lines.

One process serves a workspace: it starts each due run as its own process, one at a time, so that a
training and a nightly run never meet. It keeps that limit itself and not on the server, where a
killed run would occupy its slot forever. Each run also waits for other holders of the workspace,
such as a person's run or a second serving process.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.errors import ConfigError
from pipelines.cron import FLOW_NAMES, require_cron_lines
from pipelines.orchestration.lost_runs import watch_for_lost_runs
from pipelines.orchestration.prefect_api import translate_api_errors
from pipelines.orchestration.silence import ensure_silence_automation
from pipelines.runner import is_prefect_configured

if TYPE_CHECKING:
    from prefect.deployments.runner import RunnerDeployment

    from configs.schema import Project

# Interval of a run's heartbeats, each one event on the server.
HEARTBEAT_INTERVAL = timedelta(seconds=60)
# A run without a heartbeat for this long is marked crashed: five intervals, so that a busy server
# may lose some.
SILENCE_LIMIT = timedelta(minutes=5)


def serve_deployments(project: Project) -> None:
    """Register the deployments of a config and start due runs, until the process is stopped.

    Raises ConfigError where no Prefect API is configured or a cron line is invalid, LeadscoreError
    if the API does not answer.
    """
    if not is_prefect_configured():
        raise ConfigError(
            "no Prefect API is configured",
            where="PREFECT_API_URL",
            fix="start one with `prefect server start` and set "
            "PREFECT_API_URL=http://127.0.0.1:4200/api; without Prefect let cron or systemd call "
            "`leadscore score`, see docs/operations.md",
        )
    from prefect import serve

    with translate_api_errors():
        deployments = build_deployments(project)
        ensure_silence_automation(SILENCE_LIMIT)
        watch_for_lost_runs(project)
        # Every restart of the machine stops this process; that must not pause the schedules.
        serve(
            *deployments,
            limit=1,
            pause_on_shutdown=False,
            heartbeat_seconds=HEARTBEAT_INTERVAL.total_seconds(),
        )


def build_deployments(project: Project) -> list[RunnerDeployment]:
    """Return the deployments of a config, named after its project.

    A flow without a cron line is deployed too, for runs by hand. Raises ConfigError for an invalid
    cron line.
    """
    from prefect.types.entrypoint import EntrypointType

    from pipelines.orchestration import flows

    require_cron_lines(project)
    return [
        getattr(flows, f"{name}_flow").to_deployment(
            name=project.project,
            # A worker may run in another folder.
            parameters={"config": str(Path(project.path).absolute())},
            schedules=_build_schedules(project, name),
            paused=False,
            tags=["leadscore"],
            # A path to the file would be relative to the working directory, which is the folder of
            # the company.
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
        for name in FLOW_NAMES
    ]


def _build_schedules(project: Project, name: str) -> list[Any]:
    from prefect.schedules import Cron

    line = getattr(project.schedule, name)
    return [] if line is None else [Cron(line, timezone=project.timezone)]
