"""State of a config's deployments, as the Prefect server reports it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from pipelines.cron import FLOW_NAMES
from pipelines.orchestration.prefect_api import find_flow_runs, translate_api_errors

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import StateType

    from configs.schema import Project

# A status command must report soon that a server does not answer.
API_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class DeploymentStatus:
    """One deployment as the server reports it. Instants are in UTC, None where there is none.

    Attributes:
        name: Name of flow and deployment, such as ``leadscore-score/acme``.
        exists: Whether the server has it.
        scheduled: Whether it has a cron line.
        paused: Whether its schedule is paused.
        due: The next planned start.
        waiting: The earliest start that has passed but not begun.
        running: The planned start of the run that is running.
    """

    name: str
    exists: bool
    scheduled: bool = False
    paused: bool = False
    due: datetime | None = None
    waiting: datetime | None = None
    running: datetime | None = None


def read_deployments(project: Project, clock: datetime) -> list[DeploymentStatus]:
    """Return the status of a config's deployments; raise LeadscoreError without an answer."""
    from prefect.client.orchestration import get_client

    settings = {"timeout": API_TIMEOUT_SECONDS}
    with translate_api_errors(), get_client(sync_client=True, httpx_settings=settings) as client:
        names = [f"leadscore-{flow}/{project.project}" for flow in FLOW_NAMES]
        return [_read_deployment(client, name, clock) for name in names]


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
