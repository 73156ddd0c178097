"""Traces of a lead's published scores: the replay of each, and its change since the last one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from configs.errors import LeadscoreError
from configs.schema import Project
from features.wording.wording import load_wording
from pipelines.lead.change import ScoreChange, explain_change
from pipelines.lead.evidence import collect_evidence, explain_differences
from pipelines.lead.replay import Replay, ReplaySources, replay_score
from pipelines.lead.standing import describe_standing, resolve_moment
from pipelines.runner import read_clock
from pipelines.workspace import open_store


@dataclass(frozen=True)
class Trace:
    """Replay and change of one SCORES row; the fields are keys of `explain --json`.

    Attributes:
        replay: Score computed again; None if that is impossible.
        differences: How the replay differs from the published score; empty if reproduced.
        evidence: config_hash, code_version and data_fingerprint, as published and now.
        first: Whether the table has no earlier score of the target and entity.
        change: Change since the last earlier score; None for the first.
        missing: Why there is no replay, or no change.
        standing: Why the lead is scored or not as of the data's end, if it ended or came back.
    """

    replay: Replay | None = None
    differences: list[str] = field(default_factory=list)
    evidence: dict[str, dict[str, str | None]] = field(default_factory=dict)
    first: bool = False
    change: ScoreChange | None = None
    missing: list[str] = field(default_factory=list)
    standing: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        parts = {"replay": self.replay, "change": self.change}
        return {
            **vars(self),
            **{name: part.to_json() if part else None for name, part in parts.items()},
        }


def trace_rows(
    project: Project,
    rows: list[dict[str, Any]],
    history: list[dict[str, Any]],
    log: Callable[[str], None],
    as_of: str | None = None,
) -> dict[str, Trace]:
    """Return the Trace of each SCORES row, by target; ``history`` holds all rows of the entity.

    Whether the lead would still be scored is said as of ``as_of``, by default the data's end.
    Data or a model that no longer exists raises nothing; the traces say so. Reads the sources once,
    without the workspace lock, so a night may be running.
    """
    log("reading the sources; --published shows the table alone")
    try:
        sources = ReplaySources.load(project, read_clock())
        for line in sources.dataset.warnings:
            log(f"warning: {line}")
        ledger = open_store(project).runs(project.project).to_pylist()
    # The published scores are shown even where data or model no longer exist.
    except LeadscoreError as error:
        return {row["target"]: Trace(missing=[error.headline]) for row in rows}
    # Reading leaves suppressed leads out, so a replay would report the lead as gone.
    if rows and sources.dataset.suppressed.contains(rows[0]["entity_id"]):
        return {
            row["target"]: Trace(missing=["the lead is suppressed, so nothing is computed for it"])
            for row in rows
        }
    moment = resolve_moment(project, sources.dataset, as_of)
    return {
        row["target"]: replace(
            trace_row(sources, row, history, ledger), standing=_describe_now(sources, row, moment)
        )
        for row in rows
    }


def _describe_now(sources: ReplaySources, row: dict[str, Any], moment: datetime) -> list[str]:
    """Return why the lead of a SCORES row is scored or not at an instant."""
    # The config may no longer have the target; without times there is no instant to speak of.
    target_config = sources.project.targets.get(row["target"])
    if target_config is None or not sources.dataset.timed:
        return []
    zone = sources.project.zone
    return describe_standing(sources.dataset, target_config, row["entity_id"], moment, zone)


def trace_row(
    sources: ReplaySources,
    row: dict[str, Any],
    history: list[dict[str, Any]],
    ledger: list[dict[str, Any]],
) -> Trace:
    """Return the Trace of one SCORES row.

    ``history`` holds rows of the same entity, ``ledger`` SCORE_RUNS rows.
    """
    previous = _find_previous(row, history)
    runs = [
        run for run in ledger if (run["run_id"], run["target"]) == (row["run_id"], row["target"])
    ]
    trace = Trace(
        evidence=collect_evidence(sources, runs[0] if runs else None), first=previous is None
    )
    try:
        # The config may no longer have the target of a published score.
        sources.project.target_config(row["target"])
        available = sources.dataset.cut_at(row["as_of"])
        replay = replay_score(
            available,
            sources.load_scorer(row),
            row,
            sources.find_cutoff(row),
            load_wording(sources.project),
        )
        trace = replace(
            trace,
            replay=replay,
            differences=explain_differences(sources, available, row, replay, trace.evidence),
        )
    except LeadscoreError as error:
        return replace(trace, missing=[f"the score cannot be computed again: {error.headline}"])
    if previous is None:
        return trace
    nights = _count_nights_between(previous, row, ledger)
    try:
        return replace(
            trace, change=explain_change(sources, available, previous, row, replay, nights)
        )
    except LeadscoreError as error:
        since = previous["as_of"].isoformat()
        text = f"the change since {since} cannot be explained: {error.headline}"
        return replace(trace, missing=[text])


def _count_nights_between(
    previous: dict[str, Any], row: dict[str, Any], ledger: list[dict[str, Any]]
) -> int:
    """Return the number of published nights of the target between two rows."""
    published = (
        run for run in ledger if (run["target"], run["status"]) == (row["target"], "published")
    )
    # A set, since a night may be published more than once.
    nights = {run["as_of"] for run in published}
    return len([night for night in nights if previous["as_of"] < night < row["as_of"]])


def _find_previous(row: dict[str, Any], history: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the last earlier row of the same target."""
    earlier = [
        other
        for other in history
        if other["target"] == row["target"] and other["as_of"] < row["as_of"]
    ]
    return max(earlier, key=lambda other: other["as_of"], default=None)
