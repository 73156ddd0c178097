"""Times without a contract: from the day a customer has left to the payment that ends it."""

from __future__ import annotations

import numpy as np

from models.contracts.past_renewals import ContractEvents
from models.customers.win_back import Lapses


def find_contract_lapses(events: ContractEvents, end: int) -> Lapses:
    """Return the lapses that began before the day ``end``, by customer and day.

    A lapse begins on the day of the ending, or on the last day of the grace, and ends with the next
    payment; a payment on that day prevents it. Its ``purchases`` are the periods paid before.
    """
    known, contracts = events.payments.select_before(end), events.describe_day(end)
    periods, terms, endings = contracts.periods, contracts.terms, contracts.endings
    if not len(known.day):
        empty = np.empty(0, np.int64)
        return Lapses(empty, empty, empty, np.empty(0, bool))
    is_last = np.append(known.customer[1:] != known.customer[:-1], True)
    key = _number_days(known.customer, known.day)
    own = np.searchsorted(_number_days(periods.customer, periods.start), key, "right") - 1
    over = periods.start[own] + terms.period + terms.grace
    # The first ending after the payment, before the next customer's.
    place = np.searchsorted(_number_days(endings.customer, endings.day), key, "right")
    day = np.append(endings.day, end)[place]
    is_own = np.append(endings.customer, -1)[place] == known.customer
    begin = np.where(is_own, np.minimum(day, over), over)
    until = np.where(is_last, end - 1, np.append(known.day[1:], end))
    days = until - begin
    has_lapsed = days >= np.where(is_last, 0, 1)
    first = np.searchsorted(periods.customer, known.customer)
    return Lapses(
        known.customer[has_lapsed],
        (own - first + 1)[has_lapsed],
        days[has_lapsed],
        ~is_last[has_lapsed],
    )


def _number_days(customer: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Return numbers in the order of customers and days, int64."""
    # Days since 1970 of any calendar year of four digits fit in between.
    numbers: np.ndarray = customer * 2**23 + day
    return numbers
