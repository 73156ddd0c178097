"""Result of one target's training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from configs.errors import LeadscoreError
from models.evaluation.gate import GateVerdict
from models.evaluation.metrics import Estimate
from models.leakage.leakage import Suspect
from models.registry.registry import RegisteredVersion
from models.training.results import TrainResult


@dataclass(frozen=True)
class TargetTraining:
    """What became of one target: figures, the gate's verdict, and the registered version; or why there is none."""

    target: str
    rows: dict[str, int]
    metrics: dict[str, Estimate]
    baselines: dict[str, dict[str, Estimate]]
    verdict: GateVerdict | None = None
    version: RegisteredVersion | None = None
    trained: TrainResult | None = None
    suspects: tuple[Suspect, ...] = ()
    error: LeadscoreError | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the figures as plain JSON values."""
        as_json = {name: figure.to_json() for name, figure in self.metrics.items()}
        others = {
            name: {key: f.to_json() for key, f in figures.items()}
            for name, figures in self.baselines.items()
        }
        gate = self.verdict.to_json() if self.verdict else {"passed": False, "tests": []}
        found = {"rows": self.rows, "metrics": as_json, "baselines": others, "gate": gate}
        found["suspects"] = [suspect.to_json() for suspect in self.suspects]
        found["version"] = self.version.number if self.version else None
        return found | ({"error": str(self.error)} if self.error else {})
