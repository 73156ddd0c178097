"""Calendar quarters of days."""

from __future__ import annotations

import numpy as np


def find_quarters(days: np.ndarray) -> np.ndarray:
    """Return the calendar quarter of each day, int64 quarters since 1970."""
    months = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    return months // 3


def find_quarter_starts(quarters: np.ndarray) -> np.ndarray:
    """Return the first day of each quarter, int64 days since 1970."""
    months = (quarters * 3).astype("datetime64[M]")
    return months.astype("datetime64[D]").astype(np.int64)


def name_quarter(quarter: int) -> str:
    """Return a quarter since 1970 as text, such as ``2025-Q1``."""
    return f"{1970 + quarter // 4}-Q{quarter % 4 + 1}"
