"""Result of one target's feature ablation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from models.training.ablation import AblationTrial


@dataclass(frozen=True)
class TargetAblation:
    """One target's rows and the trials that ``models.ablation.ablate`` made of them."""

    target: str
    rows: dict[str, int]
    trials: list[AblationTrial]

    def to_json(self) -> dict[str, Any]:
        """Return the trials as plain JSON values."""
        return {"rows": self.rows, "trials": [trial.to_json() for trial in self.trials]}
