"""Simulated purchases of customers who come, buy at their own rate, and leave."""

from __future__ import annotations

import numpy as np

from models.customers.trees import CustomerTraits
from models.purchases.histories import Purchases, merge_days


def simulate_purchases(size: int, days: int, seed: int, leaving: float = 0.01) -> Purchases:
    """Return purchases of customers who come over the first third of the days."""
    generator = np.random.default_rng(seed)
    first = generator.uniform(0, days / 3, size)
    rate = generator.gamma(0.8, 1 / 20.0, size)
    life = generator.exponential(1 / generator.gamma(0.8, leaving / 0.8, size))
    customer, day = [np.arange(size)], [first]
    time = first + generator.exponential(1 / rate)
    while (live := (time < days) & (time < first + life)).any():
        customer.append(np.flatnonzero(live))
        day.append(time[live])
        time = np.where(live, time + generator.exponential(1 / rate), np.inf)
    number, when = np.concatenate(customer), np.concatenate(day).astype(np.int64)
    return merge_days(number, when, np.full(len(number), 10.0))


def describe_nothing(size: int) -> CustomerTraits:
    """Return customers of whom nothing is known but their purchases."""
    return CustomerTraits(np.empty((size, 0)), [])
