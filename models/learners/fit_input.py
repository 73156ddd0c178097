"""Input common to every learner's ``fit``, apart from the labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from configs.learning import Learning
from models.sample_weights import compute_sample_weights


@dataclass(frozen=True)
class FitInput:
    """Rows to fit on.

    Attributes:
        x: Features (rows, features) float64, NaN where missing.
        categorical: Columns of ``x`` that hold category codes.
        seed: Seed of every random choice.
        rows_per_cluster: Mean number of rows of a cluster: an account, or an entity without one.
        weight: Sample weights (rows,), 1 on average; None where all rows weigh alike.
        parameters: LightGBM parameters that replace the chosen ones; other learners ignore them.
        names: Name of each column of ``x``; empty where they have none.
    """

    x: np.ndarray
    categorical: list[int]
    seed: int
    rows_per_cluster: float = 1.0
    weight: np.ndarray | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    names: Sequence[str] = ()

    @classmethod
    def from_rows(
        cls,
        x: np.ndarray,
        categorical: list[int],
        entity_id: np.ndarray,
        cluster: np.ndarray,
        cutoff: np.ndarray,
        learning: Learning,
        parameters: Mapping[str, Any],
        seed: int,
        names: Sequence[str] = (),
    ) -> Self:
        """Return the input of rows of these entities and clusters (text).

        ``cutoff`` is in microseconds UTC.

        Sample weights follow ``learning``.
        """
        rows_per_cluster = len(cluster) / len(set(cluster))
        weight = compute_sample_weights(entity_id, cutoff, learning)
        return cls(x, categorical, seed, rows_per_cluster, weight, parameters, names)

    def take(self, rows: np.ndarray) -> Self:
        """Return the rows at these positions."""
        weight = None if self.weight is None else self.weight[rows]
        return replace(self, x=self.x[rows], weight=weight)
