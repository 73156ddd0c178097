"""Customers of the simulated company: what follows the first win of an account.

An account, or a lead without one, becomes a customer at its first win. It orders at a rate of its
own, more slowly while it is new, until it leaves for good, which no row shows. Some orders are
upgrades, which raise what later ones bring. Deliveries follow the win and each order; a customer
whose first delivery was late leaves sooner and refers nobody. Rates are per business day.

The law is none of the models that `leadscore customers` fits: leaving depends on the source of the
lead and on the first delivery, the rate changes after the onboarding, and the seasons of the
business clock move all customers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.contracts import EVENTS, INSTANT
from features.tools.instants import (
    US_PER_DAY,
    US_PER_HOUR,
    column_to_microseconds,
    to_microseconds,
)
from pipelines.simulated.company import END, BusinessClock, build_demo_clock

ORDER_TYPES = ("order", "upgrade")
# All event types of this law; none of them is evidence of the law of leads.
CUSTOMER_TYPES = ("delivery", *ORDER_TYPES, "referral")
# Customers are followed for this long after END, so that forecasts of the future can be checked.
FOLLOWED = timedelta(days=1_095)


@dataclass(frozen=True)
class CustomerLaw:
    """How customers buy, and when they leave.

    Attributes:
        order_rate: Shape and mean of the gamma distribution of the rates of orders.
        leaving_rate: Shape and mean of that of the rates of leaving.
        onboarding_days: Business days from the win for which a customer is new, to the next
            midnight (UTC).
        onboarding_factor: Factor of the rate of orders while it is new.
        level_share: Mean amount of an order as a share of the amount of the won deal.
        level_shape: Shape of the gamma distribution of the customers' own shares.
        amount_shape: Shape of that of the amounts of one customer.
        upgrade_chance: Chance that an order is an upgrade.
        upgrade_factor: Factor of the mean amount of that order and of all later ones.
        first_delivery: Shape and mean business days of the gamma distribution of the time from the
            win to its delivery.
        delivery: The same from an order to its delivery.
        late_after: Business days after which the first delivery is late.
        late_factor: Factor of the rate of leaving where it was late.
        source_factors: Factor of the rate of leaving by the source of the lead; 1 for others.
        referral_rate: Rate of referrals after a first delivery in time.
        entered_late: Share of the orders that are entered late, by up to ``entry_hours``.
        entry_hours: Longest delay of an entry, in hours.
    """

    order_rate: tuple[float, float] = (1.5, 1 / 35)
    leaving_rate: tuple[float, float] = (1.5, 1 / 300)
    onboarding_days: float = 40.0
    onboarding_factor: float = 0.5
    level_share: float = 0.8
    level_shape: float = 8.0
    amount_shape: float = 4.0
    upgrade_chance: float = 0.06
    upgrade_factor: float = 1.4
    first_delivery: tuple[float, float] = (2.0, 12.0)
    delivery: tuple[float, float] = (2.0, 5.0)
    late_after: float = 18.0
    late_factor: float = 2.5
    source_factors: dict[str, float] = field(
        default_factory=lambda: {"partner": 0.6, "bought_list": 1.8}
    )
    referral_rate: float = 1 / 900
    entered_late: float = 0.2
    entry_hours: int = 120


DEMO_CUSTOMERS = CustomerLaw()


class CustomerTruth(NamedTuple):
    """What no log shows of customers 0, 1, …; times are in business days since START.

    Attributes:
        entity_id: Lead of the first win.
        account_id: Account of the customer; null for a lead without one.
        won: Time of the first win.
        new_until: End of the onboarding.
        rate: Orders per business day after the onboarding.
        leaving: Rate of leaving.
        left: Time of leaving.
        level: Mean amount of an order before the first upgrade.
        delivered: Time of the first delivery.
        is_late: Whether the first delivery was late.
    """

    entity_id: pa.Array
    account_id: pa.Array
    won: np.ndarray
    new_until: np.ndarray
    rate: np.ndarray
    leaving: np.ndarray
    left: np.ndarray
    level: np.ndarray
    delivered: np.ndarray
    is_late: np.ndarray


class CustomerOrders(NamedTuple):
    """Orders and upgrades, ordered by customer and time.

    Attributes:
        customer: Number of the customer.
        tau: Time in business days.
        is_upgrade: Whether the order is an upgrade.
        amount: What it brought.
    """

    customer: np.ndarray
    tau: np.ndarray
    is_upgrade: np.ndarray
    amount: np.ndarray


class SimulatedCustomers(NamedTuple):
    """The customers of one block.

    Attributes:
        truth: Their parameters and states.
        orders: Their orders until END and FOLLOWED after it.
        events: EVENTS, the rows known before END.
    """

    truth: CustomerTruth
    orders: CustomerOrders
    events: pa.Table


def simulate_customers(
    seed: int,
    number: int,
    leads: pa.Table,
    events: pa.Table,
    law: CustomerLaw = DEMO_CUSTOMERS,
) -> SimulatedCustomers:
    """Return what became of the customers of a block, whose rows are those of `simulate_block`.

    They have a random stream of their own, so that no value of the block changes.
    """
    rng, clock = np.random.default_rng([seed, number, 5]), build_demo_clock()
    stop = clock.to_business_days(np.array([to_microseconds(END + FOLLOWED)]))[0]
    truth = _draw_truth(rng, law, clock, _find_first_wins(leads, events))
    orders = _draw_orders(rng, law, truth, float(stop))
    referrals = _draw_referrals(rng, law, truth, float(stop))
    return SimulatedCustomers(
        truth, orders, _build_customer_events(rng, law, clock, truth, orders, referrals)
    )


def _find_first_wins(leads: pa.Table, events: pa.Table) -> pa.Table:
    """Return lead, account, source, time and amount of the first win of each account or lead."""
    won = events.filter(pc.equal(events["event_type"], "won"))
    won = won.select(["entity_id", "event_time", "value"])
    row = pc.index_in(won["entity_id"], leads["entity_id"].combine_chunks())
    for name in ("account_id", "source"):
        won = won.append_column(name, leads[name].take(row))
    won = won.sort_by([("event_time", "ascending"), ("entity_id", "ascending")])
    # The prefixes keep the id of an account apart from an equal id of a lead.
    account = pc.binary_join_element_wise("a", won["account_id"], "")
    unit = pc.coalesce(account, pc.binary_join_element_wise("e", won["entity_id"], ""))
    _, first = np.unique(np.array(unit.to_pylist(), str), return_index=True)
    return won.take(pa.array(np.sort(first)))


def _draw_truth(
    rng: np.random.Generator, law: CustomerLaw, clock: BusinessClock, wins: pa.Table
) -> CustomerTruth:
    size = wins.num_rows
    won = clock.to_business_days(column_to_microseconds(wins["event_time"]))
    wait = _draw_gamma(rng, law.first_delivery, size)
    is_late = wait > law.late_after
    factor = np.array([law.source_factors.get(name, 1.0) for name in wins["source"].to_pylist()])
    leaving = _draw_gamma(rng, law.leaving_rate, size) * np.where(is_late, law.late_factor, 1.0)
    leaving = leaving * factor
    share = law.level_share * _draw_gamma(rng, (law.level_shape, 1.0), size)
    # To midnight, so that the rate is the same within a day.
    ends = clock.to_instants(won + law.onboarding_days)
    new_until = clock.to_business_days(-(-ends // US_PER_DAY) * US_PER_DAY)
    return CustomerTruth(
        wins["entity_id"].combine_chunks(),
        wins["account_id"].combine_chunks(),
        won,
        new_until,
        _draw_gamma(rng, law.order_rate, size),
        leaving,
        won + rng.exponential(1 / leaving),
        share * wins["value"].to_numpy(),
        won + wait,
        is_late,
    )


def _draw_gamma(
    rng: np.random.Generator, shape_and_mean: tuple[float, float], size: int
) -> np.ndarray:
    shape, mean = shape_and_mean
    return rng.gamma(shape, mean / shape, size)


def _draw_orders(
    rng: np.random.Generator, law: CustomerLaw, truth: CustomerTruth, stop: float
) -> CustomerOrders:
    """Draw the orders of customers until they leave, or until ``stop``."""
    rows = [
        _draw_customer_orders(rng, law, truth, customer, stop) for customer in range(len(truth.won))
    ]
    number = np.repeat(np.arange(len(rows)), [len(row[0]) for row in rows])
    tau, is_upgrade, amount = (
        np.concatenate([np.empty(0, kind), *(row[i] for row in rows)])
        for i, kind in enumerate((float, bool, float))
    )
    return CustomerOrders(number.astype(np.int64), tau, is_upgrade, amount)


def _draw_customer_orders(
    rng: np.random.Generator, law: CustomerLaw, truth: CustomerTruth, customer: int, stop: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return time, upgrade and amount of the orders of one customer."""
    won, new_until = truth.won[customer], truth.new_until[customer]
    end = min(truth.left[customer], stop)
    times = []
    for factor, start, until in (
        (law.onboarding_factor, won, min(new_until, end)),
        (1.0, new_until, end),
    ):
        length = max(until - start, 0.0)
        count = rng.poisson(truth.rate[customer] * factor * length)
        times.append(np.sort(rng.uniform(start, start + length, count)))
    tau = np.concatenate(times)
    is_upgrade = rng.random(len(tau)) < law.upgrade_chance
    mean = truth.level[customer] * law.upgrade_factor ** np.cumsum(is_upgrade)
    amount = np.round(rng.gamma(law.amount_shape, mean / law.amount_shape), 2)
    return tau, is_upgrade, amount


