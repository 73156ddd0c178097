"""States of customers after the win: the right side of the curve from stranger to advocate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.purchases.histories import PurchaseHistories, Purchases

ONBOARDING, ACTIVE, AT_RISK, LAPSED, RETURNED, ADVOCATE = range(6)
STATES = ("onboarding", "active", "at_risk", "lapsed", "returned", "advocate")
# A customer who has left with more than this chance is at risk.
RISK = 0.5


@dataclass(frozen=True)
class StateRules:
    """Limits of the states, in whole days.

    Attributes:
        lapse: Days without a purchase after which a customer has lapsed.
        onboarding: Days after the first purchase for which a customer is new.
    """

    lapse: int
    onboarding: int


@dataclass(frozen=True)
class CustomerDays:
    """Days of purchases of each customer, int64 days since 1970 (customers,).

    Attributes:
        first: Day of the first purchase.
        last: Day of the last purchase.
        gap: Days between the last purchase and the one before; 0 without a repeat.
    """

    first: np.ndarray
    last: np.ndarray
    gap: np.ndarray


@dataclass(frozen=True)
class CustomersAt:
    """Customers as of a day.

    Attributes:
        histories: Their histories.
        days: Days of their purchases.
        state: State of each, a place in STATES, int64.
    """

    histories: PurchaseHistories
    days: CustomerDays
    state: np.ndarray


def find_customer_days(purchases: Purchases, end: int) -> CustomerDays:
    """Return the days of the purchases before ``end``, in the order of ``summarize_purchases``."""
    known = purchases.select_before(end)
    _, starts, days = np.unique(known.customer, return_index=True, return_counts=True)
    last = starts + days - 1
    before = np.maximum(last - 1, starts)
    return CustomerDays(known.day[starts], known.day[last], known.day[last] - known.day[before])


@dataclass(frozen=True)
class StateSigns:
    """What decides the state of each customer, bool (customers,); the first that holds.

    Attributes:
        lapsed: Whether it has lapsed.
        advocate: Whether it brought others.
        returned: Whether its last purchase ended a lapse.
        onboarding: Whether it is new.
        at_risk: Whether it has probably left.
    """

    lapsed: np.ndarray
    advocate: np.ndarray
    returned: np.ndarray
    onboarding: np.ndarray
    at_risk: np.ndarray


def select_states(signs: StateSigns) -> np.ndarray:
    """Return the state of each customer, a place in STATES, int64."""
    conditions = [signs.lapsed, signs.advocate, signs.returned, signs.onboarding, signs.at_risk]
    state: np.ndarray = np.select(
        conditions, [LAPSED, ADVOCATE, RETURNED, ONBOARDING, AT_RISK], ACTIVE
    )
    return state


def classify_customers(
    days: CustomerDays, alive: np.ndarray, advocates: np.ndarray, end: int, rules: StateRules
) -> np.ndarray:
    """Return the state of each customer before the day ``end``, a place in STATES, int64.

    ``alive`` is the chance that each has not left, ``advocates`` whether each brought others.
    """
    # The first day without a purchase is the first of the silence.
    signs = StateSigns(
        end - 1 - days.last >= rules.lapse,
        advocates,
        days.gap >= rules.lapse,
        end - 1 - days.first < rules.onboarding,
        alive < 1 - RISK,
    )
    return select_states(signs)


def count_flows(before: CustomersAt, after: CustomersAt) -> np.ndarray:
    """Return how many customers went from each state to each, int64 (states + 1, states).

    The last row counts those who were no customers before.
    """
    state = np.full(len(after.state), len(STATES))
    place = np.searchsorted(after.histories.customer, before.histories.customer)
    state[place] = before.state
    flows = np.zeros((len(STATES) + 1, len(STATES)), np.int64)
    np.add.at(flows, (state, after.state), 1)
    return flows
