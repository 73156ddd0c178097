"""Serve the flows of a config as Prefect deployments on their cron lines.

One process is the runner of a workspace: it starts each due run as a process of its own, one at a time, so that a
training and a night never meet. It keeps that count itself and not on the server, where a killed run would hold its
place for ever. What else may hold the workspace, a person's run or a second runner, each run waits for.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from configs.errors import ConfigError, LeadscoreError, WorkspaceBusy
from pipelines.cron import FLOW_NAMES, require_cron_lines
from pipelines.runner import is_prefect_configured
from serve.lock import hold_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun, StateType
    from prefect.deployments.runner import RunnerDeployment
    from prefect.events.schemas.automations import AutomationCore

    from configs.schema import Project

HEARTBEAT_INTERVAL = timedelta(seconds=60)
"""How often a run says that it lives."""
SILENCE_LIMIT = timedelta(minutes=5)
"""A run that has not said so for this long is called crashed."""
AUTOMATION_NAME = "leadscore: a run that fell silent has crashed"
LIFE_EVENTS = {"prefect.flow-run.Running", "prefect.flow-run.heartbeat"}
"""What says that a run lives. The server itself says that one began: a run may be killed before its first heartbeat."""
END_EVENTS = {f"prefect.flow-run.{end}" for end in ("Completed", "Failed", "Cancelled", "Crashed")}
API_TIMEOUT_SECONDS = 10.0
"""Seconds to wait for the server when it is only asked how things stand."""


def deploy(project: Project) -> None:
    """Register the deployments of a config and run what is due, until the process is told to stop.

    Raises ConfigError where no Prefect API is configured or a cron line is none, LeadscoreError if the API does not
    answer.
    """
    if not is_prefect_configured():
        raise ConfigError(
            "no Prefect API is configured",
            where="PREFECT_API_URL",
            fix="start one with `prefect server start` and set PREFECT_API_URL=http://127.0.0.1:4200/api; "
            "without Prefect let cron or systemd call `leadscore score`, see docs/operations.md",
        )
    from prefect import serve

    with _translate_api_errors():
        ready = deployments(project)
        ensure_silence_automation(SILENCE_LIMIT)
        reschedule_lost_runs(project)
        # Stopping the runner, as each restart of the machine does, must not pause the schedules.
        serve(*ready, limit=1, pause_on_shutdown=False, heartbeat_seconds=HEARTBEAT_INTERVAL.total_seconds())


def deployments(project: Project) -> list[RunnerDeployment]:
    """Return the deployments of a config, named by its project; one without a cron line is there for runs by hand.

    Raises ConfigError for a cron line that is none.
    """
    from prefect.types.entrypoint import EntrypointType

    from pipelines.orchestration import flows

    require_cron_lines(project)
    return [
        getattr(flows, name).to_deployment(
            name=project.project,
            parameters={"config": project.path},
            schedules=_build_schedules(project, name),
            paused=False,
            tags=["leadscore"],
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
        for name in FLOW_NAMES
    ]


def _build_schedules(project: Project, name: str) -> list[Any]:
    from prefect.schedules import Cron

    line = getattr(project.schedule, name)
    return [] if line is None else [Cron(line, timezone=project.timezone)]


def reschedule_lost_runs(project: Project) -> None:
    """Have the runs done again that the former runner of this workspace left under way, each as of its night.

    They are surely dead if nobody holds the workspace; if somebody does, one of them may live on, and all are left.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.objects import StateType
    from prefect.exceptions import ObjectNotFound
    from prefect.states import Scheduled, State

    with suppress(WorkspaceBusy), hold_workspace(project.workspace_path), get_client(sync_client=True) as client:
        for name in FLOW_NAMES:
            with suppress(ObjectNotFound):
                found = client.read_deployment_by_name(f"leadscore-{name}/{project.project}")
                for run in _find_flow_runs(client, found.id, StateType.RUNNING, StateType.PENDING):
                    again: State = Scheduled(
                        scheduled_time=run.expected_start_time,
                        message="its runner ended before it did",
                    )
                    client.set_flow_run_state(run.id, again, force=True)


