"""Contracts as of a day: who has left, whose renewal is open, and which renewals are decided."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.contracts.terms import ContractTerms, PaidPeriods, find_paid_periods
from models.purchases.histories import PurchaseHistories, Purchases, summarize_purchases


@dataclass(frozen=True)
class Endings:
    """Days on which contracts were ended, such as by a notice.

    Attributes:
        customer: Number of the customer, int64.
        day: The day, int64 days since 1970.
    """

    customer: np.ndarray
    day: np.ndarray


@dataclass(frozen=True)
class ContractsAt:
    """The latest contract of each customer before a day; one element per customer with a payment.

    Attributes:
        end: The day: the first that is not seen.
        terms: What a payment pays for.
        periods: All paid periods before the day.
        number: Number of the current period in its contract, from 1, int64.
        contract: Number of the contract of the customer, from 1, int64.
        due: Day on which the next renewal is due, int64.
        ended: Day on which the contract was ended; -1 if it was not, int64.
        endings: All endings before the day, by customer and day.
    """

    end: int
    terms: ContractTerms
    periods: PaidPeriods
    number: np.ndarray
    contract: np.ndarray
    due: np.ndarray
    ended: np.ndarray
    endings: Endings

    @property
    def has_left(self) -> np.ndarray:
        """Return who has left: the contract was ended, or its grace is over; bool (customers,)."""
        left: np.ndarray = (self.ended >= 0) | (self.due + self.terms.grace < self.end)
        return left

    @property
    def in_grace(self) -> np.ndarray:
        """Return whose renewal was due and may still be paid, bool (customers,)."""
        open_renewal: np.ndarray = ~self.has_left & (self.due < self.end)
        return open_renewal

    def summarize_periods(self) -> PurchaseHistories:
        """Return the histories of the customers, with each paid period as a purchase."""
        return summarize_purchases(self.periods.as_purchases(), self.end)


def describe_contracts(
    purchases: Purchases, endings: Endings, terms: ContractTerms, end: int
) -> ContractsAt:
    """Return the contracts before the day ``end``, by payments and endings before it.

    An ending counts if no payment came on its day or later: a payment continues the contract.
    """
    known = purchases.select_before(end)
    periods = find_paid_periods(known, terms)
    customer, starts, counts = np.unique(periods.customer, return_index=True, return_counts=True)
    last = starts + counts - 1
    size = int(customer.max(initial=-1)) + 1
    paid, ended = np.full(size, -1, np.int64), np.full(size, -1, np.int64)
    np.maximum.at(paid, known.customer, known.day)
    rows = (endings.day < end) & (endings.customer < size)
    np.maximum.at(ended, endings.customer[rows], endings.day[rows])
    order = np.lexsort((endings.day[rows], endings.customer[rows]))
    before = Endings(endings.customer[rows][order], endings.day[rows][order])
    ended = np.where(ended > paid, ended, -1)[customer]
    due = periods.start[last] + terms.period
    number, contract = periods.number[last], periods.contract[last]
    return ContractsAt(end, terms, periods, number, contract, due, ended, before)


@dataclass(frozen=True)
class RenewalDecisions:
    """Renewals that are decided: those whose grace is over, paid or not.

    A renewal that was paid early is not counted before its grace is over either: else those who pay
    would be seen earlier than those who do not.

    Attributes:
        kept: Contracts that were renewed at the end of period 1, 2, …, int64 (periods,).
        lost: Contracts that were not, int64 (periods,).
        late: Days from the due day to the payment of each renewal, int64 (renewals,).
        left: Days from the due day to the last day of each contract that was lost, int64 (lost,):
            that of its ending, below zero if it came before the due day, or of the grace.
    """

    kept: np.ndarray
    lost: np.ndarray
    late: np.ndarray
    left: np.ndarray

    @property
    def count(self) -> int:
        """Return the number of decisions."""
        return int(self.kept.sum() + self.lost.sum())


def count_decisions(contracts: ContractsAt) -> RenewalDecisions:
    """Return the decided renewals; contracts that may be older than the log are left out."""
    periods, terms = contracts.periods, contracts.terms
    is_decided = periods.start + terms.period + terms.grace < contracts.end
    if terms.since is not None:
        is_decided &= ~_may_be_older(periods, terms.since + terms.period + terms.grace)
    is_kept = np.zeros(len(periods.start), bool)
    is_kept[:-1] = periods.number[1:] == periods.number[:-1] + 1
    is_kept[:-1] &= periods.customer[1:] == periods.customer[:-1]
    kept, lost = is_decided & is_kept, is_decided & ~is_kept
    size = int(periods.number[is_decided].max(initial=0)) + 1
    return RenewalDecisions(
        np.bincount(periods.number[kept], minlength=size)[1:],
        np.bincount(periods.number[lost], minlength=size)[1:],
        periods.late[np.flatnonzero(kept) + 1],
        _measure_exits(contracts, np.flatnonzero(lost)),
    )


def _measure_exits(contracts: ContractsAt, rows: np.ndarray) -> np.ndarray:
    """Return the days from the due day to the last day of the contracts of lost periods, int64."""
    periods, terms, endings = contracts.periods, contracts.terms, contracts.endings
    due = periods.start[rows] + terms.period
    # The first ending of the customer after the period began: both are ordered alike.
    size = int(endings.day.max(initial=0)) + int(due.max(initial=0)) + 1
    keys = endings.customer * size + endings.day
    place = np.searchsorted(keys, periods.customer[rows] * size + periods.start[rows], "right")
    follows = np.append(keys, -1)[place]
    day = follows - periods.customer[rows] * size
    is_ended = (follows >= 0) & (day > periods.start[rows]) & (day <= due + terms.grace)
    exits: np.ndarray = np.where(is_ended, day - due, terms.grace)
    return exits


def _may_be_older(periods: PaidPeriods, limit: int) -> np.ndarray:
    """Return whether the contract of each period may have begun before the log."""
    is_first = periods.number == 1
    begin = periods.start[is_first][np.cumsum(is_first) - 1]
    older: np.ndarray = (periods.contract == 1) & (begin <= limit)
    return older
