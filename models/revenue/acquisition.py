"""What it costs to acquire customers, by cohort of entry, beside what they bring.

A cost is paid before the customers that it brings: those of a quarter's leads come over the length
of the sales cycle. So costs of a quarter are compared with the customers among the accounts that
entered in it, once most of them have had the time to buy. Intervals of a count are Garwood's for a
Poisson mean (1936).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

# A cohort is mature once this share of the customers of earlier ones came as fast.
MATURE_SHARE = 0.9
# Customers of a cohort below which no ratio is given.
MIN_CUSTOMERS = 10
CONFIDENCE = 0.9


@dataclass(frozen=True)
class EntryRecords:
    """Accounts from their entry on, one element per account.

    Attributes:
        day: Day of the entry, int64 days since 1970.
        first: Days from the entry to the first purchase, float64; NaN without one.
    """

    day: np.ndarray
    first: np.ndarray


@dataclass(frozen=True)
class AcquisitionCost:
    """Cost of a customer of a cohort.

    Attributes:
        cac: Cost by customer.
        low: Lower end of its 90 % interval.
        high: Upper end of it.
    """

    cac: float
    low: float
    high: float


def measure_lag(entries: EntryRecords, end: int) -> int | None:
    """Return the days in which MATURE_SHARE of the customers came, None without customers.

    Only accounts of the first half of the days are asked, so that slow customers are in it as well
    as quick ones.
    """
    start = int(entries.day.min(initial=end))
    is_old = entries.day < start + (end - start) // 2
    waits = entries.first[is_old & np.isfinite(entries.first)]
    if len(waits) < MIN_CUSTOMERS:
        return None
    return int(np.ceil(np.quantile(waits, MATURE_SHARE)))


def bound_cost(cost: float, customers: int) -> AcquisitionCost | None:
    """Return the cost by customer with its interval; None for too few customers."""
    if customers < MIN_CUSTOMERS:
        return None
    tail = (1 - CONFIDENCE) / 2
    fewest = stats.gamma.ppf(tail, customers)
    most = stats.gamma.ppf(1 - tail, customers + 1)
    return AcquisitionCost(cost / customers, float(cost / most), float(cost / fewest))


def find_payback(month: np.ndarray, margin: np.ndarray, cac: float) -> int | None:
    """Return the first month after which the margin by customer reaches the cost; None if none.

    ``month`` ascends; ``margin`` is what a customer brought from its first purchase to the end of
    the month.
    """
    reached = np.flatnonzero(margin >= cac)
    return int(month[reached[0]]) if len(reached) else None
