"""Contracts of made customers, and a plain reading of payments in Python."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from models.contracts.past_renewals import ContractEvents
from models.contracts.status import Endings
from models.contracts.terms import ContractTerms
from models.purchases.histories import merge_days

TERMS = ContractTerms(365, 30)


def make_events(
    payments: Iterable[tuple[int, int, float]],
    endings: Iterable[tuple[int, int]] = (),
    terms: ContractTerms = TERMS,
) -> ContractEvents:
    """Return payments (customer, day, margin) and endings (customer, day) as models take them."""
    customer, day, margin = (np.array(column) for column in zip(*payments, strict=True))
    ended = np.array([*endings], np.int64).reshape(-1, 2)
    purchases = merge_days(customer.astype(np.int64), day.astype(np.int64), margin.astype(float))
    return ContractEvents(purchases, Endings(ended[:, 0], ended[:, 1]), terms)


def simulate_contracts(
    size: int, days: int, seed: int, shape: tuple[float, float] = (0.7, 3.5)
) -> ContractEvents:
    """Return contracts that begin in the first two thirds, with chances of leaving as in sBG."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(size):
        leaves, mean = random.beta(*shape), 400 / random.gamma(5, 1 / 5)
        day = int(random.integers(0, days * 2 // 3))
        while day < days:
            rows.append((number, day, mean * random.gamma(6, 1 / 6)))
            if random.random() < leaves:
                break
            day += TERMS.period + int(np.clip(random.normal(3, 7), -30, TERMS.grace))
    return make_events(rows)


def read_plainly(
    days: list[int], terms: ContractTerms
) -> tuple[list[tuple[int, int, int]], list[int]]:
    """Return (start, contract, number) of each period of one customer, and all payment days."""
    periods: list[tuple[int, int, int]] = []
    for day in sorted(set(days)):
        if not periods:
            periods.append((day, 1, 1))
            continue
        start, contract, number = periods[-1]
        if 2 * (day - start) < terms.period:
            continue
        if day <= start + terms.period + terms.grace:
            periods.append((day, contract, number + 1))
        else:
            periods.append((day, contract + 1, 1))
    return periods, sorted(set(days))
