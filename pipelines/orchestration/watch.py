"""Status of the nightly runs: the last good one, and what keeps the next from succeeding.

It is read from the run ledger, so it is right however runs are started; where a Prefect API is
configured, also from its deployments. A schedule that never fires leaves no failed run: only the
age of the last good run shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from configs.durations import format_duration
from configs.errors import LeadscoreError
from configs.schema import Project
from features.tools.json_values import to_json_values
from pipelines.runner import is_prefect_configured
from pipelines.workspace import open_store
from serve.export.atomic_folders import CURRENT_LINK, read_manifest
from serve.lock import is_workspace_held

if TYPE_CHECKING:
    from pipelines.orchestration.deployment_status import DeploymentStatus

# Attempts after the last good run that are listed: enough to see a pattern, on one screen.
MAX_ATTEMPTS_SHOWN = 5
# Status of an attempt that the ledger calls started although its process is gone. The next run
# will call it failed.
KILLED = "killed"
# A status command must report soon that a database does not answer.
DATABASE_PATIENCE_SECONDS = 10.0
# Tolerated delay of an export after its table and of a start after its time, and difference of
# clocks.
TOLERANCE = timedelta(hours=1)


@dataclass(frozen=True)
class Attempt:
    """One run of the ledger, over all its targets. Instants are in UTC.

    Attributes:
        run_id: Id of the run.
        as_of: The as-of.
        status: The ledger's status, or KILLED. Of a database that other machines may use too, the
            ledger's status is kept.
        started_at: Start, by the machine's clock.
        finished_at: End, by the machine's clock; None if it has not ended.
        rows: Number of published rows.
        message: Why it was refused or failed.
    """

    run_id: str
    as_of: datetime
    status: str
    started_at: datetime
    finished_at: datetime | None
    rows: int
    message: str | None


@dataclass(frozen=True)
class NightlyStatus:
    """Status of a project's nightly runs at an instant; they are well without alarms.

    Attributes:
        project: Name of the project.
        now: The instant, in UTC.
        last_good: The run that published the newest as-of; None if none did.
        since: The last attempts that started after it, the newest first.
        deployments: Prefect deployments; empty where no API is configured.
        alarms: Lines on what is wrong.
        notes: Lines that are no alarm.
    """

    project: str
    now: datetime
    last_good: Attempt | None
    since: tuple[Attempt, ...]
    deployments: tuple[DeploymentStatus, ...]
    alarms: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        payload = {"healthy": not self.alarms, **asdict(self), "warning": self.warning or None}
        values: dict[str, Any] = to_json_values(payload)
        return values

    def lines(self) -> list[str]:
        """Return it as lines for a person."""
        good = self.last_good
        summary = self._describe_last_good(good) if good else "none"
        lines = [f"{self.project}: last good night: {summary}"]
        lines += [f"since then: {_format_attempt(attempt)}" for attempt in self.since]
        lines += [_format_deployment(deployment) for deployment in self.deployments]
        lines += [f"note: {note}" for note in self.notes]
        lines += [f"WARNING: {self.warning}"] if self.warning else []
        lines += [f"ALARM: {alarm}" for alarm in self.alarms]
        return lines if self.alarms or self.warning else [*lines, "all is well"]

    @property
    def warning(self) -> str:
        """The last attempt if it published nothing.

        It is no alarm until the last good run is too old.
        """
        last = self.since[0] if self.since else None
        if last is None or last.status not in ("refused", "failed", KILLED):
            return ""
        return f"the last attempt, as of {_format_instant(last.as_of)}: {last.status}"

    def to_alarm(self) -> dict[str, Any] | None:
        """Return the webhook's body: alarms and warning; None if there are none.

        It does not include the attempt's message, which may quote a row.
        """
        lines = [*self.alarms, *filter(None, [self.warning])]
        if not lines:
            return None
        return {
            "text": f"{self.project}: {'; '.join(lines)}",
            "source": "leadscore",
            "project": self.project,
            "state": "Alarm" if self.alarms else "Warning",
            "said": lines,
        }

    def _describe_last_good(self, good: Attempt) -> str:
        age = self.now - (good.finished_at or self.now)
        return (
            f"as of {_format_instant(good.as_of)}, {good.rows:,} rows, "
            f"finished {_format_instant(good.finished_at)}, {_format_age(age)}"
        )


def read_status(project: Project, now: datetime) -> NightlyStatus:
    """Return the status of a project's nightly runs at ``now``, the machine's time in UTC.

    Nothing is changed, and no workspace is created. Raises LeadscoreError if the ledger cannot be
    read.
    """
    attempts = _read_attempts(project)
    # A run in a shared database may be alive on another machine, which no local lock shows.
    if project.publish.database is None and not is_workspace_held(project.workspace_path):
        attempts = [
            replace(attempt, status=KILLED) if attempt.status == "started" else attempt
            for attempt in attempts
        ]
    good = max(
        (attempt for attempt in attempts if attempt.status == "published"),
        key=lambda attempt: (attempt.as_of, attempt.finished_at or attempt.started_at),
        default=None,
    )
    since = [
        attempt
        for attempt in reversed(attempts)
        if good is None or attempt.started_at > good.started_at
    ]
    deployments, notes, server_alarms = _check_deployments(project, now)
    alarms = [
        *_check_lateness(project, good, now),
        *_check_export(project, good, now),
        *server_alarms,
        *(line for item in deployments for line in _check_deployment(item, project, now)),
    ]
    return NightlyStatus(
        project.project,
        now,
        good,
        tuple(since[:MAX_ATTEMPTS_SHOWN]),
        tuple(deployments),
        tuple(alarms),
        tuple(notes),
    )


def _read_attempts(project: Project) -> list[Attempt]:
    """Return the runs of the ledger in the order of starting."""
    if project.publish.database is None and not (project.workspace_path / "scores.db").exists():
        return []
    runs: dict[str, Attempt] = {}
    names = ("run_id", "as_of", "status", "started_at", "finished_at", "message")
    # The ledger has one row per run and target.
    for row in open_store(project, DATABASE_PATIENCE_SECONDS).runs(project.project).to_pylist():
        earlier = runs.get(row["run_id"])
        rows = (row["rows"] or 0) + (earlier.rows if earlier else 0)
        runs[row["run_id"]] = Attempt(**{name: row[name] for name in names}, rows=rows)
    return list(runs.values())


def _check_lateness(project: Project, good: Attempt | None, now: datetime) -> list[str]:
    """Return an alarm if the last good run is too old, or had an old as-of when it ran."""
    late = project.schedule.late
    if good is None or good.finished_at is None:
        return ["no night was ever published"]
    if good.finished_at > now + TOLERANCE:
        return [
            f"the last good night finished {_format_instant(good.finished_at)}, "
            "which is in the future: check the clock"
        ]
    if now - good.finished_at > late:
        return [
            f"the last good night finished {_format_age(now - good.finished_at)}, "
            f"more than {format_duration(late)}"
        ]
    # A schedule that fires on sources that stand still publishes the same as-of again and again.
    if good.finished_at - good.as_of > late:
        return [
            f"the last good night was as of {_format_instant(good.as_of)}, "
            f"{_format_hours(good.finished_at - good.as_of)} before it finished: "
            "are the sources and the as-of up to date?"
        ]
    return []


def _check_export(project: Project, good: Attempt | None, now: datetime) -> list[str]:
    """Return an alarm if the CRM's file is not of the newest published run."""
    if good is None or good.finished_at is None or now - good.finished_at < TOLERANCE:
        return []
    fix = f"run `leadscore export {project.path}`"
    try:
        manifest = read_manifest(project.workspace_path / "exports" / CURRENT_LINK)
    except (OSError, ValueError) as error:
        return [f"the export cannot be read ({type(error).__name__}): {fix}"]
    if manifest.get("run_id") == good.run_id:
        return []
    return [f"the export is as of {manifest.get('as_of')}, not the newest published night: {fix}"]


