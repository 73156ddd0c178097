"""What the monitor found of one target."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from serve.monitoring.expectations import Comparison, Recommendation
from serve.monitoring.outcomes import FollowedScores
from serve.monitoring.realised import RealisedOutcomes


@dataclass(frozen=True)
class MonitorResult:
    """What became of one target's published scores.

    ``parts`` are keyed by (kind, name): all, week, grade, stage, version, list (of rows of its own, those of the weeks'
    lists) and, of the champion, recent. ``versions`` holds each version's figures against its promise, or against what
    the gate asks for where none was kept. Data without times has no ``observed``, and an ``as_of`` only if one was
    asked for.
    """

    target: str
    as_of: datetime | None
    observed: datetime | None
    champion: str | None
    followed: FollowedScores
    parts: dict[tuple[str, str], RealisedOutcomes]
    versions: dict[str, list[Comparison]]
    recommendation: Recommendation
    without_expectations: tuple[str, ...] = ()
    warnings: tuple[str, ...] = field(default=())

    @property
    def counts(self) -> dict[str, int]:
        """How many published rows count, are used, are immature, and will never be known."""
        used, immature, unknown = (
            self.followed.rows.num_rows,
            self.followed.immature,
            self.followed.unknown,
        )
        parts = {"used": used, "immature": immature.total(), "unknown": unknown.total()}
        return {"published": sum(parts.values()), **parts}

    def parts_by_name(self, kind: str) -> dict[str, RealisedOutcomes]:
        """Return the parts of one kind by name."""
        return {name: part for (of, name), part in self.parts.items() if of == kind}

    def count_immature(self, kind: str) -> Counter[str]:
        """Return how many rows are immature, by “week” or “version”."""
        found: Counter[str] = Counter()
        for (week, version), rows in self.followed.immature.items():
            found[week if kind == "week" else version] += rows
        return found

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain JSON values."""
        first = self.followed.first_mature
        kinds = {
            f"{kind}s": self._parts_to_json(kind) for kind in ("week", "grade", "stage", "list", "version")
        }
        for name, found in self.versions.items():
            kinds["versions"][name]["against_promise"] = {c.metric: c.to_json() for c in found}
        whole = self.parts.get(("all", "all"))
        return {
            "as_of": self.as_of.isoformat() if self.as_of else None,
            "observed": self.observed.isoformat() if self.observed else None,
            "rows": {**self.counts, "unknown_because": dict(sorted(self.followed.unknown_reasons.items()))},
            "nights_left_out": dict(sorted(self.followed.excluded_nights.items())),
            "first_mature": first.isoformat() if first else None,
            "all": whole.to_json() if whole else None,
            **kinds,
            "without_promise": list(self.without_expectations),
            "warnings": list(self.warnings),
            "champion": self.champion,
            "recommendation": self.recommendation.to_json(),
        }

    def _parts_to_json(self, kind: str) -> dict[str, Any]:
        found = {name: part.to_json() for name, part in self.parts_by_name(kind).items()}
        if kind in ("week", "version"):
            for name, rows in sorted(self.count_immature(kind).items()):
                found[name] = found.get(name, {"used": 0}) | {"immature": rows}
        return found
