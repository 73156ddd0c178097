"""Result of one target's backtest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from configs.errors import LeadscoreError
from models.evaluation.gate import GateVerdict
from models.segments.segment_rows import SegmentRow
from pipelines.results.evaluation import Evaluation


@dataclass(frozen=True)
class TargetBacktest:
    """Backtest of one target: its evaluation and the gate's verdict, or an error.

    Attributes:
        target: Name of the target.
        rows: Number of rows, in all and by kind.
        learner: Name of the learner.
        segments: Rows of the table ``segments``; empty where all rows have one model.
        folds: Description of each rolling origin, as ``BacktestResult.folds`` has it.
        evaluation: Metrics; None after an error.
        verdict: The gate's verdict on this challenger; None after an error.
        predictions: One row per tested row: the target, the OUT_OF_TIME columns, and the columns
            that the metrics of slices are computed from.
        error: The failure; None if it was tested.
    """

    target: str
    rows: dict[str, int] = field(default_factory=dict)
    learner: str = ""
    segments: tuple[SegmentRow, ...] = ()
    folds: list[dict[str, Any]] = field(default_factory=list)
    evaluation: Evaluation | None = None
    verdict: GateVerdict | None = None
    predictions: pa.Table | None = None
    error: LeadscoreError | None = None

    def to_json(self) -> dict[str, Any]:
        """Return all but the predictions as plain JSON values."""
        if self.evaluation is None or self.verdict is None:
            # The keys are the same after a failure, so that scripts need no second shape.
            return {
                "rows": self.rows,
                "metrics": {},
                "baselines": {},
                "gate": {"passed": False, "tests": [], "causes": []},
                "error": str(self.error),
            }
        metrics = self.evaluation.to_json()
        folds = [fold | metrics["folds"][str(fold["fold"])] for fold in self.folds]
        return {
            "rows": self.rows,
            "learner": self.learner,
            "segment_models": [row.to_json() for row in self.segments],
            **metrics,
            "folds": folds,
            "gate": self.verdict.to_json(),
        }
