"""Result of one target's feature ablation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from models.ablation import AblationTrial


@dataclass(frozen=True)
class TargetAblation:
    """Ablation of one target's features.

    Attributes:
        target: Name of the target.
        rows: Number of rows, in all and by kind.
        trials: One trial a group of features that is left out, or tested alone.
    """

    target: str
    rows: dict[str, int]
    trials: list[AblationTrial]

    def to_json(self) -> dict[str, Any]:
        """Return the trials as plain JSON values."""
        return {"rows": self.rows, "trials": [trial.to_json() for trial in self.trials]}
