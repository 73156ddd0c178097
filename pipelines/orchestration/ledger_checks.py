"""Checks of the nights by the run ledger and the export: age, last attempt, cost, export."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from pipelines.orchestration.missing_nights import find_missing_nights
from pipelines.orchestration.status import (
    KILLED,
    TOLERANCE,
    Attempt,
    Findings,
    Watched,
    format_age,
    format_hours,
    format_seconds,
)

if TYPE_CHECKING:
    from configs.schema import Project

# A status command must report soon that a database does not answer.
DATABASE_PATIENCE_SECONDS = 10.0
# Nights before the last one that it is compared with, and how many it takes for a warning.
COMPARED, ENOUGH = 7, 3
# A night that costs this many times the median of those before it needs a look.
RISE = 2.0
# Costs below these are noise of a small company.
LEAST_SECONDS, LEAST_BYTES = 60.0, 2**30


def read_attempts(project: Project) -> tuple[Attempt, ...]:
    """Return the runs of the ledger in the order of starting, those without a process as KILLED.

    No workspace is created. Raises LeadscoreError or OSError if the ledger cannot be read.
    """
    from pipelines.workspace import open_store
    from serve.lock import is_workspace_held

    is_local = project.publish.database is None
    if is_local and not _has_database(project):
        return ()
    runs: dict[str, Attempt] = {}
    names = [field.name for field in fields(Attempt) if field.name != "rows"]
    # The ledger has one row per run and target.
    for row in open_store(project, DATABASE_PATIENCE_SECONDS).runs(project.project).to_pylist():
        earlier = runs.get(row["run_id"])
        rows = (row["rows"] or 0) + (earlier.rows if earlier else 0)
        runs[row["run_id"]] = Attempt(**{name: row[name] for name in names}, rows=rows)
    # A run in a shared database may be alive on another machine, which no local lock shows.
    if not is_local or is_workspace_held(project.workspace_path):
        return tuple(runs.values())
    return tuple(
        replace(attempt, status=KILLED) if attempt.status == "started" else attempt
        for attempt in runs.values()
    )


def check_lateness(watched: Watched) -> Findings:
    """Return an alarm if the last good run is too old, or had an old as-of when it ran."""
    # Imported here: it imports pydantic, without which the config is what fails.
    from configs.durations import format_duration

    if watched.attempts is None:
        return Findings()
    late, good, now = watched.project.schedule.late, watched.last_good, watched.now
    if good is None or good.finished_at is None:
        return Findings(("no night was ever published",))
    age = now - good.finished_at
    if good.finished_at > now + TOLERANCE:
        line = (
            f"the last good night finished {format_seconds(good.finished_at)}, "
            "which is in the future: check the clock"
        )
    elif age > late:
        line = f"the last good night finished {format_age(age)}, more than {format_duration(late)}"
    # A schedule that fires on sources that stand still publishes the same as-of again and again.
    elif good.finished_at - good.as_of > late:
        line = (
            f"the last good night was as of {format_seconds(good.as_of)}, "
            f"{format_hours(good.finished_at - good.as_of)} before it finished: "
            "are the sources and the as-of up to date?"
        )
    else:
        return Findings()
    return Findings((line,))


def check_last_attempt(watched: Watched) -> Findings:
    """Return a warning if the last attempt published nothing, unless its night is missing.

    It is no alarm until the last good run is too old.
    """
    last = watched.since[0] if watched.since else None
    if last is None or last.status not in ("refused", "failed", KILLED):
        return Findings()
    # A missing night has a line of its own, with the command that makes it up.
    if last.as_of in find_missing_nights(watched):
        return Findings()
    line = f"the last attempt, as of {format_seconds(last.as_of)}: {last.status}"
    return Findings(warnings=(line,))


def check_export(watched: Watched) -> Findings:
    """Return an alarm if the CRM's file is not of the newest run, warnings of what it lacks."""
    from serve.export.atomic_folders import CURRENT_LINK, read_manifest

    project, good = watched.project, watched.last_good
    if good is None or good.finished_at is None or watched.now - good.finished_at < TOLERANCE:
        return Findings()
    fix = f"run `leadscore export {project.path}`"
    try:
        manifest = read_manifest(project.workspace_path / "exports" / CURRENT_LINK)
    except (OSError, ValueError) as error:
        return Findings((f"the export cannot be read ({type(error).__name__}): {fix}",))
    if manifest.get("run_id") == good.run_id:
        problem = manifest.get("page_problem")
        line = f"the export has no page, since it could not be built ({problem}): {fix}"
        lines = [line] if problem else []
        # `leadscore export` reads stored tables; only a night computes them.
        lines += [
            f"the night has no {group}, since it could not be computed ({reason}); the next night "
            "computes its own"
            for group, reason in manifest.get("table_problems", {}).items()
        ]
        return Findings(warnings=tuple(lines))
    as_of = manifest.get("as_of")
    return Findings((f"the export is as of {as_of}, not the newest published night: {fix}",))


