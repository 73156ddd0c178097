"""What sets a run that a deployment started apart from one that a person started: its night, its turn, its alarm."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.flows import Flow
from prefect.logging.loggers import flow_run_logger
from prefect.runtime import deployment
from prefect.runtime import flow_run as this_run
from prefect.states import Completed, State

from configs.schema import Project
from pipelines.orchestration import alarm
from pipelines.orchestration.guard import run_guarded
from pipelines.runner import read_clock

Result = TypeVar("Result")


def find_scheduled_as_of(project: Project, due: datetime) -> datetime:
    """Return the as-of of a run that was due at an instant: the last midnight of the company's zone, in UTC.

    A source is rarely complete up to the very minute, but by the hour of the night run it is up to midnight; and each
    attempt at a night, however late, is as of the same instant. Where midnight comes twice as clocks go back, the
    first counts. With ``schedule.as_of: start`` it is the instant itself.
    """
    if project.schedule.as_of == "start":
        return due.astimezone(UTC)
    return (
        due.astimezone(project.zone)
        .replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        .astimezone(UTC)
    )


def run_on_schedule(
    project: Project,
    as_of: str | None,
    note: Callable[[str], None],
    work: Callable[[str | None], Result],
) -> Result:
    """Do the work of a flow, which is given its as-of.

    Where a person started the flow, that is the as-of asked for; where a deployment did, it is the run's night if
    none was asked for, and the work is guarded.
    """
    if deployment.id is None:
        return work(as_of)
    night = as_of or find_scheduled_as_of(project, this_run.scheduled_start_time).isoformat()
    note(f"as of {night}")
    return run_guarded(lambda: work(night), project.schedule.limit, note)


def find_superseded_state() -> State | None:
    """Return the state of a run after which a later one of its deployment is already due, None for any other.

    After an outage every missed run is made up for. A night's scores belong to that night, but of trainings and
    reports of what came of the scores only the last one is of use.
    """
    if deployment.id is None:
        return None
    later = FlowRunFilterExpectedStartTime(after_=this_run.scheduled_start_time, before_=read_clock())
    waiting = FlowRunFilterStateType(any_=[StateType.SCHEDULED, StateType.PENDING])
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(
            deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id])),
            flow_run_filter=FlowRunFilter(
                expected_start_time=later, state=FlowRunFilterState(type=waiting)
            ),
        )
    if all(str(other.id) == str(this_run.id) for other in found):
        return None
    return Completed(name="Skipped", message="a later run of this deployment is already due")


def tell(flow: Flow, flow_run: Any, state: State) -> None:
    """Report a scheduled run that failed, was refused or crashed: a line in the log and a POST to the webhook."""
    if flow_run.deployment_id is None:
        return
    logger = flow_run_logger(flow_run, flow)
    body = build_alarm(flow.name, flow_run, state)
    logger.error("%s", body["text"])
    alarm.post_alarm(body, logger.warning)


def build_alarm(flow: str, run: Any, state: State) -> dict[str, Any]:
    """Return what is told of a run that did not end well: no data, no place, no address."""
    config = Path(str(run.parameters.get("config", ""))).name
    due = run.expected_start_time
    why = _describe_state(state)
    return {
        "text": f"{flow} of {config}: {state.name}: {why['what']}",
        "source": "leadscore",
        "flow": flow,
        "config": config,
        "state": state.name,
        **why,
        "due": due.isoformat() if due else None,
        "flow_run_id": str(run.id),
    }


def _describe_state(state: State) -> dict[str, Any]:
    if state.is_crashed():
        return {
            "what": "the run ended without a word: killed, out of memory, or stopped",
            "exit_code": 1,
        }
    found = state.result(raise_on_failure=False)
    if isinstance(found, BaseException):
        return alarm.describe_failure(found)
    errors = [
        (result.target, alarm.describe_failure(result.error)) for result in found or [] if result.error
    ]
    told = "; ".join(f"{target}: {error['what']}" for target, error in errors)
    return {
        "what": told or "no reason known",
        "exit_code": min((e["exit_code"] for _, e in errors), default=1),
    }
