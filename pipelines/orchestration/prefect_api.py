"""Calls of the Prefect API that serving and watching share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from configs.errors import ConfigError, LeadscoreError
from pipelines.cron import find_scheduled_as_of

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun, StateType

    from configs.schema import Project


def find_flow_runs(
    client: SyncPrefectClient,
    deployment_id: UUID,
    *states: StateType,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[FlowRun]:
    """Return the runs of a deployment that are in one of the states, the latest planned one first.

    With ``since`` and ``until`` their planned start lies in ``[since, until]``. The server returns
    200 at most.
    """
    from prefect.client.schemas.filters import (
        DeploymentFilter,
        DeploymentFilterId,
        FlowRunFilter,
        FlowRunFilterExpectedStartTime,
        FlowRunFilterState,
        FlowRunFilterStateType,
    )
    from prefect.client.schemas.sorting import FlowRunSort

    return client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment_id])),
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(states))),
            expected_start_time=FlowRunFilterExpectedStartTime(after_=since, before_=until),
        ),
        sort=FlowRunSort.EXPECTED_START_TIME_DESC,
    )


def find_run_as_of(project: Project, run: FlowRun) -> datetime | None:
    """Return the as-of of a deployment's run in UTC; None if what it was asked for is no as-of."""
    asked = run.parameters.get("as_of")
    if asked:
        with suppress(ConfigError):
            return project.parse_instant(str(asked))
    elif run.expected_start_time:
        return find_scheduled_as_of(project, run.expected_start_time)
    return None


@contextmanager
def translate_api_errors() -> Iterator[None]:
    """Raise LeadscoreError in the place of each way in which the Prefect API fails to answer."""
    import httpx
    from prefect.exceptions import PrefectHTTPStatusError

    try:
        yield
    # RuntimeError is how the client of Prefect 3.9 reports a server that it cannot ask for its
    # version, or that has another one.
    except (httpx.HTTPError, PrefectHTTPStatusError, RuntimeError) as error:
        raise LeadscoreError(
            "the Prefect API does not answer as it should",
            where="PREFECT_API_URL",
            found=type(error).__name__,
            fix="start the server (`prefect server start`), or correct the address",
        ) from error
