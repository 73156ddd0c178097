"""Rows whose outreach was decided at random, with a recorded probability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from models.learners.fit_input import FitInput


@dataclass(frozen=True)
class RandomisedRows:
    """Mature rows of an experiment, one element per assignment.

    Attributes:
        x: Features as of the assignment (rows, features) float64, NaN where missing.
        categorical: Columns of ``x`` that hold category codes.
        treated: Whether outreach was assigned, bool (rows,).
        propensity: Probability of that assignment to outreach, above 0 and below 1 (rows,).
        outcome: 1 if the outcome happened within the horizon, else 0; float64 (rows,).
        cluster: Hash of the account, or of the entity without one, uint64 (rows,).
    """

    x: np.ndarray
    categorical: list[int]
    treated: np.ndarray
    propensity: np.ndarray
    outcome: np.ndarray
    cluster: np.ndarray

    def __len__(self) -> int:
        return len(self.treated)

    def take(self, rows: np.ndarray) -> Self:
        """Return the rows at these positions."""
        columns = (self.treated, self.propensity, self.outcome, self.cluster)
        return type(self)(self.x[rows], self.categorical, *(column[rows] for column in columns))

    def to_fit_input(self, seed: int) -> FitInput:
        """Return the features as the learners take them."""
        clusters = max(len(np.unique(self.cluster)), 1)
        return FitInput(self.x, self.categorical, seed, len(self) / clusters)

    def split_halves(self, seed: int) -> np.ndarray:
        """Return 0 or 1 for each row, int64: a random half of the clusters each."""
        names, place = np.unique(self.cluster, return_inverse=True)
        halves = np.arange(len(names)) % 2
        half: np.ndarray = np.random.default_rng(seed).permutation(halves)[place]
        return half
