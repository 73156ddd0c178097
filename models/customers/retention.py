"""Retention of cohorts: the share of customers that buys in each month after its first purchase.

A month of a customer counts once it is over. So young customers are not taken for lost ones, and
every month of a cohort has its own number of customers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.calibration import compute_wilson_interval
from models.purchases.histories import Purchases

# Months of a customer have equal length, so that no month has more days to buy in.
MONTH_DAYS = 30
# Cohorts with fewer customers in a month say nothing.
MIN_CUSTOMERS = 10


@dataclass(frozen=True)
class RetentionRows:
    """Months of cohorts, ordered by cohort and month.

    Attributes:
        cohort: Number of the cohort, int64.
        month: Months since the first purchase, from 1, int64.
        customers: Customers whose month is over, int64.
        buyers: Those of them who bought in it, int64.
        share: Their share, float64.
        low: Lower end of its 90 % interval, float64.
        high: Upper end of it, float64.
        margin: Margin per customer from the first purchase to the end of the month, float64.
    """

    cohort: np.ndarray
    month: np.ndarray
    customers: np.ndarray
    buyers: np.ndarray
    share: np.ndarray
    low: np.ndarray
    high: np.ndarray
    margin: np.ndarray


def measure_retention(
    purchases: Purchases, first: np.ndarray, cohort: np.ndarray, end: int
) -> RetentionRows:
    """Return the retention of cohorts by the purchases before ``end``.

    ``first`` is the day of each customer's first purchase and ``cohort`` its cohort, both int64
    (customers,) in ascending order of the customers' numbers.
    """
    known = purchases.select_before(end)
    starts = np.flatnonzero(np.diff(known.customer, prepend=known.customer[:1] - 1))
    customer = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(known.day)))
    # The first purchase is month 0; day 1 to MONTH_DAYS after it are month 1.
    month = -(-(known.day - first[customer]) // MONTH_DAYS)
    followed = (end - 1 - first) // MONTH_DAYS
    months = int(followed.max(initial=0))
    shape = (int(cohort.max(initial=-1)) + 1, months + 1)
    customers = _count_followed(cohort, followed, shape)
    is_over = month <= followed[customer]
    customer, month, margin = customer[is_over], month[is_over], known.margin[is_over]
    buyers = np.zeros(shape, np.int64)
    distinct = np.unique(customer * (months + 1) + month)
    np.add.at(buyers, (cohort[distinct // (months + 1)], distinct % (months + 1)), 1)
    average = _average_margin(cohort[customer], month, margin, customers)
    rows = np.nonzero((customers >= MIN_CUSTOMERS) & (np.arange(months + 1) > 0))
    counts = customers[rows]
    share = buyers[rows] / counts
    low, high = compute_wilson_interval(share, counts)
    return RetentionRows(rows[0], rows[1], counts, buyers[rows], share, low, high, average[rows])


def _count_followed(cohort: np.ndarray, followed: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return customers of each cohort whose month is over, int64 (cohorts, months)."""
    ends = np.zeros(shape, np.int64)
    np.add.at(ends, (cohort, followed), 1)
    counts: np.ndarray = ends[:, ::-1].cumsum(axis=1)[:, ::-1]
    return counts


def _average_margin(
    cohort: np.ndarray, month: np.ndarray, margin: np.ndarray, customers: np.ndarray
) -> np.ndarray:
    """Return the sum over months of the mean margin of those whose month is over."""
    total = np.zeros(customers.shape)
    np.add.at(total, (cohort, month), margin)
    mean = np.divide(total, customers, out=np.zeros(total.shape), where=customers > 0)
    cumulated: np.ndarray = mean.cumsum(axis=1)
    return cumulated