def check_stored_state(watched: Watched) -> Findings:
    """Return an alarm for each problem of a quick verification.

    It reads the newest night, the current files and the champions alone. Large files, former
    exports, older nights and other versions are left to `leadscore verify`.
    """
    # Imported here: it imports what may be broken, and takes half a second.
    from pipelines.state.verify import verify_project

    return Findings(tuple(verify_project(watched.project, watched.now, quick=True).alarms()))


def _has_database(project: Project) -> bool:
    """Return whether the workspace has a scores database; raise OSError if that cannot be read."""
    # Path.exists takes a folder that cannot be read, or a file in its place, for an absence.
    try:
        (project.workspace_path / "scores.db").stat()
    except FileNotFoundError:
        return False
    return True


def check_night_costs(watched: Watched) -> Findings:
    """Return a note on the cost of the last published night, a warning if one doubled."""
    nights = [
        attempt
        for attempt in watched.attempts or ()
        if attempt.status == "published" and attempt.processor_seconds is not None
    ]
    if not nights:
        return Findings()
    last, before = nights[-1], nights[-1 - COMPARED : -1]
    parts, risen = [], []
    for name, values, value, write, least in _list_measures(last, before):
        if value is None:
            continue
        text = f"{name} {write(value)}"
        if values:
            text += f" (before {write(min(values))} to {write(max(values))})"
        parts.append(text)
        if len(values) >= ENOUGH and value > max(RISE * statistics.median(values), least):
            risen.append(f"{name} {write(value)}, median {write(statistics.median(values))}")
    line = f"cost of the last night: {', '.join(parts)}"
    if before:
        line += f"; nights before: {len(before)}"
    warning = f"the last night cost more than twice as much as those before: {'; '.join(risen)}"
    return Findings(notes=(line,), warnings=(warning,) if risen else ())


def _list_measures(
    last: Attempt, before: Sequence[Attempt]
) -> list[tuple[str, list[float], float | None, Callable[[float], str], float]]:
    """Return name, values of the nights before, the last value, how to write it, and its noise."""
    return [
        (
            label,
            [value for night in before if (value := getattr(night, name)) is not None],
            getattr(last, name),
            write,
            least,
        )
        for label, name, write, least in (
            ("processor", "processor_seconds", _write_seconds, LEAST_SECONDS),
            ("peak memory", "peak_memory_bytes", _write_bytes, float(LEAST_BYTES)),
            ("written", "written_bytes", _write_bytes, float(LEAST_BYTES)),
        )
    ]


def _write_seconds(seconds: float) -> str:
    return f"{seconds:,.0f} s"


def _write_bytes(size: float) -> str:
    return f"{size / 2**30:,.1f} GiB" if size >= 2**30 else f"{size / 2**20:,.0f} MiB"
