"""Where a lead's published scores came from: each one replayed, and what moved it since the one before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from configs.errors import LeadscoreError
from configs.schema import Project
from features.wording.wording import wording_of
from pipelines.lead.change import ScoreChange, explain_change
from pipelines.lead.evidence import explain_differences, collect_evidence
from pipelines.lead.replay import Past, Replay, replay
from pipelines.workspace import open_store


@dataclass(frozen=True)
class Trace:
    """What stands behind one SCORES row.

    ``explain_differences`` says why it is not reproduced; ``collect_evidence`` maps config_hash, code_version and data_fingerprint to
    what was published and what is now. ``first`` is true where no earlier score of the target and entity stands in
    the table. ``missing`` says why there is no replay, or no change.
    """

    replay: Replay | None = None
    differences: list[str] = field(default_factory=list)
    evidence: dict[str, dict[str, str | None]] = field(default_factory=dict)
    first: bool = False
    change: ScoreChange | None = None
    missing: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        parts = {"replay": self.replay, "change": self.change}
        return vars(self) | {name: part.to_json() if part else None for name, part in parts.items()}


def traces(
    project: Project,
    rows: list[dict[str, Any]],
    history: list[dict[str, Any]],
    note: Callable[[str], None],
) -> dict[str, Trace]:
    """Return the Trace of each SCORES row, one a target; ``history`` are all rows of the same entity.

    Whatever cannot be had any more, such as the data or a model, is said in the traces and raises nothing. Reads the
    sources once, without the workspace's lock: a night may be running.
    """
    note("reading the sources; --published shows the table alone")
    try:
        past = Past.of(project)
        ledger = open_store(project).runs(project.project).to_pylist()
    except LeadscoreError as error:
        return {row["target"]: Trace(missing=[error.headline]) for row in rows}
    if rows and past.whole.suppressed.contains(rows[0]["entity_id"]):
        return {
            row["target"]: Trace(missing=["it is suppressed, so nothing is computed of it"])
            for row in rows
        }
    return {row["target"]: trace(past, row, history, ledger) for row in rows}


def trace(
    past: Past, row: dict[str, Any], history: list[dict[str, Any]], ledger: list[dict[str, Any]]
) -> Trace:
    """Return the Trace of one SCORES row; ``history`` are rows of the same entity, ``ledger`` SCORE_RUNS rows."""
    before = _before(row, history)
    same = [
        run for run in ledger if (run["run_id"], run["target"]) == (row["run_id"], row["target"])
    ]
    told = Trace(evidence=collect_evidence(past, same[0] if same else None), first=before is None)
    try:
        past.project.target_config(row["target"])
        known = past.whole.cut_at(row["as_of"])
        found = replay(known, past.scorer(row), row, past.cutoff(row), wording_of(past.project))
        told = replace(
            told, replay=found, differences=explain_differences(past, known, row, found, told.evidence)
        )
    except LeadscoreError as error:
        return replace(told, missing=[f"the score cannot be computed again: {error.headline}"])
    if before is None:
        return told
    try:
        return replace(
            told,
            change=explain_change(past, known, before, row, found, _nights_between(before, row, ledger)),
        )
    except LeadscoreError as error:
        since = before["as_of"].isoformat()
        return replace(
            told, missing=[f"why it changed since {since} cannot be told: {error.headline}"]
        )


def _nights_between(
    before: dict[str, Any], row: dict[str, Any], ledger: list[dict[str, Any]]
) -> int:
    """Count the nights on which the target was published after the one row and before the other."""
    published = (
        run for run in ledger if (run["target"], run["status"]) == (row["target"], "published")
    )
    return len({run["as_of"] for run in published if before["as_of"] < run["as_of"] < row["as_of"]})


def _before(row: dict[str, Any], history: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the last earlier row of the same target."""
    earlier = [
        one for one in history if one["target"] == row["target"] and one["as_of"] < row["as_of"]
    ]
    return max(earlier, key=lambda one: one["as_of"], default=None)
