"""Results of an evaluation: metrics of all tested rows, of their parts, and of the baselines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from models.evaluation.metrics import Estimate
from models.evaluation.sliced_metrics import SliceMetrics


@dataclass(frozen=True)
class EvaluationRows:
    """Columns of one element a tested row, in the order of the OUT_OF_TIME table.

    ``entity`` is the row number of ``leads``. ``batch`` is the batch of work a row belongs to, of which ``capacity``
    leads can be worked. ``amount`` is what an outcome is worth, NaN where unknown, None where the target has none;
    ``expected`` is what a learnt amount was expected to be before, None where the amount is not learnt.
    ``unseen`` says of “entities”, and of “accounts” where the data has them, whether the fold learnt from no row of
    this one. ``segments`` and ``stage`` are texts, null where unknown; ``stage`` is None where there are no stages.
    """

    entity: np.ndarray
    batch: np.ndarray
    capacity: int | None
    amount: np.ndarray | None
    expected: np.ndarray | None
    unseen: dict[str, np.ndarray]
    segments: dict[str, pa.Array]
    stage: pa.Array | None


Metrics = dict[str, Estimate]

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
"""What a training promises of the scores to come."""


@dataclass(frozen=True)
class Evaluation:
    """Figures of the challenger on all tested rows and by part, and of each baseline on the same rows.

    ``unseen`` has the parts “entities” and “accounts” that are new to their fold, ``folds`` one a fold, ``segments``
    by attribute and value, ``stages`` by stage. ``reliability`` is (mean predicted, observed rate) of bins.
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
        """The promised figures as plain JSON values, to be kept with the model and held against what happens."""
        return _metrics_to_json({name: self.metrics[name] for name in EXPECTED_METRICS if name in self.metrics})

    def to_json(self) -> dict[str, Any]:
        """Return all but the rows as plain JSON values."""
        others = {name: _metrics_to_json(figures) for name, figures in self.baselines.items()}
        return {
            "metrics": _metrics_to_json(self.metrics),
            "baselines": others,
            "unseen": _parts_to_json(self.unseen),
            "folds": _parts_to_json(self.folds),
            "segments": {column: _parts_to_json(parts) for column, parts in self.segments.items()},
            "stages": _parts_to_json(self.stages),
            "reliability": [
                {"predicted": at, "observed": rate.to_json()} for at, rate in self.reliability
            ],
        }


def _parts_to_json(parts: dict[str, SliceMetrics]) -> dict[str, Any]:
    return {name: part.to_json() for name, part in parts.items()}


def _metrics_to_json(figures: Metrics) -> dict[str, Any]:
    return {name: figure.to_json() for name, figure in figures.items()}
