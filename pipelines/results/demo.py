"""Result of the demo: its trainings, its night, and the oracle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from features.tools.json_values import to_json_values
from pipelines.results.night import NightResult
from pipelines.results.training import TargetTraining


@dataclass(frozen=True)
class DemoResult:
    """Trainings and night of the demo company.

    Attributes:
        trainings: Training of each target.
        night: The published night; None if a training was refused, so that nothing was scored.
        oracles: By target, metrics of the true probabilities on the model's out-of-time rows.
    """

    trainings: Sequence[TargetTraining]
    night: NightResult | None
    oracles: Mapping[str, Mapping[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """Return the union of `train --json` and `score --json` as plain JSON values.

        Both have ``targets``: each target keeps all keys of its training, beside ``oracle`` and
        ``scored``, the number of scores that the night published for it.
        """
        night: dict[str, Any] = (
            self.night.to_json() if self.night else {"status": "not published", "targets": {}}
        )
        scored: dict[str, int] = night.pop("targets")
        targets = {training.target: training.to_json() for training in self.trainings}
        for name, oracle in self.oracles.items():
            targets[name]["oracle"] = to_json_values(oracle)
        for name, rows in scored.items():
            targets.setdefault(name, {})["scored"] = rows
        return {**night, "targets": targets}
