"""Results of an evaluation: metrics of all tested rows, of their slices, and of the baselines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from models.evaluation.metrics import Estimate
from models.evaluation.sliced_metrics import SliceMetrics


@dataclass(frozen=True)
class EvaluationRows:
    """Columns of the tested rows, in the order of the OUT_OF_TIME table.

    Attributes:
        entity: Row number in ``leads``.
        cluster: Account of the entity, or the entity without one, as a number.
        batch: Batch of work that a row belongs to; leads of one batch compete for the capacity.
        capacity: Number of leads of a batch that can be worked; None where unknown.
        amount: Value of the outcome, NaN where unknown; None where the target has no amount.
        expected: Amount predicted before the outcome; None where the amount is not predicted.
        unseen: Whether the fold was trained on no row of this “entities”, and of this “accounts”
            where the data has accounts.
        segments: Text values by attribute, null where unknown.
        stage: Stage of the lead, null where unknown; None where there are no stages.
    """

    entity: np.ndarray
    cluster: np.ndarray
    batch: np.ndarray
    capacity: int | None
    amount: np.ndarray | None
    expected: np.ndarray | None
    unseen: dict[str, np.ndarray]
    segments: dict[str, pa.Array]
    stage: pa.Array | None


Metrics = dict[str, Estimate]

# Metrics stored with a model and compared later with what happens to its published scores.
EXPECTED_METRICS = (
    "roc_auc",
    "log_loss",
    "calibration_slope",
    "calibration_error",
    "predicted_to_observed",
    "mean_predicted",
    "outcome_rate",
    "precision_at_capacity",
    "lift_at_capacity",
)


@dataclass(frozen=True)
class Evaluation:
    """Metrics of a challenger on all tested rows and by slice, and of each baseline.

    Attributes:
        metrics: Metrics of the challenger on all tested rows.
        baselines: Metrics of each baseline on the same rows.
        unseen: Metrics of the “entities” and “accounts” that are new to their fold.
        folds: Metrics by fold.
        segments: Metrics by attribute and value.
        stages: Metrics by stage.
        reliability: Mean predicted and observed rate of each bin.
        rows: The tested rows.
    """

    metrics: Metrics
    baselines: dict[str, Metrics]
    unseen: dict[str, SliceMetrics]
    folds: dict[str, SliceMetrics]
    segments: dict[str, dict[str, SliceMetrics]]
    stages: dict[str, SliceMetrics]
    reliability: list[tuple[float, Estimate]]
    rows: EvaluationRows

    @property
    def expectations(self) -> dict[str, Any]:
        """Return EXPECTED_METRICS as plain JSON values."""
        return _metrics_to_json(
            {name: self.metrics[name] for name in EXPECTED_METRICS if name in self.metrics}
        )

    def to_json(self) -> dict[str, Any]:
        """Return all but the rows as plain JSON values."""
        baselines = {name: _metrics_to_json(metrics) for name, metrics in self.baselines.items()}
        return {
            "metrics": _metrics_to_json(self.metrics),
            "baselines": baselines,
            "unseen": _slices_to_json(self.unseen),
            "folds": _slices_to_json(self.folds),
            "segments": {column: _slices_to_json(s) for column, s in self.segments.items()},
            "stages": _slices_to_json(self.stages),
            "reliability": [
                {"predicted": predicted, "observed": rate.to_json()}
                for predicted, rate in self.reliability
            ],
        }


def _slices_to_json(slices: dict[str, SliceMetrics]) -> dict[str, Any]:
    return {name: metrics.to_json() for name, metrics in slices.items()}


def _metrics_to_json(metrics: Metrics) -> dict[str, Any]:
    return {name: estimate.to_json() for name, estimate in metrics.items()}
