"""What is seen of a night's features: counts by the bins that the model keeps of its training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.encoding import evenly
from models.reference.feature_distribution import ROWS, Population
from models.scorer import Scorer


@dataclass(frozen=True)
class Tonight:
    """Rows by bin of each column that ``population`` keeps, of ``rows`` rows looked at.

    ``strange`` are the rows of each category column whose category the model does not know. An old model keeps no
    population: then nothing is counted.
    """

    population: Population | None
    rows: int
    counts: dict[str, np.ndarray]
    strange: dict[str, int]

    @classmethod
    def of(cls, scorer: Scorer, matrix: pa.Table) -> Self:
        """Look at a feature matrix; of more than ROWS rows at an even sample, which tells as much."""
        kept = scorer.meta.get("population")
        if kept is None:
            return cls(None, 0, {}, {})
        population = Population.from_json(kept)
        sample = matrix.select(list(population.columns)).take(
            pa.array(evenly(matrix.num_rows, ROWS))
        )
        counts = {name: column.count(sample[name]) for name, column in population.columns.items()}
        known = {
            feature.name: feature.categories
            for feature in scorer.encoding.features
            if feature.categories
        }
        strange = {
            name: _strange(sample[name], known[name])
            for name in population.columns
            if name in known
        }
        return cls(population, sample.num_rows, counts, strange)


def _strange(column: pa.ChunkedArray, known: tuple[str, ...]) -> int:
    unknown = pc.invert(pc.is_in(column, value_set=pa.array(known, pa.string())))
    return pc.sum(pc.and_(unknown, pc.is_valid(column))).as_py() or 0
