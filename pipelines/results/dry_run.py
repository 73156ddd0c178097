"""Result of a night that was not to be published."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from features.suppressed import Suppression
from features.tools.instants import format_iso
from serve.checks.checks import CheckResult


@dataclass(frozen=True)
class TargetChange:
    """Differences of a target's scores to the newest published ones.

    Attributes:
        published: Leads of the newest published night.
        new: Leads that would be added.
        gone: Leads that would no longer be there.
        grades: Leads by former and new grade, where these differ.
    """

    published: int
    new: int
    gone: int
    grades: dict[tuple[str, str], int]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        grades = [
            {"before": before, "after": after, "leads": leads}
            for (before, after), leads in self.grades.items()
        ]
        return {"published": self.published, "new": self.new, "gone": self.gone, "grades": grades}


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """What a night would publish.

    Attributes:
        as_of: The as-of, in UTC.
        rows: Number of rows by target.
        accounts: Number of account rows.
        checks: Results that warned.
        suppressed: Leads that were left out.
        becomes_current: Whether the CRM's file would become that of this night.
        deliveries: The exports of the config that would be delivered.
        current_as_of: The newest published as-of, in UTC; None without one.
        changes: Differences to it by target.
    """

    as_of: datetime
    rows: dict[str, int]
    accounts: int
    checks: tuple[CheckResult, ...]
    suppressed: Suppression
    becomes_current: bool
    deliveries: tuple[str, ...]
    current_as_of: datetime | None
    changes: dict[str, TargetChange]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "status": "dry run",
            "as_of": format_iso(self.as_of),
            "rows": sum(self.rows.values()),
            "targets": dict(self.rows),
            "accounts": self.accounts,
            "suppressed": self.suppressed.to_json(),
            "checks": [check.to_json() for check in self.checks],
            "becomes_current": self.becomes_current,
            "deliveries": list(self.deliveries),
            "current_as_of": format_iso(self.current_as_of) if self.current_as_of else None,
            "changes": {target: change.to_json() for target, change in self.changes.items()},
        }
