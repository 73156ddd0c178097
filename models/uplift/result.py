"""Uplift of a company: its gate, its tables, and what these rest on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from features.tools.json_values import to_json_values
from models.evaluation.gate import GateVerdict
from models.named_tables import NamedTables
from models.uplift.schemas import UPLIFT, UPLIFT_BASIS, UPLIFT_POLICY

# The tables by name, in their order.
UPLIFT_SCHEMAS = {"uplift": UPLIFT, "uplift_policy": UPLIFT_POLICY, "uplift_basis": UPLIFT_BASIS}
# Estimates of the basis that JSON shows at the top.
FIGURES = ("effect", "qini", "uplift_at_30")


class UpliftTables(NamedTables):
    """Uplift as tables, of UPLIFT_SCHEMAS."""

    schemas = UPLIFT_SCHEMAS


@dataclass(frozen=True)
class UpliftResult:
    """Uplift as known at an as-of.

    Attributes:
        as_of: The as-of, in UTC.
        verdict: The gate; where it refuses, there is no lead and no policy.
        tables: The tables.
    """

    as_of: datetime
    verdict: GateVerdict
    tables: UpliftTables

    @property
    def basis(self) -> dict[str, Any]:
        """Return what the tables rest on: the row of UPLIFT_BASIS."""
        return self.tables.list_rows("uplift_basis")[0]

    def to_json(self) -> dict[str, Any]:
        """Return gate, figures and tables as plain JSON values."""
        basis = self.basis
        figures = {
            f"{name}{end}": basis[f"{name}{end}"]
            for name in FIGURES
            for end in ("", "_low", "_high")
        }
        verdict = self.verdict.to_json()
        content: dict[str, Any] = to_json_values(
            {
                "gate": {"passed": verdict["passed"], "tests": verdict["tests"]},
                **figures,
                "policy": self.tables.list_rows("uplift_policy"),
                "leads": self.tables.list_rows("uplift"),
                "basis": basis,
            }
        )
        return content
