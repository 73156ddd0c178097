"""What is seen of a night's features: counts by the bins that the model keeps of its training."""

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
    """Rows by bin of each column that ``population`` keeps, of ``rows`` rows looked at.

    ``unknown_categories`` are the rows of each category column whose category the model does not know. An old model keeps no
    population: then nothing is counted.
    """

    population: TrainingDistribution | None
    rows: int
    counts: dict[str, np.ndarray]
    unknown_categories: dict[str, int]

    @classmethod
    def from_matrix(cls, scorer: Scorer, matrix: pa.Table) -> Self:
        """Look at a feature matrix; of more than ROWS rows at an even sample, which tells as much."""
        kept = scorer.metadata.feature_distribution
        if kept is None:
            return cls(None, 0, {}, {})
        population = TrainingDistribution.from_json(kept)
        sample = matrix.select(list(population.columns)).take(
            pa.array(sample_evenly(matrix.num_rows, MAX_ROWS))
        )
        counts = {name: column.count(sample[name]) for name, column in population.columns.items()}
        known = {
            feature.name: feature.categories
            for feature in scorer.encoding.features
            if feature.categories
        }
        strange = {
            name: _count_unknown(sample[name], known[name])
            for name in population.columns
            if name in known
        }
        return cls(population, sample.num_rows, counts, strange)


def _count_unknown(column: pa.ChunkedArray, known: tuple[str, ...]) -> int:
    unknown = pc.invert(pc.is_in(column, value_set=pa.array(known, pa.string())))
    return pc.sum(pc.and_(unknown, pc.is_valid(column))).as_py() or 0
