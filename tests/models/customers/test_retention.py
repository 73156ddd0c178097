"""Retention of cohorts against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest

from models.customers.retention import MIN_CUSTOMERS, MONTH_DAYS, measure_retention
from models.customers.states import find_customer_days
from models.purchases.histories import merge_days


@pytest.mark.parametrize("seed", range(3))
def test_retention_equals_a_plain_loop(seed: int) -> None:
    generator = np.random.default_rng(seed)
    rows = 3_000
    customer = generator.integers(0, 300, rows)
    start = generator.integers(0, 200, 300)
    day = start[customer] + (generator.exponential(60, rows)).astype(int)
    purchases = merge_days(customer, day, generator.uniform(0, 10, rows))
    end = 260
    days = find_customer_days(purchases, end)
    cohort = days.first // 100
    table = measure_retention(purchases, days.first, cohort, end)
    known = purchases.select_before(end)
    numbers = np.unique(known.customer)
    own = [known.day[known.customer == number] for number in numbers]
    paid = [known.margin[known.customer == number] for number in numbers]
    expected = {}
    for group in np.unique(cohort):
        margin = 0.0
        for month in range(10):
            followed = [
                place
                for place in range(len(numbers))
                if cohort[place] == group and days.first[place] + month * MONTH_DAYS <= end - 1
            ]
            if not followed:
                break
            low = 1 if month else 0
            inside = [
                (own[p] - own[p][0] >= (month - 1) * MONTH_DAYS + low)
                & (own[p] - own[p][0] <= month * MONTH_DAYS)
                for p in followed
            ]
            margin += sum(paid[p][mask].sum() for p, mask in zip(followed, inside, strict=True)) / (
                len(followed)
            )
            if month and len(followed) >= MIN_CUSTOMERS:
                buyers = sum(bool(mask.any()) for mask in inside)
                expected[int(group), month] = (len(followed), buyers, pytest.approx(margin))
    found = {
        (int(c), int(m)): (int(n), int(b), margin)
        for c, m, n, b, margin in zip(
            table.cohort, table.month, table.customers, table.buyers, table.margin, strict=True
        )
    }
    assert found == expected
    assert len(expected) > 8
    assert (table.low <= table.share).all() and (table.share <= table.high).all()


def test_months_that_are_not_over_count_nobody() -> None:
    # Twenty customers, half of them too young for a second month: those are no losses.
    first = np.repeat([0, 40], 10)
    customer = np.arange(20)
    again = customer[:10]
    purchases = merge_days(
        np.concatenate([customer, again]),
        np.concatenate([first, np.full(10, 45)]),
        np.ones(30),
    )
    table = measure_retention(purchases, first, np.zeros(20, np.int64), 75)
    rows = dict(
        zip(table.month.tolist(), zip(table.customers, table.share, strict=True), strict=True)
    )
    assert rows == {1: (20, 0.0), 2: (10, 1.0)}
