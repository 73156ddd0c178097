"""How the nights go: when the last good one was, and what keeps the next from being one.

From the ledger, so it is true whoever runs the nights; where a Prefect API is configured, also from its deployments.
A schedule that never fires leaves no failed run behind: only the age of the last good night tells.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from configs.durations import format_duration
from configs.errors import LeadscoreError
from configs.schema import Project
from pipelines.runner import is_prefect_configured
from pipelines.workspace import open_store
from serve.export.atomic_folders import CURRENT_LINK, read_manifest
from serve.lock import is_workspace_held

if TYPE_CHECKING:
    from pipelines.orchestration.deploy import DeploymentStatus

MAX_ATTEMPTS_SHOWN = 5
"""So many attempts after the last good night are told."""
KILLED = "killed"
"""What the ledger still calls started although its process is gone; the next run will call it failed."""
DATABASE_PATIENCE_SECONDS = 10.0
"""Seconds that a database may take to answer: whoever watches wants to know that it does not."""
TOLERANCE = timedelta(hours=1)
"""An export may be this much later than its table, a start than its time, a clock than another."""


@dataclass(frozen=True)
class Attempt:
    """One run of the ledger, all its targets together; instants in UTC by the machine's clock, but for the as-of.

    ``status`` is the ledger's, or KILLED; of a database that other machines may use too it is the ledger's.
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
    """How the nights of a project go at an instant; ``alarms`` is empty if they go well.

    ``last_good`` is the run that published the newest as-of; ``since`` are the attempts begun after it, newest first;
    ``notes`` is what a person may want to know that is no alarm.
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
        told = {"healthy": not self.alarms, **asdict(self), "warning": self.warning or None}
        return json.loads(json.dumps(told, default=datetime.isoformat))

    def lines(self) -> list[str]:
        """Return it in words."""
        good = self.last_good
        lines = [f"{self.project}: last good night: " + (self._told(good) if good else "none")]
        lines += [f"since then: {_line(attempt)}" for attempt in self.since]
        lines += [_format_deployment(each) for each in self.deployments]
        lines += [f"note: {note}" for note in self.notes]
        lines += [f"WARNING: {self.warning}"] if self.warning else []
        lines += [f"ALARM: {alarm}" for alarm in self.alarms]
        return lines if self.alarms or self.warning else [*lines, "all is well"]

    @property
    def warning(self) -> str:
        """Say that the last attempt came to nothing, which is no alarm until the last good night is too old."""
        last = self.since[0] if self.since else None
        wrong = last and last.status in ("refused", "failed", KILLED)
        return (
            f"the last attempt, as of {_instant(last.as_of)}: {last.status}"
            if last and wrong
            else ""
        )

    def told(self) -> dict[str, Any] | None:
        """Return what a webhook is told: the alarms, and whether the last attempt came to nothing; None if all is well.

        Without the attempt's message, which may quote a row.
        """
        said = [*self.alarms, *filter(None, [self.warning])]
        if not said:
            return None
        head = {
            "source": "leadscore",
            "project": self.project,
            "state": "Alarm" if self.alarms else "Warning",
        }
        return {"text": f"{self.project}: {'; '.join(said)}", **head, "said": said}

    def _told(self, good: Attempt) -> str:
        age = self.now - (good.finished_at or self.now)
        return f"as of {_instant(good.as_of)}, {good.rows:,} rows, finished {_instant(good.finished_at)}, {_ago(age)}"


def status(project: Project, now: datetime) -> NightlyStatus:
    """Return how the nights of a project go at ``now``, which is the machine's time.

    Changes nothing, and makes no workspace where there is none. Raises LeadscoreError if the ledger cannot be read.
    """
    attempts = _read_attempts(project)
    if project.publish.database is None and not is_workspace_held(project.workspace_path):
        attempts = [
            replace(each, status=KILLED) if each.status == "started" else each for each in attempts
        ]
    published = [each for each in attempts if each.status == "published"]
    good = max(
        published, key=lambda each: (each.as_of, each.finished_at or each.started_at), default=None
    )
    since = [
        each for each in reversed(attempts) if good is None or each.started_at > good.started_at
    ]
    alarms = [*_check_lateness(project, good, now), *_check_export(project, good, now)]
    deployments, notes, silent = _check_deployments(project, now)
    alarms += silent
    alarms += [alarm for each in deployments for alarm in _check_deployment(each, project, now)]
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
    for row in open_store(project, DATABASE_PATIENCE_SECONDS).runs(project.project).to_pylist():
        before = runs.get(row["run_id"])
        names = ("run_id", "as_of", "status", "started_at", "finished_at", "message")
        rows = (row["rows"] or 0) + (before.rows if before else 0)
        runs[row["run_id"]] = Attempt(**{name: row[name] for name in names}, rows=rows)
    return list(runs.values())


def _check_lateness(project: Project, good: Attempt | None, now: datetime) -> list[str]:
    """Say whether the last good night is too long ago, or was of an as-of long past when it ran."""
    late = project.schedule.late
    if good is None or good.finished_at is None:
        return ["no night was ever published"]
    if good.finished_at > now + TOLERANCE:
        return [
            f"the last good night finished {_instant(good.finished_at)}, which is yet to come: look at the clock"
        ]
    if now - good.finished_at > late:
        return [
            f"the last good night finished {_ago(now - good.finished_at)}, more than {format_duration(late)}"
        ]
    if good.finished_at - good.as_of > late:
        return [
            f"the last good night was as of {_instant(good.as_of)}, "
            f"{_hours(good.finished_at - good.as_of)} before it finished: are the sources and the as-of up to date?"
        ]
    return []


def _check_export(project: Project, good: Attempt | None, now: datetime) -> list[str]:
    """Say whether the file that the CRM reads is another night's than the newest published."""
    if good is None or good.finished_at is None or now - good.finished_at < TOLERANCE:
        return []
    fix = f"run `leadscore export {project.path}`"
    try:
        found = read_manifest(project.workspace_path / "exports" / CURRENT_LINK)
    except (OSError, ValueError) as error:
        return [f"the export cannot be read ({type(error).__name__}): {fix}"]
    if found.get("run_id") == good.run_id:
        return []
    return [f"the export is as of {found.get('as_of')}, not the newest published night: {fix}"]


