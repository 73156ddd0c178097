"""Revenue bridge: why the margin of a period differs from that of the period before.

Each customer counts once: it is new, came back, bought more, bought less, or bought nothing any
more. So ``start + new + won_back + expansion - contraction - lost == end`` in every period.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.purchases.histories import Purchases

STEPS = ("start", "new", "won_back", "expansion", "contraction", "lost", "end")


@dataclass(frozen=True)
class RevenueBridge:
    """Steps of periods, in the order of time and of STEPS.

    Attributes:
        amount: Margin of each step, float64 (periods, steps); contraction and lost are above zero.
        customers: Customers of each step, int64 (periods, steps).
    """

    amount: np.ndarray
    customers: np.ndarray


def build_revenue_bridge(
    purchases: Purchases, edges: np.ndarray, first: np.ndarray
) -> RevenueBridge:
    """Return the bridge of each period but the first, which only starts the second.

    ``edges`` are the first days of the periods and the day after the last, int64 ascending;
    ``first`` is the day of each customer's first purchase, int64 (customers,), by its number.
    """
    periods = len(edges) - 1
    amount = np.zeros((periods - 1, len(STEPS)))
    customers = np.zeros(amount.shape, np.int64)
    before = _sum_period(purchases, edges[0], edges[1], len(first))
    for place in range(1, periods):
        after = _sum_period(purchases, edges[place], edges[place + 1], len(first))
        steps = list_steps(before, after, first >= edges[place])
        for step, (mask, value) in enumerate(steps):
            amount[place - 1, step] = value[mask].sum()
            customers[place - 1, step] = mask.sum()
        before = after
    return RevenueBridge(amount, customers)


def _sum_period(
    purchases: Purchases, start: int, end: int, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return which customers bought in the days ``[start, end)``, and for how much."""
    rows = (purchases.day >= start) & (purchases.day < end)
    customer = purchases.customer[rows]
    bought = np.bincount(customer, minlength=size) > 0
    return bought, np.bincount(customer, purchases.margin[rows], size)


def list_steps(
    before: tuple[np.ndarray, np.ndarray], after: tuple[np.ndarray, np.ndarray], is_new: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the customers of each step, and the amount that each adds to it.

    ``before`` and ``after`` are who brought a margin in a period, and how much; arrays broadcast.
    """
    (was, earlier), (now, later) = before, after
    change = np.abs(later - earlier)
    return [
        (was, earlier),
        (now & is_new, later),
        (now & ~was & ~is_new, later),
        (was & now & (later > earlier), change),
        (was & now & (later < earlier), change),
        (was & ~now, earlier),
        (now, later),
    ]
