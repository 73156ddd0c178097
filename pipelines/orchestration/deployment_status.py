"""The Prefect server: it answers, each deployment runs when it should, and which runs are lost.

Prefect is imported inside the functions: it takes seconds, and may be missing.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from pipelines.cron import FLOW_NAMES
from pipelines.orchestration.missing_nights import PAST
from pipelines.orchestration.prefect_api import find_flow_runs, find_run_as_of, translate_api_errors
from pipelines.orchestration.status import (
    TOLERANCE,
    DeploymentStatus,
    Findings,
    ScoreRun,
    Watched,
    format_seconds,
)
from pipelines.runner import is_prefect_configured

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import StateType

    from configs.schema import Project

# A status command must report soon that a server does not answer.
API_TIMEOUT_SECONDS = 10.0
# The config's deployments, and the runs of its scoring that are lost or under way.
ServerState = tuple[tuple[DeploymentStatus, ...], tuple[ScoreRun, ...]]


def read_server(project: Project | None, now: datetime) -> ServerState | None:
    """Return the config's deployments and their runs; None if no Prefect API is configured.

    Without a project only whether the server answers is asked. Raises LeadscoreError if it does
    not, ImportError where Prefect is missing or broken.
    """
    if not is_prefect_configured():
        return None
    if project is None:
        require_answer()
        return None
    deployments = read_deployments(project, now)
    return tuple(deployments), tuple(read_score_runs(project, now - PAST, now))


def check_deployments(watched: Watched) -> Findings:
    """Return an alarm for each deployment that does not run when it should."""
    if not is_prefect_configured():
        return Findings(notes=("no Prefect API is configured; only the ledger was read",))
    if watched.deployments is None:
        return Findings()
    if not any(deployment.exists for deployment in watched.deployments):
        return Findings(
            notes=(f"the Prefect server has no deployment of {watched.project.project}",)
        )
    lines = (_describe_fault(deployment, watched) for deployment in watched.deployments)
    return Findings(tuple(filter(None, lines)))


def require_answer() -> None:
    """Raise LeadscoreError if the Prefect API does not answer."""
    with translate_api_errors(), _open_client() as client:
        client.hello().raise_for_status()


def read_deployments(project: Project, clock: datetime) -> list[DeploymentStatus]:
    """Return the status of a config's deployments; raise LeadscoreError without an answer."""
    with translate_api_errors(), _open_client() as client:
        names = [f"leadscore-{flow}/{project.project}" for flow in FLOW_NAMES]
        return [_read_deployment(client, name, clock) for name in names]


def read_score_runs(project: Project, since: datetime, until: datetime) -> list[ScoreRun]:
    """Return the scoring runs, planned in ``[since, until]``, that are lost or under way.

    Raises LeadscoreError without an answer.
    """
    from prefect.client.schemas.objects import StateType
    from prefect.exceptions import ObjectNotFound

    states = (
        *(StateType.CRASHED, StateType.FAILED),
        *(StateType.RUNNING, StateType.PENDING, StateType.SCHEDULED),
    )
    with translate_api_errors(), _open_client() as client:
        try:
            deployment = client.read_deployment_by_name(f"leadscore-score/{project.project}")
        except ObjectNotFound:
            return []
        runs = find_flow_runs(client, deployment.id, *states, since=since, until=until)
    # The newest last, so that it decides where an as-of has several.
    described = [(find_run_as_of(project, run), run.state_type) for run in reversed(runs)]
    return [ScoreRun(as_of, state.value.lower()) for as_of, state in described if as_of and state]


def _open_client() -> SyncPrefectClient:
    from prefect.client.orchestration import get_client

    return get_client(sync_client=True, httpx_settings={"timeout": API_TIMEOUT_SECONDS})


def _read_deployment(client: SyncPrefectClient, name: str, clock: datetime) -> DeploymentStatus:
    from prefect.client.schemas.objects import StateType
    from prefect.exceptions import ObjectNotFound

    try:
        deployment = client.read_deployment_by_name(name)
    except ObjectNotFound:
        return DeploymentStatus(name, exists=False)
    active = [schedule for schedule in deployment.schedules if schedule.active]
    starts = _read_start_times(client, deployment.id, StateType.SCHEDULED)
    # A flow without a cron line is deployed for runs by hand, so it never counts as paused.
    return DeploymentStatus(
        name,
        exists=True,
        scheduled=bool(deployment.schedules),
        paused=bool(deployment.schedules) and (deployment.paused or not active),
        due=min((start for start in starts if start > clock), default=None),
        waiting=min((start for start in starts if start <= clock), default=None),
        # The oldest run shows whether one exceeds its limit.
        running=min(_read_start_times(client, deployment.id, StateType.RUNNING), default=None),
    )


def _read_start_times(
    client: SyncPrefectClient, deployment_id: UUID, state: StateType
) -> list[datetime]:
    """Return the planned starts of a deployment's runs that are in a state."""
    runs = find_flow_runs(client, deployment_id, state)
    return [run.expected_start_time for run in runs if run.expected_start_time]


def _describe_fault(status: DeploymentStatus, watched: Watched) -> str:
    """Return what is wrong with a deployment; empty if nothing is."""
    name, now = status.name, watched.now
    if not status.exists:
        return f"{name} is missing: start `leadscore deploy {watched.project.path}` again"
    if status.paused:
        return (
            f"{name} is paused: `prefect deployment schedule resume`, or start the deployment again"
        )
    if status.scheduled and status.due is None:
        return f"{name} has a schedule and no run planned: does the server's scheduler run?"
    if status.running and now - status.running > watched.project.schedule.limit + TOLERANCE:
        return f"{name} should have ended: its run was due {format_seconds(status.running)}"
    if status.waiting and status.running is None and now - status.waiting > TOLERANCE:
        return (
            f"{name} was due {format_seconds(status.waiting)} and has not begun: "
            "does `leadscore deploy` run?"
        )
    return ""
