"""Checks of the Prefect server: it answers, and each deployment runs when it should."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.orchestration.status import (
    TOLERANCE,
    DeploymentStatus,
    Findings,
    Watched,
    format_seconds,
)
from pipelines.runner import is_prefect_configured

if TYPE_CHECKING:
    from datetime import datetime

    from configs.schema import Project


def read_server(project: Project | None, now: datetime) -> tuple[DeploymentStatus, ...] | None:
    """Return the config's deployments; None if no Prefect API is configured.

    Without a project only whether the server answers is asked. Raises LeadscoreError if it does
    not, ImportError where Prefect is missing or broken.
    """
    if not is_prefect_configured():
        return None
    # Imported here: it imports Prefect, which takes seconds.
    from pipelines.orchestration import deployment_status

    if project is None:
        deployment_status.require_answer()
        return None
    return tuple(deployment_status.read_deployments(project, now))


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