def ensure_silence_automation(silence: timedelta) -> None:
    """See to it that the server calls a run of our flows crashed when it was not heard of for so long.

    A run tells the end of itself; a machine that loses its power does not. Without this its run would be Running
    for ever.
    """
    from prefect.client.orchestration import get_client

    wanted = _build_silence_automation(silence)
    with get_client(sync_client=True) as client:
        found = client.read_automations_by_name(AUTOMATION_NAME)
        # What is right is left alone: an automation made anew has not heard the runs that fell silent before it.
        if any(_comparable_form(each) == _comparable_form(wanted) for each in found):
            return
        for old in found:
            client.delete_automation(old.id)
        client.create_automation(wanted)


def _comparable_form(automation: AutomationCore) -> tuple[bool, dict[str, Any]]:
    return automation.enabled, automation.trigger.model_dump(exclude={"id"})


def _build_silence_automation(silence: timedelta) -> AutomationCore:
    from prefect.client.schemas.objects import StateType
    from prefect.events.actions import ChangeFlowRunState
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

    return AutomationCore(
        name=AUTOMATION_NAME,
        description=f"Runs of leadscore's flows that sent no heartbeat for {silence} are called crashed.",
        trigger=EventTrigger(
            after=LIFE_EVENTS,
            expect=LIFE_EVENTS | END_EVENTS,
            match={"prefect.resource.id": ["prefect.flow-run.*"]},
            match_related={
                "prefect.resource.role": "flow",
                "prefect.resource.name": [f"leadscore-{name}" for name in FLOW_NAMES],
            },
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=silence,
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message="no sign of life")],
    )


@dataclass(frozen=True)
class DeploymentStatus:
    """One deployment as the server sees it.

    ``due`` is the next start planned, ``waiting`` the earliest start that is past and has not begun, ``running`` the
    start of the run under way; all in UTC, None where there is none. ``scheduled`` says whether it has a cron line.
    """

    name: str
    exists: bool
    scheduled: bool = False
    paused: bool = False
    due: datetime | None = None
    waiting: datetime | None = None
    running: datetime | None = None


def read_deployments(project: Project, now: datetime) -> list[DeploymentStatus]:
    """Return what the server knows of the deployments of a config; raise LeadscoreError if it does not answer."""
    from prefect.client.orchestration import get_client

    with _translate_api_errors(), get_client(sync_client=True, httpx_settings={"timeout": API_TIMEOUT_SECONDS}) as client:
        return [_read_deployment(client, f"leadscore-{name}/{project.project}", now) for name in FLOW_NAMES]


def _read_deployment(client: SyncPrefectClient, name: str, now: datetime) -> DeploymentStatus:
    from prefect.client.schemas.objects import StateType
    from prefect.exceptions import ObjectNotFound

    try:
        found = client.read_deployment_by_name(name)
    except ObjectNotFound:
        return DeploymentStatus(name, exists=False)
    active = [schedule for schedule in found.schedules if schedule.active]
    waiting = _read_start_times(client, found.id, StateType.SCHEDULED)
    return DeploymentStatus(
        name,
        exists=True,
        scheduled=bool(found.schedules),
        paused=bool(found.schedules) and (found.paused or not active),
        due=min((start for start in waiting if start > now), default=None),
        waiting=min((start for start in waiting if start <= now), default=None),
        running=min(_read_start_times(client, found.id, StateType.RUNNING), default=None),
    )


def _read_start_times(client: SyncPrefectClient, deployment: UUID, state: StateType) -> list[datetime]:
    """Return when the runs of a deployment that are in a state were to start."""
    return [
        run.expected_start_time
        for run in _find_flow_runs(client, deployment, state)
        if run.expected_start_time
    ]


def _find_flow_runs(client: SyncPrefectClient, deployment: UUID, *states: StateType) -> list[FlowRun]:
    from prefect.client.schemas.filters import (
        DeploymentFilter,
        DeploymentFilterId,
        FlowRunFilter,
        FlowRunFilterState,
        FlowRunFilterStateType,
    )

    return client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment])),
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(states)))
        ),
    )


@contextmanager
def _translate_api_errors() -> Iterator[None]:
    """Turn the silence of the Prefect API into one error."""
    import httpx
    from prefect.exceptions import PrefectHTTPStatusError

    try:
        yield
    except (httpx.HTTPError, PrefectHTTPStatusError, RuntimeError) as error:
        raise LeadscoreError(
            "the Prefect API does not answer as it should",
            where="PREFECT_API_URL",
            found=type(error).__name__,
            fix="start the server (`prefect server start`), or correct the address",
        ) from error
