"""Counts of a night's feature values by the bins of the model's training distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.encoding import sample_evenly
from models.reference.feature_distribution import MAX_ROWS, TrainingDistribution
from models.scorer import Scorer


@dataclass(frozen=True)
class FeatureCounts:
    """Counts of feature values by bin.

    Attributes:
        population: Training distribution of the model; None for a model of an early version,
            for which nothing is counted.
        rows: Rows counted.
        counts: Rows by bin of each column of ``population``.
        unknown_categories: For each category column, the rows whose category the model does not
            know.
    """

    population: TrainingDistribution | None
    rows: int
    counts: dict[str, np.ndarray]
    unknown_categories: dict[str, int]

    @classmethod
    def from_matrix(cls, scorer: Scorer, matrix: pa.Table) -> Self:
        """Count a feature matrix, or an even sample of MAX_ROWS rows of a larger one."""
        stored = scorer.metadata.feature_distribution
        if stored is None:
            return cls(None, 0, {}, {})
        population = TrainingDistribution.from_json(stored)
        # More rows than these change no verdict.
        sample = matrix.select(list(population.columns)).take(
            pa.array(sample_evenly(matrix.num_rows, MAX_ROWS))
        )
        counts = {name: column.count(sample[name]) for name, column in population.columns.items()}
        known = {
            feature.name: feature.categories
            for feature in scorer.encoding.features
            if feature.categories
        }
        unknown = {
            name: _count_unknown(sample[name], known[name])
            for name in population.columns
            if name in known
        }
        return cls(population, sample.num_rows, counts, unknown)


def _count_unknown(column: pa.ChunkedArray, known: tuple[str, ...]) -> int:
    """Return the number of valid values that are not among the known categories."""
    unknown = pc.invert(pc.is_in(column, value_set=pa.array(known, pa.string())))
    return pc.sum(pc.and_(unknown, pc.is_valid(column))).as_py() or 0
