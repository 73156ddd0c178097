"""The revenue bridge: its steps add up, and each customer counts once."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.customers.states import find_customer_days
from models.purchases.histories import merge_days
from models.revenue.revenue_bridge import STEPS, build_revenue_bridge

ROWS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 99), st.integers(0, 50)), min_size=1, max_size=60
)


@given(ROWS)
def test_steps_add_up_and_customers_count_once(rows: list[tuple[int, int, int]]) -> None:
    customer, day, margin = np.array(rows, float).T
    _, customer = np.unique(customer, return_inverse=True)
    purchases = merge_days(customer, day.astype(np.int64), margin)
    first = find_customer_days(purchases, 100).first
    edges = np.arange(0, 101, 20)
    bridge = build_revenue_bridge(purchases, edges, first)
    start, new, won_back, expansion, contraction, lost, end = bridge.amount.T
    assert np.allclose(start + new + won_back + expansion - contraction - lost, end)
    assert np.allclose(end[:-1], start[1:])
    counts = dict(zip(STEPS, bridge.customers.T, strict=True))
    came = counts["new"] + counts["won_back"]
    assert (counts["end"] == counts["start"] + came - counts["lost"]).all()
    sums = [sum(margin for _, day, margin in rows if low <= day < low + 20) for low in edges[1:-1]]
    assert np.allclose(end, sums)


def test_steps_of_a_made_company() -> None:
    rows = [
        (0, 5, 10.0),  # buys more
        (0, 25, 30.0),
        (1, 5, 20.0),  # buys less
        (1, 25, 5.0),
        (2, 5, 7.0),  # buys no more, and comes back in the third period
        (2, 45, 8.0),
        (3, 25, 9.0),  # is new
    ]
    customer, day, margin = np.array(rows).T
    purchases = merge_days(customer.astype(np.int64), day.astype(np.int64), margin)
    bridge = build_revenue_bridge(purchases, np.array([0, 20, 40, 60]), np.array([5, 5, 5, 25]))
    assert bridge.amount.tolist() == [[37, 9, 0, 20, 15, 7, 44], [44, 0, 8, 0, 0, 44, 8]]
    assert bridge.customers.tolist() == [[3, 1, 0, 1, 1, 1, 3], [3, 0, 1, 0, 0, 3, 1]]
