"""The grid of fit and engagement: what became of accounts that had both at earlier cutoffs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from models.fit.classes import CLASSES
from models.fit.schemas import FIT_GRID
from models.fit.tables import average_amounts, estimate_rates

# Busy, active, and without an activity in the last 30 days.
LEVELS = (1, 2, 3)


@dataclass(frozen=True)
class GridRows:
    """Open accounts at cutoffs whose whole horizon is observed; one element per both.

    Attributes:
        fit_class: Place in CLASSES, by a profile of other accounts, int64.
        activities: Activities in the last 30 days before the cutoff, int64.
        is_customer: Whether it was won within the horizon, bool.
        value: Amount that it brought by then, float64; None without amounts.
        bucket: Bucket of the account in the bootstrap, int64.
    """

    fit_class: np.ndarray
    activities: np.ndarray
    is_customer: np.ndarray
    value: np.ndarray | None
    bucket: np.ndarray


def find_busy_limit(activities: np.ndarray) -> int:
    """Return from how many activities on an account is busy: more than half of the active have.

    At least 2, so that an account with a single activity is never busy.
    """
    active = activities[activities > 0]
    return max(int(np.floor(np.median(active))) + 1, 2) if len(active) else 2


def rate_engagement(activities: np.ndarray, busy: int) -> np.ndarray:
    """Return the level of engagement of each account, a place in LEVELS, int64."""
    return np.where(activities >= busy, 0, np.where(activities > 0, 1, 2))


def build_grid_table(
    rows: GridRows, busy: int, open_class: np.ndarray, open_activities: np.ndarray
) -> pa.Table:
    """Return FIT_GRID, A1 to C3; the last two are class and activities of accounts open now."""
    cells = len(CLASSES) * len(LEVELS)
    cell = rows.fit_class * len(LEVELS) + rate_engagement(rows.activities, busy)
    open_cell = open_class * len(LEVELS) + rate_engagement(open_activities, busy)
    level = np.tile(LEVELS, len(CLASSES))
    columns = estimate_rates(cell, rows.is_customer, rows.bucket, cells) | {
        "fit_class": np.repeat(CLASSES, len(LEVELS)),
        "engagement": level,
        "cell": np.array([f"{name}{number}" for name in CLASSES for number in LEVELS]),
        "activities_from": np.tile([busy, 1, 0], len(CLASSES)),
        "value_per_account": average_amounts(cell, rows.value, cells),
        "open_accounts": np.bincount(open_cell, minlength=cells),
    }
    arrays = [pa.array(columns[f.name], f.type, from_pandas=True) for f in FIT_GRID]
    return pa.table(arrays, schema=FIT_GRID)
