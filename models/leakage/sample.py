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
class OpenLeads:
    """Leads that are to be scored, with the columns of the sample.

    Attributes:
        created_us: Creation of each lead in microseconds, or its rank; None if the order means
            nothing.
        created_day: Creation in days since 1970; None if unknown.
        columns: Columns that show their current value, by name.
        is_open: Mask of the rows of the sample whose lead is one of these.
    """

    created_us: np.ndarray | None
    created_day: np.ndarray | None
    columns: dict[str, AuditColumn]
    is_open: np.ndarray


@dataclass(frozen=True)
class SampleDates:
    """Days since 1970 that the dates of the sample's rows are compared with.

    Attributes:
        names: Columns that hold dates.
        cutoff_day: Cutoff of each row; None in data without times.
        created_day: Creation of each row's lead.
        as_of_day: The as-of; in data without times, the last creation.
    """

    names: frozenset[str]
    cutoff_day: np.ndarray | None
    created_day: np.ndarray
    as_of_day: float


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
        left_out: Those of ``columns`` that no feature uses.
        created_us: Creation of each row's lead in microseconds, or its rank; None if unknown.
        open_leads: The leads to score; None if there are none.
        dates: The dates among the columns; None if unknown.
    """

    label: np.ndarray
    half: np.ndarray
    entity: np.ndarray
    account: np.ndarray | None
    time_order: np.ndarray | None
    id_number: np.ndarray | None
    columns: dict[str, AuditColumn]
    dated: list[AuditColumn]
    left_out: frozenset[str] = frozenset()
    created_us: np.ndarray | None = None
    open_leads: OpenLeads | None = None
    dates: SampleDates | None = None

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
