"""Result of monitoring one target's published scores."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa

from features.tools.instants import format_iso
from features.tools.json_values import to_json_values
from models.qualification.schemas import QUALIFICATION
from serve.monitoring.expectations import Comparison, Recommendation
from serve.monitoring.grade_order import GradeOrder
from serve.monitoring.outcomes import FollowedScores
from serve.monitoring.realised import RealisedOutcomes

# Kinds of parts that are known before their rows mature.
COUNTED_KINDS = ("week", "month", "version")


@dataclass(frozen=True)
class MonitorResult:
    """Published scores of one target, compared with what happened since.

    Attributes:
        target: Name of the target.
        as_of: The as-of, in UTC; None for data without times unless one was given.
        observed: Observation date, in UTC; None for data without times.
        champion: Version number of the champion; None without one.
        followed: The scores that are followed, and counts of the others.
        parts: Realised outcomes by (kind, name). Kinds are all, week, month, grade, stage, version,
            list (rows of the weekly lists) and, for the champion, recent.
        versions: Comparison of each version's metrics with those of its training, or with the
            gate's limits where none were kept.
        recommendation: Whether to train again, and why.
        without_expectations: Versions that kept no metrics of their training.
        warnings: Lines for a person.
        grade_order: Comparison of each grade with the next one, over all rows.
        handovers: QUALIFICATION of the step that hands over the leads of this target.
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
    grade_order: tuple[GradeOrder, ...] = ()
    handovers: pa.Table = field(default_factory=QUALIFICATION.empty_table)

    @property
    def counts(self) -> dict[str, int]:
        """Number of published rows: in all, used, immature, and with an outcome never known."""
        by_state = {
            "used": self.followed.rows.num_rows,
            "immature": self.followed.immature.total(),
            "unknown": self.followed.unknown.total(),
        }
        return {"published": sum(by_state.values()), **by_state}

    def parts_by_name(self, kind: str) -> dict[str, RealisedOutcomes]:
        """Return the parts of one kind by name."""
        return {name: part for (its_kind, name), part in self.parts.items() if its_kind == kind}

    def count_immature(self, kind: str) -> Counter[str]:
        """Return the number of immature rows by “week”, “month” or “version”."""
        counts: Counter[str] = Counter()
        for group, rows in self.followed.immature.items():
            counts[getattr(group, kind)] += rows
        return counts

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain JSON values."""
        first_mature = self.followed.first_mature
        all_rows = self.parts.get(("all", "all"))
        kinds = {
            f"{kind}s": self._parts_to_json(kind)
            for kind in ("week", "month", "grade", "stage", "list", "version")
        }
        for version, comparisons in self.versions.items():
            kinds["versions"][version]["against_promise"] = {
                comparison.metric: comparison.to_json() for comparison in comparisons
            }
        # Scripts read these keys, so they stay although some fields have other names.
        return {
            "as_of": format_iso(self.as_of) if self.as_of else None,
            "observed": format_iso(self.observed) if self.observed else None,
            "rows": {
                **self.counts,
                "unknown_because": dict(sorted(self.followed.unknown_reasons.items())),
            },
            "nights_left_out": dict(sorted(self.followed.excluded_nights.items())),
            "first_mature": format_iso(first_mature) if first_mature else None,
            "all": all_rows.to_json() if all_rows else None,
            **kinds,
            "grade_order": [order.to_json() for order in self.grade_order],
            "without_promise": list(self.without_expectations),
            "warnings": list(self.warnings),
            "champion": self.champion,
            "recommendation": self.recommendation.to_json(),
            "handovers": to_json_values(self.handovers.to_pylist()),
        }

    def _parts_to_json(self, kind: str) -> dict[str, Any]:
        payload = {name: part.to_json() for name, part in self.parts_by_name(kind).items()}
        if kind in COUNTED_KINDS:
            # A part without a mature row is listed too, or it would seem unpublished.
            for name, rows in sorted(self.count_immature(kind).items()):
                payload[name] = payload.get(name, {"used": 0}) | {"immature": rows}
        return payload
