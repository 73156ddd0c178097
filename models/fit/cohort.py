"""Mature accounts: what each brought within a horizon after its entry.

A unit is an account, or a lead without one. It enters when its first lead becomes known.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from models.survival.bootstrap import BUCKETS

# Values above this share of the customers' count as the value there: otherwise a single large deal
# makes a profile of its own.
CAPPED_SHARE = 0.95


@dataclass(frozen=True)
class EntryCohort:
    """Units whose whole horizon lies before the observation date.

    Attributes:
        cluster: Hash of each unit, uint64 (units,). No two of the units depend on each other.
        is_customer: Whether it was won within the horizon after its entry, bool (units,).
        value: Amount won within the horizon, float64 (units,), 0 for others than customers and NaN
            where an amount is missing; None where no amount can be known.
    """

    cluster: np.ndarray
    is_customer: np.ndarray
    value: np.ndarray | None

    def __len__(self) -> int:
        """Return the number of units."""
        return len(self.is_customer)

    def take(self, rows: np.ndarray) -> Self:
        """Return the units of an index or a mask."""
        value = None if self.value is None else self.value[rows]
        return type(self)(self.cluster[rows], self.is_customer[rows], value)

    @cached_property
    def outcome(self) -> np.ndarray:
        """Return what a profile is learned on: the capped value, or 1 for a customer, float64."""
        if self.value is None:
            return self.is_customer.astype(float)
        known = self.value[self.is_customer & np.isfinite(self.value)]
        if not len(known):
            return self.is_customer.astype(float)
        # A customer of unknown value counts with the mean of the others.
        value = np.where(np.isfinite(self.value), self.value, known.mean())
        value = np.minimum(value, np.quantile(known, CAPPED_SHARE))
        return np.where(self.is_customer, np.maximum(value, 0.0), 0.0)

    @cached_property
    def bucket(self) -> np.ndarray:
        """Return the bucket of each unit in the bootstrap, int64."""
        return (self.cluster % np.uint64(BUCKETS)).astype(np.int64)
