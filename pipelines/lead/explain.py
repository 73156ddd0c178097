"""One entity's published scores as they stand in the table, and what can be traced behind them."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import ConfigError
from configs.schema import Project
from pipelines.workspace import open_store

if TYPE_CHECKING:  # the table alone is told without what a replay needs
    from pipelines.lead.trace import Trace


@dataclass(frozen=True)
class Explanation:
    """``now`` holds one SCORES row a target with its reasons read, ``entity_history`` all rows, oldest first.

    ``when`` says of each target in words when the outcome comes if it comes, where that is known. ``trace`` holds what
    stands behind each row of ``now``, by target; nothing where it was not asked for. ``suppressed`` are SUPPRESSIONS
    rows of an entity that was left out since its last score, or was never scored.
    """

    entity: str
    newest: list[dict[str, Any]]
    history: list[dict[str, Any]]
    when: dict[str, str]
    trace: dict[str, Trace] = field(default_factory=dict)
    suppressed: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return vars(self) | {"trace": {name: found.to_json() for name, found in self.trace.items()}}


def published(project: Project, entity: str, as_of: str | None) -> Explanation:
    """Return what was published of an entity, up to and including an as-of.

    Raises ConfigError for an entity that no score was published of, unless it was left out of what was.
    """
    store = open_store(project)
    rows = store.entity_history(project.project, entity).to_pylist()
    suppressed = _since(store.suppressions(project.project, entity).to_pylist(), rows)
    end = project.parse_instant(as_of) if as_of else None
    history = [_read(row) for row in rows if end is None or row["as_of"] <= end]
    if not history and not suppressed:
        raise ConfigError(
            "no score was published of this entity",
            where=store.where,
            found=repr(entity),
            fix=_fix(project, entity),
        )
    newest = {row["target"]: row for row in sorted(history, key=lambda row: row["as_of"])}
    history = sorted(history, key=lambda row: (row["target"], row["as_of"]))
    when = {
        name: _when(project, row)
        for name, row in newest.items()
        if row["outcome_days_50"] is not None
    }
    return Explanation(entity, list(newest.values()), history, when, suppressed=suppressed)


def _fix(project: Project, entity: str) -> str:
    from features.intake.objections import (
        listed,
    )  # the table alone is told without what reading needs

    if pc.is_in(pa.scalar(entity), value_set=listed(project)).as_py():
        return (
            "it is on a list of who must not be scored: privacy.suppress, or forget --and-suppress"
        )
    return "take an entity_id of the export, or score first"


def _since(suppressions: list[dict[str, Any]], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the suppressions that are newer than every score."""
    return [one for one in suppressions if all(_later(one, row) for row in rows)]


def _later(suppression: dict[str, Any], row: dict[str, Any]) -> bool:
    noted = suppression["noted_at"]
    return suppression["last_as_of"] > row["as_of"] or (
        noted is not None and noted > row["scored_at"]
    )


def _when(project: Project, row: dict[str, Any]) -> str:
    """Return in words by which day after the cutoff the outcome has come, in the cases in which it comes."""
    target = project.targets.get(row["target"])
    days = target.horizon / timedelta(days=1) if target and target.horizon else None
    within = f"{days:g} day{'s' * (days != 1)}" if days else "its horizon"
    half, most = (max(1, math.ceil(row[name])) for name in ("outcome_days_50", "outcome_days_80"))
    share = f"half of such cases have by day {half}, eight of ten by day {most}"
    return (
        f"if it happens within {within}, {share} (counted from {row['cutoff'].date().isoformat()})"
    )


def _read(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"reasons": json.loads(row["reasons"])}
