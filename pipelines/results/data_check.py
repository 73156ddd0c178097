"""Result of `check`: what a project's data holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from features.contracts import SourceCount
from features.suppressed import Suppression


@dataclass(frozen=True)
class TargetCheck:
    """One target: its rows before the as-of, how many are mature, how many hold the outcome, who would be scored."""

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


@dataclass(frozen=True)
class DataCheck:
    """All that ``check`` found; ``warnings`` say what this data cannot promise and what looks wrong."""

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
        plain = vars(self) | {"counts": [vars(c) for c in self.counts]}
        plain["suppressed"] = self.suppressed.to_json()
        plain["targets"] = {t.target: vars(t) | {"base_rate": t.base_rate} for t in self.targets}
        return plain