def _check_deployments(
    project: Project, now: datetime
) -> tuple[Sequence[DeploymentStatus], list[str], list[str]]:
    """Return the deployments, what is to be noted, and what is to be raised where the server does not tell of them."""
    if not is_prefect_configured():
        return [], ["no Prefect API is configured; the ledger alone was read"], []
    from pipelines.orchestration.deploy import read_deployments

    try:
        found = read_deployments(project, now)
    except LeadscoreError as error:
        return (
            [],
            [],
            [
                f"{error.what}: until it does no run starts; see that the server runs, and PREFECT_API_URL"
            ],
        )
    if not any(each.exists for each in found):
        return [], [f"the Prefect server knows no deployment of {project.project}"], []
    return found, [], []


def _check_deployment(found: DeploymentStatus, project: Project, now: datetime) -> list[str]:
    """Say what keeps a deployment from running when it should."""
    if not found.exists:
        return [f"{found.name} is missing: start `leadscore deploy {project.path}` again"]
    if found.paused:
        return [
            f"{found.name} is paused: `prefect deployment schedule resume`, or start the deployment again"
        ]
    if found.scheduled and found.due is None:
        return [f"{found.name} has a schedule and no run planned: does the server's scheduler run?"]
    if found.running and now - found.running > project.schedule.limit + TOLERANCE:
        return [f"{found.name} should have ended: its run was due {_instant(found.running)}"]
    if found.waiting and found.running is None and now - found.waiting > TOLERANCE:
        return [
            f"{found.name} was due {_instant(found.waiting)} and has not begun: does `leadscore deploy` run?"
        ]
    return []


def _format_deployment(found: DeploymentStatus) -> str:
    if not found.exists:
        return f"{found.name}: missing"
    parts = [
        "paused" if found.paused else "",
        f"running since {_instant(found.running)}" if found.running else "",
        f"waiting since {_instant(found.waiting)}" if found.waiting else "",
        f"next {_instant(found.due)}" if found.due else "no run planned",
    ]
    return f"{found.name}: " + ", ".join(part for part in parts if part)


def _format_attempt(attempt: Attempt) -> str:
    said = (attempt.message or "").split("\n", 1)[0]
    told = f"{attempt.status} as of {_instant(attempt.as_of)}, begun {_instant(attempt.started_at)}"
    return f"{told}: {said}" if said else told


def _format_instant(moment: datetime | None) -> str:
    return moment.isoformat(timespec="seconds") if moment else "never"


def _format_duration(span: timedelta) -> str:
    hours = span / timedelta(hours=1)
    return f"{hours / 24:.1f} days" if abs(hours) >= 48 else f"{round(hours, 1) + 0.0:.1f} h"


def _format_age(span: timedelta) -> str:
    return f"{_hours(span)} ago"
