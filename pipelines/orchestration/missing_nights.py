"""Nights that were never published: a warning until they are made up or given up."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from pipelines.cron import find_scheduled_as_of, list_scheduled_days
from pipelines.orchestration.status import KILLED, Attempt, Findings, Watched

if TYPE_CHECKING:
    from configs.schema import Project

# A night older than this is not reported: its scores would help nobody any more.
PAST = timedelta(days=14)
MAX_LINES = 10
# Two nights on time with at most one missing between them show that a schedule runs: a trial some
# days before it is not its first night.
MAX_STEP = 2
LOST = (KILLED, "failed", "refused", "crashed")
UNDER_WAY = ("running", "pending", "scheduled")


def check_missing_nights(watched: Watched) -> Findings:
    """Return a warning for each missing night, consecutive days in one line."""
    project, missing = watched.project, find_missing_nights(watched)
    groups = list[list[datetime]]()
    for as_of in missing:
        if groups and _is_next_day(project, groups[-1][-1], as_of):
            groups[-1].append(as_of)
        else:
            groups.append([as_of])
    lines = [_describe_group(project, group, missing) for group in groups[:MAX_LINES]]
    if rest := sum(map(len, groups[MAX_LINES:])):
        lines.append(f"{rest} more nights are missing")
    return Findings(warnings=tuple(lines))


def find_missing_nights(watched: Watched) -> dict[datetime, str]:
    """Return why each missing as-of is missing, in order of time.

    Missing is an as-of of the last PAST without a published run that was attempted in the ledger or
    by Prefect, or lies in a gap of the schedule. What came before the first published as-of is not.
    """
    attempts = watched.attempts or ()
    published = {attempt.as_of for attempt in attempts if attempt.status == "published"}
    if not published:
        return {}
    states = dict.fromkeys(_list_gaps(watched, published), "no run")
    states |= {run.as_of: run.state for run in watched.score_runs}
    # The last attempt decides: one after a night was given up counts again.
    states |= {attempt.as_of: attempt.status for attempt in attempts}
    states |= {run.as_of: run.state for run in watched.score_runs if run.state in UNDER_WAY}
    begin = max(min(published), watched.now - PAST)
    return {
        as_of: state
        for as_of, state in sorted(states.items())
        if as_of not in published and begin <= as_of <= watched.now and state in (*LOST, "no run")
    }


def _list_gaps(watched: Watched, published: set[datetime]) -> Iterable[datetime]:
    """Return the as-ofs of the schedule between its first and its last published one."""
    project = watched.project
    line, zone = project.schedule.score, project.zone
    if line is None or project.schedule.as_of == "start":
        return []
    start = (watched.now - PAST).astimezone(zone).date()
    dates = sorted(as_of.astimezone(zone).date() for as_of in published)
    days = list_scheduled_days(line, dates[0], dates[-1]) or []
    midnights = [
        find_scheduled_as_of(project, datetime(day.year, day.month, day.day, tzinfo=zone))
        for day in days
    ]
    on_time = {a.as_of for a in watched.attempts or () if _is_on_time(a, project)}
    kept = [number for number, midnight in enumerate(midnights) if midnight in on_time]
    regular = (before for before, after in pairwise(kept) if after - before <= MAX_STEP)
    first = next(regular, len(midnights))
    return [m for m in midnights[first:] if m.astimezone(zone).date() >= start]


def _is_on_time(attempt: Attempt, project: Project) -> bool:
    """Return whether an attempt published its as-of in its own night, and not in a backfill."""
    end = attempt.finished_at or attempt.started_at
    return attempt.status == "published" and end - attempt.as_of <= project.schedule.late


def _describe_group(project: Project, group: list[datetime], reasons: dict[datetime, str]) -> str:
    first, last = (_format_as_of(project, as_of) for as_of in (group[0], group[-1]))
    reason = ", ".join(sorted({reasons[as_of] for as_of in group}))
    if len(group) == 1:
        night, date = f"night as of {first} is", first
        command = f"leadscore score {project.path} --direct --as-of {first}"
    else:
        night, date = f"nights as of {first} to {last} are", "DATE"
        command = f"leadscore score {project.path} --as-of {first} --until {last}"
    return (
        f"the {night} missing ({reason}): run `{command}`, "
        f"or `leadscore deploy {project.path} --give-up {date}`"
    )


def _is_next_day(project: Project, before: datetime, after: datetime) -> bool:
    """Return whether two as-ofs are local midnights of consecutive days."""
    if not (project.timed and _is_midnight(project, before) and _is_midnight(project, after)):
        return False
    days = (as_of.astimezone(project.zone).date() for as_of in (before, after))
    return next(days) + timedelta(days=1) == next(days)


def _is_midnight(project: Project, as_of: datetime) -> bool:
    return project.parse_instant(as_of.astimezone(project.zone).date().isoformat()) == as_of


def _format_as_of(project: Project, as_of: datetime) -> str:
    """Return an as-of as `--as-of` takes it: a date where it is a local midnight."""
    local = as_of.astimezone(project.zone)
    return local.date().isoformat() if _is_midnight(project, as_of) else as_of.isoformat()
