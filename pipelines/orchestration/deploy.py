"""Serving of a config's flows as Prefect deployments on their cron lines.

One process serves a workspace: it starts each due run as its own process, one at a time, so that a
training and a nightly run never meet. It keeps that limit itself and not on the server, where a
killed run would occupy its slot forever. Each run also waits for other holders of the workspace,
such as a person's run or a second serving process.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from configs.errors import ConfigError, WorkspaceBusy
from pipelines.cron import FLOW_NAMES, require_cron_lines
from pipelines.orchestration.prefect_api import find_flow_runs, translate_api_errors
from pipelines.orchestration.silence import ensure_silence_automation
from pipelines.runner import is_prefect_configured
from serve.lock import lock_workspace

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun
    from prefect.deployments.runner import RunnerDeployment

    from configs.schema import Project

# Interval of a run's heartbeats, each one event on the server.
HEARTBEAT_INTERVAL = timedelta(seconds=60)
# A run without a heartbeat for this long is marked crashed: five intervals, so that a busy server
# may lose some.
SILENCE_LIMIT = timedelta(minutes=5)
# Message of the state in which Prefect 3.9.1 leaves the runs of a process that is being stopped;
# 3.8.8 left them Running.
SHUTDOWN_MESSAGE = "Runner is shutting down."


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
        reschedule_lost_runs(project)
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
            parameters={"config": project.path},
            schedules=_build_schedules(project, name),
            paused=False,
            tags=["leadscore"],
            # A path to the file would be relative to the working directory, which is the folder of
            # the company.
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
        for name in FLOW_NAMES
    ]


def reschedule_lost_runs(project: Project) -> None:
    """Reschedule runs that a former serving process of this workspace left unfinished.

    Each keeps its as-of. They are surely dead if nobody holds the workspace; if somebody does, one
    of them may be alive, and all are left as they are.
    """
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound
    from prefect.states import Scheduled, State

    with (
        suppress(WorkspaceBusy),
        lock_workspace(project.workspace_path),
        get_client(sync_client=True) as client,
    ):
        for name in FLOW_NAMES:
            with suppress(ObjectNotFound):
                deployment = client.read_deployment_by_name(f"leadscore-{name}/{project.project}")
                for run in _find_lost_runs(client, deployment.id):
                    state: State = Scheduled(
                        scheduled_time=run.expected_start_time,
                        message="the process that served it ended before it did",
                    )
                    client.set_flow_run_state(run.id, state, force=True)


def _find_lost_runs(client: SyncPrefectClient, deployment_id: UUID) -> list[FlowRun]:
    """Return the runs that are unfinished, or were cancelled because their process was stopped.

    A run that a person cancelled has another message, and is not among them.
    """
    from prefect.client.schemas.objects import StateType

    unfinished = find_flow_runs(client, deployment_id, StateType.RUNNING, StateType.PENDING)
    cancelled = find_flow_runs(client, deployment_id, StateType.CANCELLED)
    return [
        *unfinished,
        *(run for run in cancelled if run.state and run.state.message == SHUTDOWN_MESSAGE),
    ]


def _build_schedules(project: Project, name: str) -> list[Any]:
    from prefect.schedules import Cron

    line = getattr(project.schedule, name)
    return [] if line is None else [Cron(line, timezone=project.timezone)]
