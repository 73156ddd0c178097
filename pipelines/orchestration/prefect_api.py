"""Calls of the Prefect API that serving and watching share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from configs.errors import LeadscoreError

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun, StateType


def find_flow_runs(
    client: SyncPrefectClient, deployment_id: UUID, *states: StateType
) -> list[FlowRun]:
    """Return the runs of a deployment that are in one of the states."""
    from prefect.client.schemas.filters import (
        DeploymentFilter,
        DeploymentFilterId,
        FlowRunFilter,
        FlowRunFilterState,
        FlowRunFilterStateType,
    )

    return client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment_id])),
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(states)))
        ),
    )


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
