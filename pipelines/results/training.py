"""Result of one target's training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from configs.errors import LeadscoreError
from models.evaluation.gate import GateVerdict
from models.evaluation.metrics import Estimate
from models.leakage.suspects import Suspect
from models.registry.records import RegisteredVersion
from models.segments.segment_rows import SegmentRow
from models.training.results import TrainResult


@dataclass(frozen=True)
class TargetTraining:
    """Training of one target: metrics, verdict and registered version, or an error.

    Attributes:
        target: Name of the target.
        rows: Number of rows, in all and by kind.
        metrics: Metrics of the challenger, by name.
        baselines: Metrics of each baseline.
        verdict: The gate's verdict; None if it was not reached.
        version: The registered version; None if there is none.
        trained: The trained challenger; None after an earlier error.
        suspects: Columns left out because they may leak the outcome.
        error: The failure or refusal; None for a new champion.
        report: Path or address of the training's report; None if none was registered.
    """

    target: str
    rows: dict[str, int]
    metrics: dict[str, Estimate]
    baselines: dict[str, dict[str, Estimate]]
    verdict: GateVerdict | None = None
    version: RegisteredVersion | None = None
    trained: TrainResult | None = None
    suspects: tuple[Suspect, ...] = ()
    error: LeadscoreError | None = None
    report: str | None = None

    @property
    def segments(self) -> tuple[SegmentRow, ...]:
        """Return the rows of the table ``segments``; empty where all leads have one model."""
        return self.trained.segments if self.trained else ()

    def to_json(self) -> dict[str, Any]:
        """Return the metrics, the verdict and the version as plain JSON values."""
        payload: dict[str, Any] = {
            "rows": self.rows,
            "metrics": {name: estimate.to_json() for name, estimate in self.metrics.items()},
            "baselines": {
                name: {key: estimate.to_json() for key, estimate in metrics.items()}
                for name, metrics in self.baselines.items()
            },
            # A training that failed before the gate has a verdict too, so that scripts need no
            # second shape.
            "gate": self.verdict.to_json()
            if self.verdict
            else {"passed": False, "tests": [], "causes": []},
            "segment_models": [row.to_json() for row in self.segments],
            "suspects": [suspect.to_json() for suspect in self.suspects],
            "version": self.version.number if self.version else None,
            "mlflow_run_id": self.version.run_id if self.version else None,
            "report": self.report,
        }
        return payload | ({"error": str(self.error)} if self.error else {})
