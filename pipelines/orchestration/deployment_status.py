"""State of a config's deployments, as the Prefect server reports it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from pipelines.cron import FLOW_NAMES
from pipelines.orchestration.prefect_api import find_flow_runs, translate_api_errors
from pipelines.orchestration.status import DeploymentStatus

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import StateType

    from configs.schema import Project

# A status command must report soon that a server does not answer.
API_TIMEOUT_SECONDS = 10.0


def require_answer() -> None:
    """Raise LeadscoreError if the Prefect API does not answer."""
    with translate_api_errors(), _open_client() as client:
        client.hello().raise_for_status()


def read_deployments(project: Project, clock: datetime) -> list[DeploymentStatus]:
    """Return the status of a config's deployments; raise LeadscoreError without an answer."""
    with translate_api_errors(), _open_client() as client:
        names = [f"leadscore-{flow}/{project.project}" for flow in FLOW_NAMES]
        return [_read_deployment(client, name, clock) for name in names]


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