def _check_deployments(
    project: Project, now: datetime
) -> tuple[Sequence[DeploymentStatus], list[str], list[str]]:
    """Return the deployments, notes, and alarms where the server does not answer."""
    if not is_prefect_configured():
        return [], ["no Prefect API is configured; only the ledger was read"], []
    # Imported here: it imports Prefect, which takes seconds.
    from pipelines.orchestration.deployment_status import read_deployments

    try:
        deployments = read_deployments(project, now)
    except LeadscoreError as error:
        alarm = (
            f"{error.what}: until it does, no run starts; check that the server runs, "
            "and PREFECT_API_URL"
        )
        return [], [], [alarm]
    if not any(deployment.exists for deployment in deployments):
        return [], [f"the Prefect server has no deployment of {project.project}"], []
    return deployments, [], []


def _check_deployment(status: DeploymentStatus, project: Project, now: datetime) -> list[str]:
    """Return an alarm if a deployment does not run when it should."""
    name = status.name
    if not status.exists:
        return [f"{name} is missing: start `leadscore deploy {project.path}` again"]
    if status.paused:
        return [
            f"{name} is paused: `prefect deployment schedule resume`, or start the deployment again"
        ]
    if status.scheduled and status.due is None:
        return [f"{name} has a schedule and no run planned: does the server's scheduler run?"]
    if status.running and now - status.running > project.schedule.limit + TOLERANCE:
        return [f"{name} should have ended: its run was due {_format_instant(status.running)}"]
    if status.waiting and status.running is None and now - status.waiting > TOLERANCE:
        return [
            f"{name} was due {_format_instant(status.waiting)} and has not begun: "
            "does `leadscore deploy` run?"
        ]
    return []


def _format_deployment(status: DeploymentStatus) -> str:
    if not status.exists:
        return f"{status.name}: missing"
    parts = [
        "paused" if status.paused else "",
        f"running since {_format_instant(status.running)}" if status.running else "",
        f"waiting since {_format_instant(status.waiting)}" if status.waiting else "",
        f"next {_format_instant(status.due)}" if status.due else "no run planned",
    ]
    return f"{status.name}: " + ", ".join(part for part in parts if part)


def _format_attempt(attempt: Attempt) -> str:
    first_line = (attempt.message or "").split("\n", 1)[0]
    text = (
        f"{attempt.status} as of {_format_instant(attempt.as_of)}, "
        f"started {_format_instant(attempt.started_at)}"
    )
    return f"{text}: {first_line}" if first_line else text


def _format_instant(moment: datetime | None) -> str:
    return moment.isoformat(timespec="seconds") if moment else "never"


def _format_hours(span: timedelta) -> str:
    hours = span / timedelta(hours=1)
    # From two days on, hours are hard to read. Adding 0.0 turns -0.0 into 0.0.
    return f"{hours / 24:.1f} days" if abs(hours) >= 48 else f"{round(hours, 1) + 0.0:.1f} h"


def _format_age(span: timedelta) -> str:
    return f"{_format_hours(span)} ago"
