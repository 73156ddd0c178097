"""The exact expectation of what simulated customers buy, and what they really bought.

Each customer's own rates are given, and whether it has left. Within a day (UTC) the rate of its
orders is constant in business time, so the expectations are sums of closed forms over the days.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from features.tools.instants import US_PER_DAY, to_microseconds
from pipelines.simulated.company import BusinessClock, build_demo_clock
from pipelines.simulated.customers import (
    DEMO_CUSTOMERS,
    CustomerLaw,
    CustomerOrders,
    CustomerTruth,
    SimulatedCustomers,
)


@dataclass(frozen=True)
class CustomerFuture:
    """Orders and upgrades of customers in ``[start, end)``, float64 (customers,).

    A later win of another lead of the account is none of them: that is the law of leads.

    Attributes:
        orders: Number of orders, or its expectation.
        days: Number of days (UTC) with an order.
        any_order: Whether there is one, or the chance of it.
        revenue: Amount of the orders.
    """

    orders: np.ndarray
    days: np.ndarray
    any_order: np.ndarray
    revenue: np.ndarray


def expect_future(
    customers: SimulatedCustomers,
    start: datetime,
    end: datetime,
    law: CustomerLaw = DEMO_CUSTOMERS,
) -> CustomerFuture:
    """Return what is expected of each customer in ``[start, end)``, given its true parameters.

    Given are also its upgrades before ``start``, and whether it had left by then: such a customer,
    and one who was not won yet, is expected to buy nothing.
    """
    clock, truth = build_demo_clock(), customers.truth
    edges = clock.to_business_days(_list_day_edges(start, end))
    alive = (find_alive(truth, start, clock)).astype(float)
    level = _find_levels(truth, customers.orders, edges[0], law)
    survived, passed = np.ones(len(alive)), np.zeros(len(alive))
    orders, days, any_order, revenue = (np.zeros(len(alive)) for _ in range(4))
    for first, length in zip(edges[:-1], np.diff(edges), strict=True):
        # The onboarding ends at midnight, so a day is in it or not.
        is_new = first < truth.new_until
        rate = truth.rate * np.where(is_new, law.onboarding_factor, 1.0)
        growth = rate * law.upgrade_chance * (law.upgrade_factor - 1)
        # Orders raise the mean amount: by this until now, and by this at the order itself.
        raised = np.exp(passed * law.upgrade_chance * (law.upgrade_factor - 1))
        at_order = 1 + law.upgrade_chance * (law.upgrade_factor - 1)
        orders += rate * survived * integrate_decay(truth.leaving, length)
        first_order = rate * survived * integrate_decay(truth.leaving + rate, length)
        days += first_order
        any_order += first_order * np.exp(-passed)
        weight = level * raised * at_order * rate * survived
        revenue += weight * integrate_decay(truth.leaving - growth, length)
        survived = survived * np.exp(-truth.leaving * length)
        passed = passed + rate * length
    return CustomerFuture(alive * orders, alive * days, alive * any_order, alive * revenue)


def count_future(customers: SimulatedCustomers, start: datetime, end: datetime) -> CustomerFuture:
    """Return what each customer that was won before ``start`` really bought in ``[start, end)``.

    Orders that were entered later count too.
    """
    size, orders, clock = len(customers.truth.won), customers.orders, build_demo_clock()
    time = clock.to_instants(orders.tau)
    won = clock.to_instants(customers.truth.won)[orders.customer]
    first, last = to_microseconds(start), to_microseconds(end)
    rows = (time >= first) & (time < last) & (won < first)
    customer = orders.customer[rows]
    bought = np.unique(np.column_stack([customer, time[rows] // US_PER_DAY]), axis=0)[:, 0]
    count = np.bincount(customer, minlength=size).astype(float)
    return CustomerFuture(
        count,
        np.bincount(bought, minlength=size).astype(float),
        (count > 0).astype(float),
        np.bincount(customer, orders.amount[rows], size),
    )


def find_alive(truth: CustomerTruth, at: datetime, clock: BusinessClock) -> np.ndarray:
    """Return whether each customer was won before an instant and has not left by then."""
    tau = clock.to_business_days(np.array([to_microseconds(at)]))[0]
    alive: np.ndarray = (truth.won < tau) & (truth.left > tau)
    return alive


def integrate_decay(rate: np.ndarray, length: float) -> np.ndarray:
    """Return the integral of exp(−rate · t) over t from 0 to ``length``; a rate may be negative."""
    small = np.abs(rate * length) < 1e-12
    safe = np.where(small, 1.0, rate)
    return np.where(small, length, -np.expm1(-safe * length) / safe)


def _list_day_edges(start: datetime, end: datetime) -> np.ndarray:
    """Return ``start``, the midnights (UTC) between, and ``end``, in microseconds."""
    first, last = to_microseconds(start), to_microseconds(end)
    midnights = np.arange(first // US_PER_DAY + 1, -(-last // US_PER_DAY)) * US_PER_DAY
    return np.concatenate([[first], midnights, [last]])


def _find_levels(
    truth: CustomerTruth, orders: CustomerOrders, tau: float, law: CustomerLaw
) -> np.ndarray:
    """Return the mean amount of an order of each customer at a time."""
    raised = orders.customer[orders.is_upgrade & (orders.tau < tau)]
    levels: np.ndarray = truth.level * law.upgrade_factor ** np.bincount(
        raised, minlength=len(truth.level)
    )
    return levels
