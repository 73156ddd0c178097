"""Runs that were lost with a process: the serving process starts them again, a limited number.

A run is lost if it is unfinished or was cancelled when its serving process ended, or if it crashed:
its own process was killed, such as by the out-of-memory killer, or its machine fell silent.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from configs.errors import WorkspaceBusy
from pipelines.cron import FLOW_NAMES
from pipelines.orchestration.ledger_checks import DATABASE_PATIENCE_SECONDS
from pipelines.orchestration.missing_nights import PAST
from pipelines.orchestration.prefect_api import find_flow_runs, find_run_as_of
from pipelines.runner import read_clock
from pipelines.workspace import open_store
from serve.lock import lock_workspace
from serve.store.ledger import GIVEN_UP

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

    from configs.schema import Project

LOG = logging.getLogger("prefect.leadscore")
# Pause between two searches for lost runs, each a few calls of the API.
SEARCH_SECONDS = 60.0
# Message of the state in which Prefect 3.9.1 leaves the runs of a process that is being stopped;
# 3.8.8 left them Running.
SHUTDOWN_MESSAGE = "Runner is shutting down."
# Messages of the states in which lost runs are started again. The server keeps all states of a run,
# so that they are also the count of its repeats.
KILLED_MESSAGE = "started again: its process was killed or fell silent"
STOPPED_MESSAGE = "started again: the process that served it was stopped"
# Message of the state of a run that is not started again any more.
LOST_MESSAGE = "lost with its process, and again when it was repeated"
# A run that takes more memory than there is kills its process each time: once more is enough. A
# serving process is stopped by people, who may restart a machine more than once in a night.
MAX_REPEATS = {KILLED_MESSAGE: 1, STOPPED_MESSAGE: 5}


def watch_for_lost_runs(project: Project) -> None:
    """Repeat lost runs now, and from time to time in a thread while this process serves.

    Call it before this process starts a run: every unfinished run belongs to a former process.
    """
    former = find_unfinished_runs(project)
    _search_for_lost_runs(project, former)

    def search() -> None:
        pause = threading.Event()
        while not pause.wait(SEARCH_SECONDS):
            _search_for_lost_runs(project, former)

    threading.Thread(target=search, name="lost runs", daemon=True).start()


def find_unfinished_runs(project: Project) -> dict[UUID, str]:
    """Return runs that are unfinished or ended with their serving process, and why each is lost.

    A run that a person cancelled has another message, and is not among them.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.objects import StateType

    unfinished = (StateType.RUNNING, StateType.PENDING)
    lost: dict[UUID, str] = {}
    with get_client(sync_client=True) as client:
        for _, deployment_id in _list_deployments(client, project):
            for run in find_flow_runs(client, deployment_id, *unfinished, StateType.CANCELLED):
                if run.state_type in unfinished:
                    lost[run.id] = KILLED_MESSAGE
                elif run.state and run.state.message == SHUTDOWN_MESSAGE:
                    lost[run.id] = STOPPED_MESSAGE
    return lost


def repeat_lost_runs(project: Project, former: dict[UUID, str]) -> None:
    """Have the server schedule lost runs of a project again, each with its as-of.

    ``former`` are the unfinished runs of former processes; those that are settled are removed. They
    are surely dead if nobody holds the workspace; if somebody does, one of them may be alive, and
    all are left as they are until the next search.
    """
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        # Searched without the lock, which would make a person's run fail that starts just now.
        if not former and not any(_find_crashed_runs(client, project)):
            return
        with suppress(WorkspaceBusy), lock_workspace(project.workspace_path):
            lost = [(client.read_flow_run(run_id), why) for run_id, why in former.items()]
            for run, why in lost:
                # One that ended by itself in between is done.
                if why == STOPPED_MESSAGE or (run.state and not run.state.is_final()):
                    _schedule_again(client, run, why)
            former.clear()
            for run in _find_crashed_runs(client, project):
                _schedule_again(client, run, KILLED_MESSAGE)


def _search_for_lost_runs(project: Project, former: dict[UUID, str]) -> None:
    try:
        repeat_lost_runs(project, former)
    # The next search may succeed: a server or a database is away for a while.
    except Exception as error:  # noqa: BLE001
        LOG.warning("lost runs cannot be searched for: %s", type(error).__name__)


def _list_deployments(client: SyncPrefectClient, project: Project) -> Iterator[tuple[str, UUID]]:
    """Yield the flows that are deployed, and the id of the deployment."""
    from prefect.exceptions import ObjectNotFound

    for name in FLOW_NAMES:
        with suppress(ObjectNotFound):
            deployment = client.read_deployment_by_name(f"leadscore-{name}/{project.project}")
            yield name, deployment.id


def _schedule_again(client: SyncPrefectClient, run: FlowRun, message: str) -> None:
    from prefect.states import Crashed, Scheduled, State

    again = _count_repeats(client, run, message) < MAX_REPEATS[message]
    state: State = (
        Scheduled(scheduled_time=run.expected_start_time, message=message)
        if again
        else Crashed(message=LOST_MESSAGE)
    )
    LOG.warning("run '%s' was lost: %s", run.name, state.message)
    client.set_flow_run_state(run.id, state, force=True)


def _find_crashed_runs(client: SyncPrefectClient, project: Project) -> Iterator[FlowRun]:
    """Yield the crashed runs of the last PAST that are to be repeated."""
    from prefect.client.schemas.objects import StateType

    now = read_clock()
    for name, deployment_id in _list_deployments(client, project):
        crashed = find_flow_runs(
            client, deployment_id, StateType.CRASHED, since=now - PAST, until=now
        )
        for run in crashed:
            if _may_repeat(client, run) and not _is_made_up(client, project, name, run):
                yield run


def _may_repeat(client: SyncPrefectClient, run: FlowRun) -> bool:
    if run.state and run.state.message == LOST_MESSAGE:
        return False
    return _count_repeats(client, run, KILLED_MESSAGE) < MAX_REPEATS[KILLED_MESSAGE]


def _count_repeats(client: SyncPrefectClient, run: FlowRun, message: str) -> int:
    return sum(state.message == message for state in client.read_flow_run_states(run.id))


def _is_made_up(client: SyncPrefectClient, project: Project, flow: str, run: FlowRun) -> bool:
    """Return whether a lost run need not be repeated.

    A night was published by another run, or given up; one that was killed after it published is
    repeated, since its export may be missing. Any other flow ran later.
    """
    from prefect.client.schemas.objects import StateType

    if flow == "score":
        as_of, store = find_run_as_of(project, run), open_store(project, DATABASE_PATIENCE_SECONDS)
        return as_of is None or any(
            row["as_of"] == as_of
            and row["status"] in ("published", GIVEN_UP)
            and row["flow_run_id"] != str(run.id)
            for row in store.runs(project.project).to_pylist()
        )
    if run.deployment_id is None:
        return True
    begun = (StateType.COMPLETED, StateType.FAILED, StateType.RUNNING, StateType.PENDING)
    later = find_flow_runs(client, run.deployment_id, *begun, since=run.expected_start_time)
    return any(other.id != run.id for other in later)