def _draw_referrals(
    rng: np.random.Generator, law: CustomerLaw, truth: CustomerTruth, stop: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return customer and time of the referrals: after a first delivery in time, until leaving."""
    length = np.maximum(np.minimum(truth.left, stop) - truth.delivered, 0.0)
    count = rng.poisson(law.referral_rate * length * ~truth.is_late)
    customer = np.repeat(np.arange(len(count)), count)
    return customer, truth.delivered[customer] + rng.random(len(customer)) * length[customer]


def _build_customer_events(
    rng: np.random.Generator,
    law: CustomerLaw,
    clock: BusinessClock,
    truth: CustomerTruth,
    orders: CustomerOrders,
    referrals: tuple[np.ndarray, np.ndarray],
) -> pa.Table:
    """Return the rows known before END as EVENTS, in its order."""
    # A delivery comes after each order, even to a customer who has left since.
    delivered = orders.tau + _draw_gamma(rng, law.delivery, len(orders.tau))
    everyone = np.arange(len(truth.won))
    customer = np.concatenate([orders.customer, orders.customer, everyone, referrals[0]])
    tau = np.concatenate([orders.tau, delivered, truth.delivered, referrals[1]])
    names = np.array(CUSTOMER_TYPES, object)
    sizes = [len(orders.tau), len(everyone), len(referrals[0])]
    kind = np.concatenate([1 + orders.is_upgrade, np.repeat([0, 0, 3], sizes)])
    amount = np.concatenate([orders.amount, np.full(sum(sizes), np.nan)])
    time = clock.to_instants(tau)
    is_order = np.isin(kind, (1, 2))
    is_late = is_order & (rng.random(len(kind)) < law.entered_late)
    known = time + is_late * rng.integers(1, law.entry_hours, len(kind)) * US_PER_HOUR
    columns = [
        truth.entity_id.take(pa.array(customer)),
        pa.array(time, INSTANT),
        pa.array(known, INSTANT),
        pa.array(names[kind], pa.string()),
        pa.nulls(len(kind), pa.string()),
        pa.array(amount, from_pandas=True),
    ]
    table = pa.Table.from_arrays(columns, schema=EVENTS)
    table = table.filter(pa.array(known < to_microseconds(END)))
    return table.sort_by([(name, "ascending") for name in EVENTS.names])
