"""What the out-of-time predictions of one target say: figures of all rows, of each baseline, and of the rows' parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from models.breakdown import Part, breakdown, by_value
from models.evaluation import Figure, Predicted, evaluate_parts, reliability
from models.kinds import KINDS
from models.training import Tried
from pipelines.rows import Snapshot, TrainingRows
from pipelines.tested import Tested, tested_rows

Figures = dict[str, Figure]
Key = tuple[str, str]
PROMISED = (
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
class Findings:
    """Figures of the challenger on all tested rows and by part, and of each baseline on the same rows.

    ``unseen`` has the parts “entities” and “accounts” that are new to their fold, ``folds`` one a fold, ``segments``
    by attribute and value, ``stages`` by stage. ``reliability`` is (mean predicted, observed rate) of bins.
    """

    metrics: Figures
    baselines: dict[str, Figures]
    unseen: dict[str, Part]
    folds: dict[str, Part]
    segments: dict[str, dict[str, Part]]
    stages: dict[str, Part]
    reliability: list[tuple[float, Figure]]
    tested: Tested

    @property
    def promise(self) -> dict[str, Any]:
        """The promised figures as plain JSON values, to be kept with the model and held against what happens."""
        return _plain({name: self.metrics[name] for name in PROMISED if name in self.metrics})

    def to_json(self) -> dict[str, Any]:
        """Return all but the rows as plain JSON values."""
        others = {name: _plain(figures) for name, figures in self.baselines.items()}
        return {
            "metrics": _plain(self.metrics),
            "baselines": others,
            "unseen": _parts(self.unseen),
            "folds": _parts(self.folds),
            "segments": {column: _parts(parts) for column, parts in self.segments.items()},
            "stages": _parts(self.stages),
            "reliability": [{"predicted": at, "observed": rate.to_json()} for at, rate in self.reliability],
        }


def findings(now: Snapshot, name: str, rows: TrainingRows, tried: Tried) -> Findings:
    """Return the figures of a training's out-of-time rows; raises what ``tested_rows`` raises."""
    table = tried.out_of_time
    tested = tested_rows(now, name, rows, table)
    everything = np.ones(table.num_rows, bool)
    baselines = {
        learner: evaluate_parts(_predicted(table, learner, tested), {"all": everything})["all"]
        for learner in KINDS
        if learner in table.column_names
    }
    challenger = _predicted(table, "probability", tested)
    parts = breakdown(challenger, dict(_masks(tested, table, now.project.features.stages)))
    return Findings(
        metrics=baselines.get(tried.learner) or evaluate_parts(challenger, {"all": everything})["all"],
        baselines=baselines,
        unseen=_of(parts, "unseen"),
        folds=_of(parts, "fold"),
        segments={column: _of(parts, f"segment {column}") for column in tested.segments},
        stages=_of(parts, "stage"),
        reliability=reliability(challenger.label, challenger.probability, challenger.entity_id),
        tested=tested,
    )


def _predicted(table: pa.Table, column: str, tested: Tested) -> Predicted:
    # Rows are ranked within their fold, whose model is its own.
    label, probability, fold = (table[name].to_numpy() for name in ("label", column, "fold"))
    value = None if tested.expected is None else probability * tested.expected
    return Predicted(label, probability, tested.entity, fold, tested.batch, tested.capacity, tested.amount, value)


def _masks(tested: Tested, table: pa.Table, stages: tuple[str, ...]) -> Iterator[tuple[Key, np.ndarray]]:
    for of, mask in tested.unseen.items():
        yield ("unseen", of), mask
    fold = table["fold"].to_numpy()
    for number in np.unique(fold):
        yield ("fold", str(number)), fold == number
    for column, values in tested.segments.items():
        for value, mask in by_value(values.to_pylist()).items():
            yield (f"segment {column}", value), mask
    if tested.stage is not None:
        for value, mask in by_value(tested.stage.to_pylist(), stages).items():
            yield ("stage", value), mask


def _of(parts: dict[Key, Part], kind: str) -> dict[str, Part]:
    return {name: part for (of, name), part in parts.items() if of == kind}


def _parts(parts: dict[str, Part]) -> dict[str, Any]:
    return {name: part.to_json() for name, part in parts.items()}


def _plain(figures: Figures) -> dict[str, Any]:
    return {name: figure.to_json() for name, figure in figures.items()}
