"""What the leakage audit reads beside the feature matrix: where its columns come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa


@dataclass(frozen=True)
class LeadColumns:
    """The leads with their current values, beyond the rows of the feature matrix.

    Attributes:
        table: One row per lead: its columns, also those that no feature uses.
        lead_row: Row in ``table`` of each row of the matrix.
        open_rows: Rows in ``table`` of the leads to score.
        created_us: Creation of each lead in microseconds, or its rank without times.
        created_day: Creation of each lead in days since 1970, NaN if unknown; None without times
            and without an order by date.
        as_of_day: As-of in days since 1970; None without times.
        dates: Columns of ``table`` that hold dates.
    """

    table: pa.Table
    lead_row: np.ndarray
    open_rows: np.ndarray
    created_us: np.ndarray
    created_day: np.ndarray | None = None
    as_of_day: float | None = None
    dates: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ColumnOrigins:
    """Origin of the columns of a feature matrix.

    Attributes:
        current: Source column by feature, for features that show the current value of a column.
        dated: Event type or attribute by feature, for features computed point-in-time. Features in
            neither mapping are not audited.
        ordered: Whether the order of the cutoffs means anything.
        account_id: One text or null for each row of the matrix; None without accounts.
        allowed: Columns that the config allows; they make no other column a suspect.
        leads: The leads, with the columns that no feature uses; None to audit the matrix alone.
    """

    current: Mapping[str, str]
    dated: Mapping[str, str] = field(default_factory=dict)
    ordered: bool = True
    account_id: pa.ChunkedArray | None = None
    allowed: frozenset[str] = frozenset()
    leads: LeadColumns | None = None
