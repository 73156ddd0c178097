"""The run ledger inside a transaction: which runs may end, and whether what they bring is theirs."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from configs.errors import WorkspaceBusy
from features.contracts import SCORE_RUNS
from serve.store.session import Session
from serve.store.tables import CHECKS_TABLE, RUNS_TABLE

NIGHT = ("project", "target", "as_of")
DEAD = "ended without a word"
"""What is said of a run that never said how it ended."""


def ledger_rows(session: Session, run_id: str) -> list[dict[str, Any]]:
    """Return the rows of a run, one a target, by target."""
    query = sa.select(RUNS_TABLE).where(RUNS_TABLE.c.run_id == run_id)
    return session.table(query, SCORE_RUNS, RUNS_TABLE.c.target).to_pylist()


def ended(session: Session, run_id: str, status: str) -> bool:
    """Say whether a run has ended so: the commit that was thought to be lost went through."""
    return {row["status"] for row in ledger_rows(session, run_id)} == {status}


def started(session: Session, run_id: str) -> list[dict[str, Any]]:
    """Return the ledger rows of a started run, which no one else can end before this transaction does.

    Raises ValueError if there are none, WorkspaceBusy if another run called it dead.
    """
    # Writing takes hold of the rows, in PostgreSQL too.
    own = (RUNS_TABLE.c.run_id == run_id, RUNS_TABLE.c.status == "started")
    session.execute(sa.update(RUNS_TABLE).where(*own).values(status="started"))
    rows = ledger_rows(session, run_id)
    if any(row["message"] == DEAD for row in rows):
        raise WorkspaceBusy(
            "another run took the project over",
            where=f"run {run_id}",
            found="it called this one dead",
            fix="see that no two machines score one project at the same time, then run again",
        )
    nights = [row for row in rows if row["status"] == "started"]
    if not nights:
        raise ValueError(f"run {run_id!r} is not a started one")
    return nights


def count_rows(scores: pa.Table, nights: list[dict[str, Any]]) -> dict[str, int]:
    """Return the rows of each target of the run; raise ValueError if a row belongs to another run."""
    names = (*NIGHT, "run_id")
    expected = {tuple(night[name] for name in names): night["target"] for night in nights}
    counts = dict.fromkeys(expected.values(), 0)
    for group in scores.group_by(list(names)).aggregate([([], "count_all")]).to_pylist():
        key = tuple(group[name] for name in names)
        if key not in expected:
            raise ValueError(
                f"{group['count_all']} score rows of {key} are not of the run to publish"
            )
        counts[expected[key]] = group["count_all"]
    return counts


def append_checks(session: Session, nights: list[dict[str, Any]], checks: pa.Table | None) -> None:
    """Add the checks of a run, if there are any; raise ValueError if one belongs to another run."""
    if checks is None:
        return
    names = ("run_id", "project", "as_of")
    run, targets = [nights[0][name] for name in names], {"", *(night["target"] for night in nights)}
    for row in checks.select([*names, "target"]).to_pylist():
        if [row[name] for name in names] != run or row["target"] not in targets:
            raise ValueError(f"a check of {tuple(row.values())} is not of the run {run}")
    session.append(CHECKS_TABLE, checks)
