"""Periods of contracts, as payments show them.

A payment pays for one period from its day. A later payment renews the contract if it comes at the
latest `grace` days after the renewal is due; payments in the first half of a period belong to it.
A payment after the grace begins a new contract. Only earlier payments decide what a payment is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.tools.jit import jit_kernel
from models.purchases.histories import Purchases


@dataclass(frozen=True)
class ContractTerms:
    """What a payment pays for, in whole days.

    Attributes:
        period: Days that a payment pays for; the renewal is due on the day after the last of them.
        grace: Days after the due day until which a renewal may be paid.
        since: First day that the log has, int days since 1970: a contract whose first payment comes
            within a period and its grace from then may be older. None if it has all payments.
    """

    period: int
    grace: int
    since: int | None = None

    @property
    def earliest(self) -> int:
        """Return the days after a payment from which the next one renews."""
        return -(-self.period // 2)


@dataclass(frozen=True)
class PaidPeriods:
    """Periods of contracts, one element per paid period, by customer and time.

    Attributes:
        customer: Number of the customer, int64.
        start: Day of the payment, int64 days since 1970.
        number: Number of the period in its contract, from 1, int64.
        contract: Number of the contract of the customer, from 1, int64.
        late: Days from the due day to the payment, int64; below zero if early, 0 for a first one.
        margin: Margin of the payments in the period, float64.
    """

    customer: np.ndarray
    start: np.ndarray
    number: np.ndarray
    contract: np.ndarray
    late: np.ndarray
    margin: np.ndarray

    def as_purchases(self) -> Purchases:
        """Return each paid period as a purchase on its first day."""
        return Purchases(self.customer, self.start, self.margin)


def find_paid_periods(purchases: Purchases, terms: ContractTerms) -> PaidPeriods:
    """Return the periods that payments paid for."""
    number = np.zeros(len(purchases.day), np.int64)
    contract, late = np.zeros_like(number), np.zeros_like(number)
    limits = (terms.earliest, terms.period, terms.grace)
    _number_periods(purchases.customer, purchases.day, limits, number, contract, late)
    rows = np.flatnonzero(number)
    margin = np.add.reduceat(purchases.margin, rows) if len(rows) else np.empty(0)
    return PaidPeriods(
        purchases.customer[rows],
        purchases.day[rows],
        number[rows],
        contract[rows],
        late[rows],
        margin,
    )


@jit_kernel
def _number_periods(
    customer: np.ndarray,
    day: np.ndarray,
    limits: tuple[int, int, int],
    number: np.ndarray,
    contract: np.ndarray,
    late: np.ndarray,
) -> None:
    """Number the payments that begin a period; the others keep the number 0."""
    earliest, period, grace = limits
    last = 0
    for row in range(len(day)):
        if row == 0 or customer[row] != customer[row - 1]:
            number[row], contract[row], last = 1, 1, row
            continue
        passed = day[row] - day[last]
        if passed < earliest:
            continue
        if passed > period + grace:
            number[row], contract[row] = 1, contract[last] + 1
        else:
            number[row], contract[row] = number[last] + 1, contract[last]
            late[row] = passed - period
        last = row
