"""Status of the nightly runs: the last good one, and what keeps the next from succeeding.

It is read from the run ledger, so it is right however runs are started; where a Prefect API is
configured, also from its deployments. A schedule that never fires leaves no failed run: only the
age of the last good run shows it.

A part that cannot be read is an alarm by itself, and hides nothing else. So this module imports
only what is light, and each check runs guarded: its failure and its silence are alarms.
"""

from __future__ import annotations

import contextvars
import os
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from configs.errors import make_printable
from pipelines.orchestration import alarm
from pipelines.orchestration.deployment_status import ServerState, check_deployments, read_server
from pipelines.orchestration.ledger_checks import (
    check_export,
    check_last_attempt,
    check_lateness,
    check_night_costs,
    check_stored_state,
    read_attempts,
)
from pipelines.orchestration.missing_nights import check_missing_nights
from pipelines.orchestration.status import (
    MAX_ATTEMPTS_SHOWN,
    Findings,
    NightlyStatus,
    Watched,
)

if TYPE_CHECKING:
    from configs.schema import Project

Result = TypeVar("Result")
# Time limit of one check: a database may hold a lock, and a disk on a network may never answer.
# All of them together end before the five minutes of docs/operations/leadscore-status@.service.
CHECK_SECONDS = 60.0
# What is checked, in the order of the lines, and the words for it in an alarm “cannot check …”.
# A new check is one more line: a function of Watched that returns Findings.
CHECKS: tuple[tuple[str, Callable[[Watched], Findings]], ...] = (
    ("the age of the last good night", check_lateness),
    ("the last attempt", check_last_attempt),
    ("for missing nights", check_missing_nights),
    ("the export", check_export),
    ("the cost of nights", check_night_costs),
    ("the stored state", check_stored_state),
    ("the deployments", check_deployments),
)


@dataclass
class Guard:
    """Runs one check after the other; what fails or hangs becomes an alarm.

    Attributes:
        alarms: One line for each failure, without secrets and without values of rows.
        details: Their messages in full, for the local log alone.
    """

    alarms: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)

    def run(self, problem: str, work: Callable[[], Result]) -> Result | None:
        """Return what the work returns; None if it fails or exceeds CHECK_SECONDS.

        The alarm is ``problem`` and the reason.
        """
        results, errors = _run_in_thread(work)
        if results:
            return results[0]
        reason = f"no answer within {CHECK_SECONDS:.0f} s"
        for error in errors:
            reason = alarm.describe_failure(error)["what"]
            self.details.append(_describe_in_full(error))
        self.alarms.append(f"{problem}: {reason}")
        return None


def watch_config(config: Path, now: datetime) -> NightlyStatus:
    """Return the status of the project of a config at ``now``, the machine's time in UTC.

    Never raises. A config that cannot be read is an alarm, and the server is still asked.
    """
    guard = Guard()
    project = guard.run(
        f"cannot read the config {config}, see `leadscore check {config}`",
        lambda: _load_project(config),
    )
    if project is not None:
        return read_status(project, now)
    _read_server(guard, None, now)
    findings = (Findings(tuple(guard.alarms)) + _check_webhook()).make_printable()
    name = make_printable(str(config))
    return NightlyStatus(None, name, now, findings=findings, details=tuple(guard.details))


def read_status(project: Project, now: datetime) -> NightlyStatus:
    """Return the status of a project's nightly runs at ``now``, the machine's time in UTC.

    Nothing is changed, and no workspace is created. Never raises.
    """
    guard = Guard()
    attempts = guard.run("cannot read the run ledger", lambda: read_attempts(project))
    server = _read_server(guard, project, now)
    deployments, score_runs = server or (None, ())
    watched = Watched(project, now, attempts, deployments, score_runs)
    findings = _check_webhook()
    for subject, check in CHECKS:
        findings += guard.run(f"cannot check {subject}", partial(check, watched)) or Findings()
    return NightlyStatus(
        project.project,
        make_printable(project.path),
        now,
        watched.last_good,
        watched.since[:MAX_ATTEMPTS_SHOWN],
        deployments or (),
        (Findings(tuple(guard.alarms)) + findings).make_printable(),
        tuple(guard.details),
    )


def _load_project(config: Path) -> Project:
    from configs.schema import load_project

    return load_project(config)


def _read_server(guard: Guard, project: Project | None, now: datetime) -> ServerState | None:
    problem = (
        "the Prefect server cannot be asked, so that no run may start; check that it runs, "
        "PREFECT_API_URL and the installed Prefect"
    )
    return guard.run(problem, lambda: read_server(project, now))


def _check_webhook() -> Findings:
    """Return an alarm for an address to which no alarm can be sent."""
    if alarm.is_address_valid():
        return Findings()
    line = f"{alarm.WEBHOOK_VARIABLE} is no http or https address: no alarm can be sent"
    return Findings((line,))


def _run_in_thread(work: Callable[[], Result]) -> tuple[list[Result], list[BaseException]]:
    """Return what the work returned, or what it raised; neither after CHECK_SECONDS.

    Work that hangs, such as a read from a disk that is gone, is left behind in its thread.
    """
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        # BaseException: a library that ends its thread must not silence the watcher.
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    # A daemon: a thread that hangs must not keep the process from ending.
    thread = threading.Thread(target=contextvars.copy_context().run, args=(run,), daemon=True)
    thread.start()
    thread.join(CHECK_SECONDS)
    return results, errors


def _describe_in_full(error: BaseException) -> str:
    """Return the message of an error, with its traceback if LEADSCORE_DEBUG asks for it."""
    if os.environ.get("LEADSCORE_DEBUG"):
        return "".join(traceback.format_exception(error))
    return str(error) or type(error).__name__
