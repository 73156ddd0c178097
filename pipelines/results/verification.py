"""Result of the verification of stored state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from features.files.examination import Examination


@dataclass(frozen=True)
class Verification:
    """What the checks of a workspace found.

    Attributes:
        project: Name of the project.
        checks: The checks in their order.
    """

    project: str
    checks: tuple[Examination, ...]

    @property
    def is_ok(self) -> bool:
        """Return whether no check found anything."""
        return not any(check.findings for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "ok": self.is_ok,
            "project": self.project,
            "checks": [check.to_json() for check in self.checks],
        }

    def lines(self) -> list[str]:
        """Return it as lines for a person."""
        return [line for check in self.checks for line in check.lines()]

    def alarms(self) -> list[str]:
        """Return a line for each finding."""
        return [
            f"{check.check}: {finding.problem}: {finding.fix}"
            for check in self.checks
            for finding in check.findings
        ]
