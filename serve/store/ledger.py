"""The run ledger inside a transaction: which runs may end, and whether rows belong to them."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from configs.errors import WorkspaceBusy
from features.score_tables import SCORE_RUNS
from serve.store.session import Session
from serve.store.tables import CHECKS_TABLE, RUNS_TABLE

# Columns that identify one target of one as-of.
NIGHT_KEY = ("project", "target", "as_of")
# Ledger message of a run that died without a status of its own; stored values keep this text.
ABANDONED_MESSAGE = "ended without a word"
# Status of an as-of that a person decided not to publish.
GIVEN_UP = "given up"


def read_run_rows(session: Session, run_id: str) -> list[dict[str, Any]]:
    """Return the ledger rows of a run, one per target, sorted by target."""
    query = sa.select(RUNS_TABLE).where(RUNS_TABLE.c.run_id == run_id)
    return session.fetch_table(query, SCORE_RUNS, RUNS_TABLE.c.target).to_pylist()


def has_run_ended(session: Session, run_id: str, status: str) -> bool:
    """Return whether a run has this status: the commit that seemed lost went through."""
    return {row["status"] for row in read_run_rows(session, run_id)} == {status}


def claim_started_rows(session: Session, run_id: str) -> list[dict[str, Any]]:
    """Return the ledger rows of a started run, locked until this transaction ends.

    Raises ValueError if there are none, WorkspaceBusy if another run marked this one as failed.
    """
    # An update locks the rows, in PostgreSQL too: no other run can end this one until then.
    own = (RUNS_TABLE.c.run_id == run_id, RUNS_TABLE.c.status == "started")
    session.execute(sa.update(RUNS_TABLE).where(*own).values(status="started"))
    rows = read_run_rows(session, run_id)
    if any(row["message"] == ABANDONED_MESSAGE for row in rows):
        raise WorkspaceBusy(
            "another run took the project over",
            where=f"run {run_id}",
            found="it marked this one as failed",
            fix="let only one machine score a project at a time, then run again",
        )
    nights = [row for row in rows if row["status"] == "started"]
    if not nights:
        raise ValueError(f"run {run_id!r} is not in status started")
    return nights


def count_rows_by_target(scores: pa.Table, nights: list[dict[str, Any]]) -> dict[str, int]:
    """Return the rows of each target of the run; raise ValueError if a row is of another run."""
    names = (*NIGHT_KEY, "run_id")
    expected = {tuple(night[name] for name in names): night["target"] for night in nights}
    counts = dict.fromkeys(expected.values(), 0)
    for group in scores.group_by(list(names)).aggregate([([], "count_all")]).to_pylist():
        key = tuple(group[name] for name in names)
        if key not in expected:
            raise ValueError(
                f"{group['count_all']} score rows of {key} do not belong to the run to publish"
            )
        counts[expected[key]] = group["count_all"]
    return counts


def append_checks(session: Session, nights: list[dict[str, Any]], checks: pa.Table | None) -> None:
    """Insert the checks of a run, if there are any; raise ValueError if one is of another run."""
    if checks is None:
        return
    names = ("run_id", "project", "as_of")
    run, targets = [nights[0][name] for name in names], {"", *(night["target"] for night in nights)}
    for row in checks.select([*names, "target"]).to_pylist():
        if [row[name] for name in names] != run or row["target"] not in targets:
            raise ValueError(f"a check of {tuple(row.values())} does not belong to the run {run}")
    session.append(CHECKS_TABLE, checks)
