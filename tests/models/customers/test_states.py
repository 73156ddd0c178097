"""States of customers, rule by rule, and the flows between them."""

from __future__ import annotations

import numpy as np
import pytest

from models.customers.states import (
    STATES,
    CustomersAt,
    StateRules,
    classify_customers,
    count_flows,
    find_customer_days,
)
from models.purchases.histories import merge_days, summarize_purchases

RULES = StateRules(lapse=100, onboarding=30)
END = 1_000


def classify(days: list[int], alive: float = 0.9, advocate: bool = False) -> str:
    """Return the state of a customer who bought on some days."""
    purchases = merge_days(np.zeros(len(days), np.int64), np.array(days), np.ones(len(days)))
    found = find_customer_days(purchases, END)
    state = classify_customers(found, np.array([alive]), np.array([advocate]), END, RULES)
    return STATES[state[0]]


@pytest.mark.parametrize(
    ("days", "alive", "advocate", "expected"),
    [
        ([990], 0.9, False, "onboarding"),
        ([970], 0.9, False, "onboarding"),
        ([969], 0.9, False, "active"),
        ([950], 0.4, False, "at_risk"),
        ([950], 0.4, True, "advocate"),
        ([900], 0.9, False, "active"),
        ([899], 0.9, False, "lapsed"),
        ([899], 0.9, True, "lapsed"),
        ([850, 950], 0.9, False, "returned"),
        ([851, 950], 0.9, False, "active"),
        ([700, 850, 990], 0.9, False, "returned"),
        ([700, 980, 990], 0.9, False, "active"),
    ],
)
def test_state_follows_the_first_rule_that_holds(
    days: list[int], alive: float, advocate: bool, expected: str
) -> None:
    assert classify(days, alive, advocate) == expected


def test_purchases_on_or_after_the_end_are_not_seen() -> None:
    assert classify([899, END, END + 5]) == "lapsed"


def test_flows_count_every_customer_once() -> None:
    customer = np.array([0, 1, 1, 2, 4])
    day = np.array([10, 20, 950, 940, 990])
    purchases = merge_days(customer, day, np.ones(5))

    def describe(end: int) -> CustomersAt:
        histories = summarize_purchases(purchases, end)
        days, alive = find_customer_days(purchases, end), np.ones(len(histories))
        state = classify_customers(days, alive, alive > 1, end, RULES)
        return CustomersAt(histories, days, state)

    before, after = describe(945), describe(END)
    flows = count_flows(before, after)
    names = [*STATES, "stranger"]
    counted = {
        (names[i], names[j]): int(flows[i, j]) for i, j in zip(*np.nonzero(flows), strict=True)
    }
    assert counted == {
        ("lapsed", "lapsed"): 1,
        ("lapsed", "returned"): 1,
        ("onboarding", "active"): 1,
        ("stranger", "onboarding"): 1,
    }
