"""What `deploy --status` reports: its parts, as lines for a person, as JSON, and as an alarm.

Only what is light is imported: an alarm must be shown where anything else is broken.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from configs.errors import make_printable

if TYPE_CHECKING:
    from pathlib import Path

    from configs.schema import Project

# Attempts after the last good run that are listed: enough to see a pattern, on one screen.
MAX_ATTEMPTS_SHOWN = 5
# Tolerated delay of an export after its table and of a start after its time, and difference of
# clocks.
TOLERANCE = timedelta(hours=1)
# Status of an attempt that the ledger calls started although its process is gone. The next run
# will call it failed.
KILLED = "killed"


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
        processor_seconds: Processor time; None of a run that has not ended well.
        peak_memory_bytes: Most memory of its process, as well.
        written_bytes: Bytes given to the disk, as well, and where they are not counted.
    """

    run_id: str
    as_of: datetime
    status: str
    started_at: datetime
    finished_at: datetime | None
    rows: int
    message: str | None
    processor_seconds: float | None = None
    peak_memory_bytes: int | None = None
    written_bytes: int | None = None


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


@dataclass(frozen=True)
class ScoreRun:
    """One run of the scoring deployment, as the server reports it.

    Attributes:
        as_of: Its as-of, in UTC.
        state: Its type of state in lower case, such as ``crashed``.
    """

    as_of: datetime
    state: str


@dataclass(frozen=True)
class Findings:
    """What a check found, as lines without secrets and without values of rows.

    Attributes:
        alarms: What is wrong now; the command exits with 5.
        warnings: What needs a person but is no alarm.
        notes: Everything else that a person should know.
    """

    alarms: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __add__(self, other: Findings) -> Findings:
        """Return the lines of both."""
        return Findings(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def make_printable(self) -> Findings:
        """Return lines that any terminal and webhook takes: a file may put any text into one."""
        return Findings(*(tuple(map(make_printable, getattr(self, f.name))) for f in fields(self)))


@dataclass(frozen=True)
class Watched:
    """What the checks look at.

    Attributes:
        project: The config.
        now: The machine's time in UTC.
        attempts: Runs of the ledger in the order of starting; None if it cannot be read, which is
            an alarm already.
        deployments: Prefect deployments; None if no API is configured or it does not answer.
        score_runs: Runs of the scoring deployment that are lost or under way.
    """

    project: Project
    now: datetime
    attempts: tuple[Attempt, ...] | None
    deployments: tuple[DeploymentStatus, ...] | None
    score_runs: tuple[ScoreRun, ...] = ()

    @property
    def last_good(self) -> Attempt | None:
        """Return the run that published the newest as-of."""
        return max(
            (attempt for attempt in self.attempts or () if attempt.status == "published"),
            key=lambda attempt: (attempt.as_of, attempt.finished_at or attempt.started_at),
            default=None,
        )

    @property
    def since(self) -> tuple[Attempt, ...]:
        """Return the attempts that started after the last good one, the newest first."""
        good = self.last_good
        return tuple(
            attempt
            for attempt in reversed(self.attempts or ())
            if good is None or attempt.started_at > good.started_at
        )


@dataclass(frozen=True)
class NightlyStatus:
    """Status of a project's nightly runs at an instant; they are well without alarms.

    Attributes:
        project: Name of the project; None if the config cannot be read.
        config: Path of the config.
        now: The instant, in UTC.
        last_good: The run that published the newest as-of; None if none did.
        since: The last attempts that started after it, the newest first.
        deployments: Prefect deployments; empty where no API is configured.
        findings: Alarms, warnings and notes.
        details: Messages of failed checks with place and example, for the local log alone.
    """

    project: str | None
    config: str
    now: datetime
    last_good: Attempt | None = None
    since: tuple[Attempt, ...] = ()
    deployments: tuple[DeploymentStatus, ...] = ()
    findings: Findings = field(default_factory=Findings)
    details: tuple[str, ...] = ()

    @classmethod
    def without_knowledge(cls, config: Path, now: datetime, reason: str) -> NightlyStatus:
        """Return the status where the watcher itself failed: one alarm."""
        line = f"the state of the nightly runs is not known: {reason}"
        return cls(None, make_printable(str(config)), now, findings=Findings((line,)))

    @property
    def alarms(self) -> tuple[str, ...]:
        """Lines on what is wrong."""
        return self.findings.alarms

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        shown = ("project", "config", "now", "last_good", "since", "deployments")
        payload = asdict(self)
        values = {name: payload[name] for name in shown} | payload["findings"]
        return {"healthy": not self.alarms, **_to_plain(values)}

    def lines(self) -> list[str]:
        """Return it as lines for a person."""
        good = self.last_good
        summary = self._describe_last_good(good) if good else "none"
        lines = [f"{self.project or self.config}: last good night: {summary}"]
        lines += [f"since then: {_format_attempt(attempt)}" for attempt in self.since]
        lines += [_format_deployment(deployment) for deployment in self.deployments]
        lines += [f"note: {note}" for note in self.findings.notes]
        lines += [f"WARNING: {warning}" for warning in self.findings.warnings]
        lines += [f"ALARM: {alarm}" for alarm in self.alarms]
        return lines if self.alarms or self.findings.warnings else [*lines, "all is well"]

    def to_alarm(self) -> dict[str, Any] | None:
        """Return the webhook's body: alarms and warnings; None if there are none.

        It does not include the attempts' messages, which may quote a row.
        """
        lines = [*self.alarms, *self.findings.warnings]
        if not lines:
            return None
        return {
            "text": f"{self.project or self.config}: {'; '.join(lines)}",
            "source": "leadscore",
            "project": self.project,
            "state": "Alarm" if self.alarms else "Warning",
            "said": lines,
        }

    def _describe_last_good(self, good: Attempt) -> str:
        age = self.now - (good.finished_at or self.now)
        return (
            f"as of {format_seconds(good.as_of)}, {good.rows:,} rows, "
            f"finished {format_seconds(good.finished_at)}, {format_age(age)}"
        )


def format_seconds(moment: datetime | None) -> str:
    """Return an instant to the second."""
    return moment.isoformat(timespec="seconds") if moment else "never"


def format_hours(span: timedelta) -> str:
    """Return a span in hours, from two days on in days."""
    hours = span / timedelta(hours=1)
    # From two days on, hours are hard to read. Adding 0.0 turns -0.0 into 0.0.
    return f"{hours / 24:.1f} days" if abs(hours) >= 48 else f"{round(hours, 1) + 0.0:.1f} h"


def format_age(span: timedelta) -> str:
    """Return how long ago something was."""
    return f"{format_hours(span)} ago"


def _to_plain(value: Any) -> Any:
    """Return plain JSON values of this module's own types, without importing NumPy."""
    if isinstance(value, dict):
        return {key: _to_plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_to_plain(part) for part in value]
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value


def _format_deployment(status: DeploymentStatus) -> str:
    if not status.exists:
        return f"{status.name}: missing"
    parts = [
        "paused" if status.paused else "",
        f"running since {format_seconds(status.running)}" if status.running else "",
        f"waiting since {format_seconds(status.waiting)}" if status.waiting else "",
        f"next {format_seconds(status.due)}" if status.due else "no run planned",
    ]
    return f"{status.name}: " + ", ".join(part for part in parts if part)


def _format_attempt(attempt: Attempt) -> str:
    first_line = (attempt.message or "").split("\n", 1)[0]
    text = (
        f"{attempt.status} as of {format_seconds(attempt.as_of)}, "
        f"started {format_seconds(attempt.started_at)}"
    )
    return f"{text}: {first_line}" if first_line else text
