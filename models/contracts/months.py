"""Months in which contracts run, so that retention counts who is a customer, not who pays."""

from __future__ import annotations

import numpy as np

from models.contracts.past_renewals import ContractEvents
from models.contracts.terms import find_paid_periods
from models.customers.retention import MONTH_DAYS
from models.purchases.histories import Purchases, merge_days


def list_contract_months(events: ContractEvents, end: int) -> tuple[Purchases, int]:
    """Return the payments before ``end`` with marks of 0 in each month, and the first open day.

    A customer has a mark at the end of each month after its first payment in which a contract runs.
    Whether it runs on a day is known once the grace is over, for those who pay and for those who do
    not; days from the second number on are left out.
    """
    known = events.payments.select_before(end)
    periods, terms = find_paid_periods(known, events.terms), events.terms
    stop = end - terms.grace
    is_first = np.diff(periods.customer, prepend=periods.customer[:1] - 1) != 0
    first = periods.start[is_first][np.cumsum(is_first) - 1]
    # A renewed period runs until the payment of the next, even if that is late.
    over = periods.start + terms.period
    follows = (periods.contract[1:] == periods.contract[:-1]) & ~is_first[1:]
    over[:-1] = np.where(follows, periods.start[1:], over[:-1])
    over = np.minimum(over, stop)
    low = np.maximum(-(-(periods.start - first) // MONTH_DAYS), 1)
    counts = np.maximum((over - 1 - first) // MONTH_DAYS - low + 1, 0)
    row = np.repeat(np.arange(len(counts)), counts)
    month = low[row] + np.arange(len(row)) - np.repeat(counts.cumsum() - counts, counts)
    marks = first[row] + month * MONTH_DAYS
    # Payments keep their margins in the month in which they came.
    paid = known.select_before(stop)
    return (
        merge_days(
            np.concatenate([paid.customer, periods.customer[row]]),
            np.concatenate([paid.day, marks]),
            np.concatenate([paid.margin, np.zeros(len(marks))]),
        ),
        stop,
    )
