"""Published scores of one entity, with their traces."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from configs.errors import ConfigError, LeadscoreError
from configs.schema import Project
from features.tools.json_values import to_json_values
from pipelines.as_of import parse_as_of
from pipelines.runner import read_clock
from pipelines.workspace import open_store

if TYPE_CHECKING:  # Reading the scores table alone must not import what a replay needs.
    from pipelines.lead.trace import Trace


@dataclass(frozen=True)
class Explanation:
    """Published scores of one entity.

    Attributes:
        entity: Id of the entity.
        newest: Newest SCORES row of each target, with its reasons parsed.
        history: All SCORES rows, by target, oldest first.
        outcome_timing: By target, in words, when the outcome comes if it comes; if known.
        traces: Trace of each row of ``newest``, by target; empty if not requested.
        suppressions: SUPPRESSIONS rows of an entity suppressed since its last score, or never
            scored.
    """

    entity: str
    newest: list[dict[str, Any]]
    history: list[dict[str, Any]]
    outcome_timing: dict[str, str]
    traces: dict[str, Trace] = field(default_factory=dict)
    suppressions: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values, under the keys of `explain --json`."""
        return {
            "entity": self.entity,
            "now": to_json_values(self.newest),
            "history": to_json_values(self.history),
            "when": dict(self.outcome_timing),
            "trace": {name: trace.to_json() for name, trace in self.traces.items()},
            "suppressed": to_json_values(self.suppressions),
        }


def read_published_scores(
    project: Project, entity: str, as_of: str | None, look_up: bool = False
) -> Explanation:
    """Return the published scores of an entity, up to and including ``as_of``.

    Raises ConfigError if no score of the entity was published and it is not suppressed; with
    ``look_up``, it says why, by the source data.
    """
    store = open_store(project)
    rows = store.entity_history(project.project, entity).to_pylist()
    suppressions = _select_newer(store.suppressions(project.project, entity).to_pylist(), rows)
    end = parse_as_of(project, as_of, read_clock())
    history = [_parse_reasons(row) for row in rows if end is None or row["as_of"] <= end]
    if not history and not suppressions:
        raise ConfigError(
            "no score of this entity was published",
            where=store.address,
            found="; ".join([repr(entity), *(_explain_absence(project, entity, as_of, look_up))]),
            fix=_suggest_fix(project, entity),
        )
    newest = {row["target"]: row for row in sorted(history, key=lambda row: row["as_of"])}
    history = sorted(history, key=lambda row: (row["target"], row["as_of"]))
    timing = {
        name: _describe_timing(project, row)
        for name, row in newest.items()
        if row["outcome_days_50"] is not None
    }
    return Explanation(entity, list(newest.values()), history, timing, suppressions=suppressions)


def _explain_absence(project: Project, entity: str, as_of: str | None, look_up: bool) -> list[str]:
    """Return why an entity is not scored, by target, if the source data is to be looked at."""
    if not (look_up and project.timed):
        return []
    # Reading the scores table alone must not import what reading the sources needs.
    from pipelines.lead.standing import describe_all_standings

    try:
        return describe_all_standings(project, entity, as_of)
    # The error is about the scores table; sources that cannot be read are not its cause.
    except LeadscoreError:
        return []


def _suggest_fix(project: Project, entity: str) -> str:
    """Return the fix for an entity without scores."""
    # Reading the scores table alone must not import what reading the sources needs.
    from features.intake.objections import find_listed

    if find_listed(project, pa.chunked_array([[entity]]))[0].as_py():
        return (
            "it is on a list of leads that must not be scored: "
            "privacy.suppress, or forget --and-suppress"
        )
    return "use an entity_id of the export, or score first"


def _select_newer(
    suppressions: list[dict[str, Any]], rows: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the suppressions that are newer than every score."""
    return [
        suppression
        for suppression in suppressions
        if all(_is_later(suppression, row) for row in rows)
    ]


def _is_later(suppression: dict[str, Any], row: dict[str, Any]) -> bool:
    """Return whether an entity was suppressed after a score of it was published."""
    noted = suppression["noted_at"]
    return suppression["last_as_of"] > row["as_of"] or (
        noted is not None and noted > row["scored_at"]
    )


def _describe_timing(project: Project, row: dict[str, Any]) -> str:
    """Return in words how many days after the cutoff the outcome comes, if it comes."""
    # The config may no longer have the target of a published score.
    target_config = project.targets.get(row["target"])
    horizon = target_config.horizon if target_config else None
    days = horizon / timedelta(days=1) if horizon else None
    within = f"{days:g} day{'s' * (days != 1)}" if days else "its horizon"
    # Whole days that have ended: an outcome within the first day has come by day 1.
    half, most = (max(1, math.ceil(row[name])) for name in ("outcome_days_50", "outcome_days_80"))
    share = f"half of such cases have by day {half}, eight of ten by day {most}"
    return (
        f"if it happens within {within}, {share} (counted from {row['cutoff'].date().isoformat()})"
    )


def _parse_reasons(row: dict[str, Any]) -> dict[str, Any]:
    """Return a SCORES row with its reasons parsed from JSON."""
    return row | {"reasons": json.loads(row["reasons"])}
