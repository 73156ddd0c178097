"""Forecast of the revenue bridge: the quarter that runs, and the next, from simulated futures.

Each draw is a future of the whole company: the margins of all customers so far in both quarters, by
their own models, and new customers, who behave as those of the last quarters did. The steps of a
draw add up, so the means of the steps do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from models.customers.value_draws import DRAWS
from models.purchases.histories import Purchases
from models.revenue.revenue_bridge import STEPS, list_steps

# Quarters whose number of new customers is that of the next, and quarters that show how new
# customers buy.
ARRIVAL_QUARTERS, POOL_QUARTERS = 2, 4
# New customers that are drawn in a future; more are scaled up.
MAX_NEW = 10_000
RUNNING, FOLLOWING = 0, 1


@dataclass(frozen=True)
class QuarterDraws:
    """Simulated margins of some customers.

    Attributes:
        customer: Number of the customer, int64 (customers,).
        running: Margin of the quarter that runs, what came included, float64 (customers, draws).
        following: Margin of the next quarter, float64 (customers, draws).
    """

    customer: np.ndarray
    running: np.ndarray
    following: np.ndarray


@dataclass(frozen=True)
class PastQuarters:
    """What the bridge of past quarters says.

    Attributes:
        edges: First days of the quarters that are over, and of the one that runs, int64.
        first: Day of the first purchase of each customer, int64, by its number.
        margin: Margin of each customer in each quarter, float64 (quarters, customers).
    """

    edges: np.ndarray
    first: np.ndarray
    margin: np.ndarray

    def cut(self, place: int) -> PastQuarters:
        """Return what was seen before the quarter with this number."""
        return PastQuarters(self.edges[: place + 1], self.first, self.margin[:place])


@dataclass(frozen=True)
class BridgeForecast:
    """Steps of the quarter that runs and of the next, float64 (2, steps).

    Attributes:
        amount: Expected margin of each step; contraction and lost are above zero.
        customers: Expected customers of each step.
        variance: Variance of the margin of each step, by chance alone.
    """

    amount: np.ndarray
    customers: np.ndarray
    variance: np.ndarray


def sum_quarters(purchases: Purchases, edges: np.ndarray, first: np.ndarray) -> PastQuarters:
    """Return the margins of the customers in the quarters between the edges."""
    margin = np.zeros((len(edges) - 1, len(first)))
    quarter = np.searchsorted(edges, purchases.day, side="right") - 1
    inside = (quarter >= 0) & (quarter < len(margin))
    np.add.at(margin, (quarter[inside], purchases.customer[inside]), purchases.margin[inside])
    return PastQuarters(edges, first, margin)


def forecast_bridge(
    past: PastQuarters, blocks: Iterable[QuarterDraws], left: int, seed: int
) -> BridgeForecast:
    """Return the bridge of both quarters.

    ``past`` ends with the quarter that runs, of which ``left`` days are to come. ``blocks`` have
    each customer once.
    """
    amount, customers = np.zeros((2, 2, len(STEPS), DRAWS))
    start = past.edges[-1]
    for block in blocks:
        earlier = past.margin[-1, block.customer][:, None]
        is_new = (past.first[block.customer] >= start)[:, None]
        _add_steps(amount[RUNNING], customers[RUNNING], earlier, block.running, is_new)
        known = np.zeros_like(is_new)
        _add_steps(amount[FOLLOWING], customers[FOLLOWING], block.running, block.following, known)
    _add_arrivals(past, left, np.random.default_rng(seed), amount, customers)
    return BridgeForecast(amount.mean(axis=2), customers.mean(axis=2), amount.var(axis=2))


def _add_steps(
    amount: np.ndarray,
    customers: np.ndarray,
    earlier: np.ndarray,
    later: np.ndarray,
    is_new: np.ndarray,
) -> None:
    """Add the steps of some customers to those of each draw, (steps, draws)."""
    steps = list_steps((earlier > 0, earlier), (later > 0, later), is_new)
    for step, (mask, value) in enumerate(steps):
        amount[step] += np.where(mask, value, 0.0).sum(axis=0)
        customers[step] += mask.sum(axis=0)


def _add_arrivals(
    past: PastQuarters,
    left: int,
    random: np.random.Generator,
    amount: np.ndarray,
    customers: np.ndarray,
) -> None:
    """Add those who come in the rest of the quarter, with what they do next, and in the next."""
    for days, quarter in ((left, RUNNING), (None, FOLLOWING)):
        mean, spread = estimate_arrivals(past, days)
        pool = _list_newcomers(past, days)
        if not len(pool) or mean <= 0:
            continue
        counts = _draw_counts(mean, spread, random)
        for draw, count in enumerate(counts.tolist()):
            size = min(count, MAX_NEW)
            drawn = pool[random.integers(0, len(pool), size)]
            scale = count / size if size else 0.0
            none = np.zeros((size, 1))
            new = np.ones((size, 1), bool)
            parts = np.zeros((2, len(STEPS), 1))
            _add_steps(parts[0], parts[1], none, drawn[:, :1], new)
            amount[quarter, :, draw] += scale * parts[0, :, 0]
            customers[quarter, :, draw] += scale * parts[1, :, 0]
            if quarter == RUNNING:
                parts = np.zeros((2, len(STEPS), 1))
                _add_steps(parts[0], parts[1], drawn[:, :1], drawn[:, 1:], ~new)
                amount[FOLLOWING, :, draw] += scale * parts[0, :, 0]
                customers[FOLLOWING, :, draw] += scale * parts[1, :, 0]


def _count_newcomers(past: PastQuarters, days: int | None) -> np.ndarray:
    """Return who came in the last days of each quarter, or in all of it, int64 (quarters,)."""
    starts = past.edges[:-1] if days is None else past.edges[1:] - days
    return np.array(
        [
            int(((past.first >= start) & (past.first < end)).sum())
            for start, end in zip(starts, past.edges[1:], strict=True)
        ]
    )


def estimate_arrivals(past: PastQuarters, days: int | None) -> tuple[float, float]:
    """Return the expected new customers, and how much they vary more than by chance.

    ``days`` are the last days of a quarter, None all of it. The expected number is the mean of the
    last quarters; the second number is that of the squared errors that this rule had in the past,
    divided by what a Poisson number has, at least 1.
    """
    counts = _count_newcomers(past, days).astype(float)
    means = [
        counts[place - ARRIVAL_QUARTERS : place].mean()
        for place in range(ARRIVAL_QUARTERS, len(counts) + 1)
    ]
    ratios = [
        (count - mean) ** 2 / mean
        for count, mean in zip(counts[ARRIVAL_QUARTERS:], means[:-1], strict=True)
        if mean > 0
    ]
    return float(means[-1]), max(float(np.mean(ratios)) if ratios else 1.0, 1.0)


def _draw_counts(mean: float, spread: float, random: np.random.Generator) -> np.ndarray:
    """Return numbers with a mean and ``spread`` times its variance if it is Poisson (draws,)."""
    if spread <= 1 + 1e-9:
        return random.poisson(mean, DRAWS)
    return random.negative_binomial(mean / (spread - 1), 1 / spread, DRAWS)


def _list_newcomers(past: PastQuarters, days: int | None) -> np.ndarray:
    """Return margins in the first and the second quarter of those who came, (customers, 2)."""
    pairs = []
    # The second quarter of those who came in the last one is not over.
    for place in range(max(len(past.margin) - 1 - POOL_QUARTERS, 0), len(past.margin) - 1):
        end = past.edges[place + 1]
        start = past.edges[place] if days is None else end - days
        rows = (past.first >= start) & (past.first < end)
        pairs.append(past.margin[place : place + 2, rows].T)
    return np.concatenate(pairs) if pairs else np.empty((0, 2))
