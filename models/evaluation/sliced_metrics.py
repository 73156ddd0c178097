"""Metrics by slice of the evaluation rows: by fold, by segment, of entities unseen in training.

A slice with too few rows is marked as too small and gets no metrics, so that nobody reads noise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from models.evaluation.metrics import Estimate, PredictedRows, SliceName, evaluate_slices

# A slice with fewer rows, or fewer positives or negatives, gets no metrics: they would be noise.
MIN_ROWS, MIN_OUTCOMES = 50, 5
# Left out is a metric of fewer rows, e.g. the precision of a slice with hardly any worked row.
MIN_ROWS_PER_METRIC = 20
# Values of a segment with a slice of their own; the rarer ones share the slice OTHERS.
MAX_VALUES = 10
MISSING, OTHERS = "(missing)", "(others)"


@dataclass(frozen=True)
class SliceMetrics:
    """Counts and metrics of one slice of the evaluation rows.

    Attributes:
        rows: Number of rows.
        entities: Number of distinct entities.
        outcomes: Number of rows with the outcome.
        estimates: Metrics by name; empty where the slice is too small.
    """

    rows: int
    entities: int
    outcomes: int
    estimates: dict[str, Estimate] = field(default_factory=dict)

    @property
    def too_small(self) -> bool:
        """Whether the slice has too few rows, or too few with or without the outcome."""
        return self.rows < MIN_ROWS or min(self.outcomes, self.rows - self.outcomes) < MIN_OUTCOMES

    def to_json(self) -> dict[str, Any]:
        """Return counts and metrics as plain JSON values."""
        counts = {"rows": self.rows, "entities": self.entities, "outcomes": self.outcomes}
        metrics = {name: estimate.to_json() for name, estimate in self.estimates.items()}
        return {**counts, "too_small": self.too_small, "metrics": metrics}


def compute_sliced_metrics(
    rows: PredictedRows,
    masks: Mapping[SliceName, np.ndarray],
    *,
    seed: int = 0,
    replicates: int = 200,
) -> dict[SliceName, SliceMetrics]:
    """Return counts and metrics of each slice, given by a boolean mask of the rows.

    Metrics are those of ``evaluate_slices``.
    """
    label, entity = np.asarray(rows.label), np.asarray(rows.entity_id)
    parts = {
        name: SliceMetrics(int(mask.sum()), len(np.unique(entity[mask])), int(label[mask].sum()))
        for name, mask in masks.items()
    }
    shown = {name: masks[name] for name, part in parts.items() if not part.too_small}
    metrics = evaluate_slices(rows, shown, seed=seed, replicates=replicates) if shown else {}
    return {
        name: replace(part, estimates=_drop_sparse_metrics(metrics.get(name, {})))
        for name, part in parts.items()
    }


def _drop_sparse_metrics(metrics: dict[str, Estimate]) -> dict[str, Estimate]:
    return {name: metric for name, metric in metrics.items() if metric.n >= MIN_ROWS_PER_METRIC}


def mask_by_value(values: Sequence[str | None], order: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Return a boolean mask for each value, those in ``order`` first.

    Of the values outside ``order``, the 10 most frequent get a mask of their own, ties by name, and
    the others share OTHERS. MISSING is the mask of None.
    """
    counts = Counter(values)
    ranked = sorted(
        (v for v in counts if v is not None and v not in order), key=lambda v: (-counts[v], v)
    )
    shown = [value for value in order if counts[value]] + ranked[:MAX_VALUES]
    place: dict[str | None, int] = {value: at for at, value in enumerate(shown)} | {None: -1}
    code = np.array([place.get(value, -2) for value in values], dtype=int)
    masks = {value: code == at for at, value in enumerate(shown)}
    rest = {OTHERS: code == -2, MISSING: code == -1}
    return masks | {name: mask for name, mask in rest.items() if mask.any()}
