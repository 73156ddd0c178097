"""Result of `check`: what a project's data contains."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from features.contracts import SourceCount
from features.suppressed import Suppression
from features.tools.instants import format_iso


@dataclass(frozen=True)
class TargetCheck:
    """One target's rows before the as-of.

    Attributes:
        target: Name of the target.
        rows: Number of rows of the training spine.
        entities: Number of distinct entities in it.
        mature: Number of mature rows.
        positive: Number of mature rows with the outcome.
        to_score: Number of leads that would be scored.
        problem: Reason why it cannot be trained; empty if there is none.
    """

    target: str
    rows: int = 0
    entities: int = 0
    mature: int = 0
    positive: int = 0
    to_score: int = 0
    problem: str = ""

    @property
    def base_rate(self) -> float | None:
        """Share of mature rows with the outcome; None without any."""
        return self.positive / self.mature if self.mature else None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "name": self.target,
            "rows": self.rows,
            "entities": self.entities,
            "mature": self.mature,
            "positive": self.positive,
            "to_score": self.to_score,
            "problem": self.problem,
            "base_rate": self.base_rate,
        }


@dataclass(frozen=True)
class DataCheck:
    """Counts of a project's data, and warnings.

    Attributes:
        project: Name of the project.
        as_of: The as-of, in UTC.
        observed: Observation date, in UTC.
        timed: Whether the data has times.
        entities: Number of entities.
        accounts: Number of distinct accounts.
        events: Number of events.
        span: First and last event time, or creation time without events; None without times.
        types: Number of events by type, the most frequent first.
        counts: Row counts of each source.
        quarantine: Folder of the bad rows.
        targets: One check per target.
        suppressed: Suppressed entities.
        warnings: Limits of this data, and probable mistakes in the config.
    """

    project: str
    as_of: datetime
    observed: datetime
    timed: bool
    entities: int
    accounts: int
    events: int
    span: tuple[datetime, datetime] | None
    types: dict[str, int]
    counts: tuple[SourceCount, ...]
    quarantine: str
    targets: tuple[TargetCheck, ...]
    suppressed: Suppression
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "project": self.project,
            "as_of": format_iso(self.as_of),
            "observed": format_iso(self.observed),
            "timed": self.timed,
            "entities": self.entities,
            "accounts": self.accounts,
            "events": self.events,
            "span": [format_iso(instant) for instant in self.span] if self.span else None,
            "types": dict(self.types),
            "counts": [count.to_json() for count in self.counts],
            "quarantine": self.quarantine,
            "targets": {check.target: check.to_json() for check in self.targets},
            "suppressed": self.suppressed.to_json(),
            "warnings": list(self.warnings),
        }
