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
        asked_at: Time of each row (rows,) int64, such as its cutoff; None for the order of rows.
        known_at: Time at which the outcome of each row was known, after ``asked_at``.
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
    asked_at: np.ndarray | None = None
    known_at: np.ndarray | None = None

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

        def take_rows(values: np.ndarray | None) -> np.ndarray | None:
            return None if values is None else values[rows]

        return replace(
            self,
            x=self.x[rows],
            weight=take_rows(self.weight),
            asked_at=take_rows(self.asked_at),
            known_at=take_rows(self.known_at),
        )
