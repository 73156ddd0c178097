"""Runs that a deployment started: their as-of, whether a later run replaces them, their alarms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from prefect import runtime
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
from prefect.states import Completed, State

from configs.schema import Project
from features.tools.instants import format_iso
from pipelines.cron import find_scheduled_as_of
from pipelines.orchestration import alarm
from pipelines.orchestration.guard import run_guarded
from pipelines.runner import read_clock
from pipelines.streams import protect_streams

Result = TypeVar("Result")


def run_on_schedule(
    project: Project,
    as_of: str | None,
    log: Callable[[str], None],
    work: Callable[[str | None], Result],
) -> Result:
    """Do the work of a flow, given its as-of, and return its result.

    A flow that a person started gets the as-of asked for. A deployment's run gets its scheduled
    as-of if none was asked for, and is guarded.
    """
    if runtime.deployment.id is None:
        return work(as_of)
    # The process runs this flow alone, and its output may have nobody left who reads it.
    protect_streams()
    due = runtime.flow_run.scheduled_start_time
    instant = as_of or find_scheduled_as_of(project, due).isoformat()
    log(f"as of {instant}")
    return run_guarded(lambda: work(instant), project.schedule.limit, log)


def find_superseded_state() -> State | None:
    """Return the state “Skipped” if a later run of this deployment is already due, else None.

    After an outage every missed run is due at the same time. Scores belong to their as-of, but of
    trainings and monitoring reports only the last one is useful.
    """
    if runtime.deployment.id is None:
        return None
    # The server plans runs ahead, so only those that are due by now replace this one.
    due_later = FlowRunFilterExpectedStartTime(
        after_=runtime.flow_run.scheduled_start_time, before_=read_clock()
    )
    not_begun = FlowRunFilterStateType(any_=[StateType.SCHEDULED, StateType.PENDING])
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(
            deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[runtime.deployment.id])),
            flow_run_filter=FlowRunFilter(
                expected_start_time=due_later, state=FlowRunFilterState(type=not_begun)
            ),
        )
    # The filter includes the instant of this run itself, and with it this run.
    if all(str(run.id) == str(runtime.flow_run.id) for run in runs):
        return None
    # Completed, since a failed state would be posted as an alarm.
    return Completed(name="Skipped", message="a later run of this deployment is already due")


def report_failure(flow: Flow, flow_run: Any, state: State) -> None:
    """Log a deployment's run that failed, was refused or crashed, and post it to the webhook."""
    # A person who started the run sees its failure already.
    if flow_run.deployment_id is None:
        return
    logger = flow_run_logger(flow_run, flow)
    body = build_alarm(flow.name, flow_run, state)
    logger.error("%s", body["text"])
    alarm.post_alarm(body, logger.warning)


def build_alarm(flow: str, run: Any, state: State) -> dict[str, Any]:
    """Return the webhook's body for a failed run: no data, no place, no address."""
    # The name alone: the webhook is outside the company and gets no place.
    config = Path(str(run.parameters.get("config", ""))).name
    due = run.expected_start_time
    reason = _describe_state(state)
    return {
        "text": f"{flow} of {config}: {state.name}: {reason['what']}",
        "source": "leadscore",
        "flow": flow,
        "config": config,
        "state": state.name,
        **reason,
        "due": format_iso(due) if due else None,
        "flow_run_id": str(run.id),
    }


def _describe_state(state: State) -> dict[str, Any]:
    """Return the reason and the exit code of a state that is not a success."""
    if state.is_crashed():
        return {
            "what": "the run ended without a report: killed, out of memory, or stopped",
            "exit_code": 1,
        }
    result = state.result(raise_on_failure=False)
    if isinstance(result, BaseException):
        return alarm.describe_failure(result)
    failures = [
        (each_target.target, alarm.describe_failure(each_target.error))
        for each_target in result or []
        if each_target.error
    ]
    reasons = "; ".join(f"{target}: {failure['what']}" for target, failure in failures)
    return {
        "what": reasons or "no reason known",
        "exit_code": min((failure["exit_code"] for _, failure in failures), default=1),
    }
