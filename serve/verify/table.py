"""Whether the ledger's runs are whole, and the scores table holds what they published."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

from features.files.examination import Examination
from serve.verify.stored_state import StoredState

RESTORE = "restore the database from the backup, or score the night again"
STATUSES = {"started", "published", "refused", "failed"}


def check_ledger(
    examination: Examination, state: StoredState, now: datetime, alive: timedelta | None
) -> None:
    """Report runs that are half done or contradict themselves.

    ``alive`` is how long a run that the ledger calls started may still be working at ``now``; None
    if nobody works on the workspace.
    """
    runs: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in state.runs:
        runs[row["run_id"]].append(row)
    examination.counts["runs"] = len(runs)
    started = [rows[0] for rows in runs.values() if rows[0]["status"] == "started"]
    halves = [r for r in started if alive is None or now - r["started_at"] > alive]
    if len(started) > len(halves):
        examination.left_out.append(f"{len(started) - len(halves)} runs that are working")
    examination.report_all(
        "runs are half done: the ledger calls them started, and no process works on them",
        [_name_run(row) for row in halves],
        "the next `leadscore score` marks them as failed and goes on",
    )
    examination.report_all(
        "runs contradict themselves: their targets have different ends",
        [_name_run(rows[0]) for rows in runs.values() if _contradicts_itself(rows)],
        RESTORE,
    )


def check_published_rows(
    examination: Examination, state: StoredState, keep: timedelta | None, newest_only: bool
) -> None:
    """Report published nights whose rows are not in the table, and rows of no published night.

    Nights that ``keep`` or an earlier retention removed are counted as removed: their checks are
    gone too, and so are all older nights.
    """
    expected = _find_published_nights(state)
    stored: dict[tuple[str, datetime], dict[str, int]] = defaultdict(dict)
    for night in state.nights:
        stored[night["target"], night["as_of"]][night["run_id"]] = night["rows"]
    examination.counts["rows"] = sum(night["rows"] for night in state.nights)
    examination.counts["nights"] = len(stored)
    if newest_only:
        newest = max((as_of for _, as_of in expected), default=None)
        expected = {key: run for key, run in expected.items() if key[1] == newest}
        examination.left_out.append("older nights")
    removed = {key for key in expected.keys() - stored.keys() if _is_removed(key, state, keep)}
    if removed:
        examination.counts["nights removed by retention"] = len(removed)
    wrong = [
        f"{target} as of {as_of.isoformat()}: {rows:,} rows, published {run['rows'] or 0:,}"
        for (target, as_of), run in sorted(expected.items())
        if (target, as_of) not in removed
        and (rows := stored[target, as_of].get(run["run_id"], 0)) != (run["rows"] or 0)
    ]
    examination.report_all("published nights lack rows or have more", wrong, RESTORE)
    foreign = [
        f"{target} as of {as_of.isoformat()} of run {run_id}"
        for (target, as_of), rows in sorted(stored.items())
        for run_id in rows
        if (run := expected.get((target, as_of))) is None or run["run_id"] != run_id
    ]
    examination.report_all("groups of rows are of no published run", foreign, RESTORE)
    invalid = [
        f"{night['target']} as of {night['as_of'].isoformat()}: {night['invalid']:,} rows"
        for night in state.nights
        if night["invalid"]
    ]
    examination.report_all("nights have impossible values", invalid, RESTORE)


def _find_published_nights(state: StoredState) -> dict[tuple[str, datetime], dict[str, Any]]:
    """Return the ledger row of the newest run that published each target and as-of."""
    nights: dict[tuple[str, datetime], dict[str, Any]] = {}
    for row in state.runs:
        key = row["target"], row["as_of"]
        if row["status"] == "published" and (
            key not in nights or row["finished_at"] >= nights[key]["finished_at"]
        ):
            nights[key] = row
    return nights


def _is_removed(key: tuple[str, datetime], state: StoredState, keep: timedelta | None) -> bool:
    """Return whether retention removed a night of which no row is stored."""
    newest = state.newest_published()
    if newest and keep is not None and key[1] < newest["as_of"] - keep:
        return True
    oldest = min((night["as_of"] for night in state.nights), default=None)
    return oldest is not None and key[1] < oldest and key[1] not in state.checked


def _contradicts_itself(rows: list[dict[str, Any]]) -> bool:
    statuses = {row["status"] for row in rows}
    is_published = "published" in statuses
    return (
        len(statuses) > 1
        or not statuses <= STATUSES
        or (is_published and any(r["rows"] is None or r["finished_at"] is None for r in rows))
    )


def _name_run(row: dict[str, Any]) -> str:
    return f"{row['run_id']} as of {row['as_of'].isoformat()}"
