"""Result of one target's backtest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from configs.errors import LeadscoreError
from models.evaluation.gate import GateVerdict
from pipelines.results.evaluation import Evaluation


@dataclass(frozen=True)
class TargetBacktest:
    """What became of one target: its figures and what the gate would say, or why there are none.

    ``folds`` describes the origins as ``Tried.folds`` does. ``predictions`` has one row a tested row: target, the
    OUT_OF_TIME columns, and what the figures of parts are made by.
    """

    target: str
    rows: dict[str, int] = field(default_factory=dict)
    learner: str = ""
    folds: list[dict[str, Any]] = field(default_factory=list)
    evaluation: Evaluation | None = None
    verdict: GateVerdict | None = None
    predictions: pa.Table | None = None
    error: LeadscoreError | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the figures as plain JSON values."""
        if self.evaluation is None or self.verdict is None:
            nothing: dict[str, Any] = {"rows": self.rows, "metrics": {}, "baselines": {}}
            return nothing | {"gate": {"passed": False, "tests": []}, "error": str(self.error)}
        found = self.evaluation.to_json()
        folds = [fold | found["folds"][str(fold["fold"])] for fold in self.folds]
        head = {"rows": self.rows, "learner": self.learner}
        return head | found | {"folds": folds, "gate": self.verdict.to_json()}
