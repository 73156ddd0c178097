"""The labelled sample that the rules of the leakage audit read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from models.leakage.strength import (
    AuditColumn,
    cross_fit_rates,
    measure_single_strength,
    measure_strength,
)

# A column below this strength does no harm; most rules leave such columns alone.
MIN_STRENGTH = 0.01


@dataclass(frozen=True)
class AuditSample:
    """Labelled rows with the columns to audit.

    Attributes:
        label: Label of each row, 0 or 1.
        half: Boolean split of the rows into two halves that share no entity and no account.
        entity: Code of each row's entity.
        account: Code of each row's account; None without accounts.
        time_order: Place in time of each row; None where the order means nothing.
        id_number: Id of each row; None where not all ids are numbers.
        columns: Columns that show their current value, by name.
        dated: Strongest features that were computed point-in-time.
    """

    label: np.ndarray
    half: np.ndarray
    entity: np.ndarray
    account: np.ndarray | None
    time_order: np.ndarray | None
    id_number: np.ndarray | None
    columns: dict[str, AuditColumn]
    dated: list[AuditColumn]

    @cached_property
    def rates(self) -> dict[str, np.ndarray]:
        """Cross-fitted outcome rate of each row, by column."""
        return {
            name: cross_fit_rates(column.bins, self.label, self.half)
            for name, column in self.columns.items()
        }

    @cached_property
    def strengths(self) -> dict[str, float]:
        """Strength of each column alone."""
        return {name: measure_strength(rate, self.label) for name, rate in self.rates.items()}

    def measure_alone(self, bins: np.ndarray) -> float:
        """Return the strength of one column, given by the bin of each row."""
        return measure_single_strength(bins, self.label, self.half)

    def columns_by_strength(self, min_strength: float = MIN_STRENGTH) -> list[AuditColumn]:
        """Return the columns of at least this strength, the strongest first."""
        ranked = sorted(self.columns, key=lambda name: (-self.strengths[name], name))
        return [self.columns[name] for name in ranked if self.strengths[name] >= min_strength]
