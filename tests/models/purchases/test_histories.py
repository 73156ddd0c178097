"""Purchase histories against a plain loop."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.purchases.histories import count_purchases, merge_days, summarize_purchases

ROWS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 30), st.integers(-20, 50)), max_size=40)


@given(ROWS, st.integers(0, 31))
def test_histories_equal_those_of_a_plain_loop(rows: list[tuple[int, int, int]], end: int) -> None:
    purchases = merge_days(*np.array(rows, float).reshape(-1, 3).T)
    histories = summarize_purchases(purchases, end)
    days: dict[int, dict[int, int]] = {}
    for customer, day, amount in rows:
        if day < end:
            of_customer = days.setdefault(customer, {})
            of_customer[day] = of_customer.get(day, 0) + amount
    assert histories.customer.tolist() == sorted(days)
    for place, customer in enumerate(sorted(days)):
        own = days[customer]
        first, last = min(own), max(own)
        paid = [amount for amount in own.values() if amount > 0]
        assert histories.repeats[place] == len(own) - 1
        assert histories.last[place] * 7 == np.float64(last - first).round(9)
        assert np.isclose(histories.age[place] * 7, end - 1 - first)
        assert histories.paid[place] == len(paid)
        assert np.isclose(histories.mean_margin[place], np.mean(paid) if paid else 0)


@given(ROWS, st.integers(0, 20), st.integers(0, 15))
def test_counts_are_those_of_the_half_open_window(
    rows: list[tuple[int, int, int]], end: int, days: int
) -> None:
    purchases = merge_days(*np.array(rows, float).reshape(-1, 3).T)
    histories = summarize_purchases(purchases, end)
    counts, margin = count_purchases(purchases, histories, end, end + days)
    for place, customer in enumerate(histories.customer):
        own = {day for one, day, _ in rows if one == customer and end <= day < end + days}
        assert counts[place] == len(own)
        sums = [sum(m for c, d, m in rows if c == customer and d == day) for day in own]
        assert np.isclose(margin[place], sum(max(s, 0) for s in sums))


def test_order_of_rows_changes_nothing() -> None:
    customer, day, margin = np.array([[2, 5, 1.5], [1, 3, 2.0], [2, 5, 3.0], [1, 1, 1.0]]).T
    straight = merge_days(customer, day, margin)
    back = merge_days(customer[::-1], day[::-1], margin[::-1])
    assert straight.customer.tolist() == back.customer.tolist() == [1, 1, 2]
    assert straight.margin.tolist() == back.margin.tolist() == [1, 2, 4.5]
