"""Chances that customers who have lapsed come back, by a clock that starts at the lapse.

A lapse begins on the day on which the last purchase is as old as the config says, and ends with the
next purchase. Lapses that have not ended are censored at the as-of. The chance to return within
some days, given the days since the lapse, is the product limit of Kaplan and Meier (1958), with
Greenwood's variance and the interval of the complementary log-log (Kalbfleisch and Prentice, 1980).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from models.customers.states import find_customer_days
from models.customers.value import Z90
from models.purchases.histories import (
    DAYS_PER_WEEK,
    MAX_CHECKED,
    PurchaseHistories,
    Purchases,
    count_purchases,
    sample_histories,
    summarize_purchases,
)
from models.purchases.purchase_model import FittedPurchases, fit_purchases

RETURN_DAYS = 90
YEAR_WEEKS = 365 / DAYS_PER_WEEK
# Customers who bought so often before they lapsed are counted apart: up to 1, up to 3, more.
CLASS_LIMITS = (1, 3)
# Returns that a class needs for a curve of its own.
MIN_RETURNS = 30
# Lapses that must still be observed at the end of the days ahead.
MIN_AT_RISK = 30
CLOCK, MODEL = "clock", "model"


class Lapses(NamedTuple):
    """Lapses before the as-of, one element for a lapse; several may be of one customer.

    Attributes:
        customer: Number of the customer, int64.
        purchases: Purchases before the lapse, int64.
        days: Days from the lapse to the return, or to the last day that is seen, int64.
        returned: Whether it ended with a purchase.
    """

    customer: np.ndarray
    purchases: np.ndarray
    days: np.ndarray
    returned: np.ndarray

    def select(self, rows: np.ndarray) -> Lapses:
        """Return some of the lapses, by a mask or their places."""
        return Lapses(*(column[rows] for column in self))


class ReturnChances(NamedTuple):
    """Chances of a return, float64, one element for a lapse; NaN where too few were observed."""

    chance: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class WinBackCheck:
    """How chances as of RETURN_DAYS before compare with what came.

    Attributes:
        customers: Customers who had lapsed then, and whose chance both methods give.
        returned: Those who came back.
        expected: Expected number of them, by method.
        loss: Mean log loss, by method.
    """

    customers: int
    returned: int
    expected: dict[str, float]
    loss: dict[str, float]

    @property
    def better(self) -> str:
        """Return the method with the lower loss; the clock where both are alike."""
        return min(self.loss, key=lambda name: self.loss[name])


def check_clock(lapses: Lapses, purchases: Purchases, origin: int, end: int) -> WinBackCheck | None:
    """Return how the clock as of the day ``origin`` compares with what came before ``end``.

    ``lapses`` are those as of the origin. None where too few customers had lapsed then.
    """
    now = lapses.select(~lapses.returned)
    chance = estimate_win_backs(lapses, now.purchases, now.days).chance
    later = purchases.customer[(purchases.day >= origin) & (purchases.day < end)]
    return _compare_returns({CLOCK: chance}, np.isin(now.customer, later))


def find_lapses(purchases: Purchases, end: int, lapse: int) -> Lapses:
    """Return the lapses that began before the day ``end``, by customer and day."""
    known = purchases.select_before(end)
    is_first = np.ones(len(known.day), bool)
    is_first[1:] = known.customer[1:] != known.customer[:-1]
    starts = np.flatnonzero(is_first)
    number = np.arange(len(known.day)) - starts[np.cumsum(is_first) - 1]
    is_last = np.append(is_first[1:], True)[: len(known.day)]
    following = np.append(known.day[1:], end)
    until = np.where(is_last, end - 1, following)
    days = until - (known.day + lapse)
    # On the day of the lapse itself a purchase prevents it.
    has_lapsed = days >= np.where(is_last, 0, 1)
    return Lapses(
        known.customer[has_lapsed],
        number[has_lapsed] + 1,
        days[has_lapsed],
        ~is_last[has_lapsed],
    )


def estimate_win_backs(lapses: Lapses, purchases: np.ndarray, clock: np.ndarray) -> ReturnChances:
    """Return the chances of customers to return within RETURN_DAYS, given days since the lapse.

    ``purchases`` and ``clock`` are int64 (customers,). A class of customers with too few returns
    takes the curve of all.
    """
    classes = np.searchsorted(CLASS_LIMITS, lapses.purchases)
    own = np.searchsorted(CLASS_LIMITS, purchases)
    result = np.full((3, len(clock)), np.nan)
    for place in range(len(CLASS_LIMITS) + 1):
        rows = classes == place
        if lapses.returned[rows].sum() < MIN_RETURNS:
            rows = np.ones(len(classes), bool)
        members = own == place
        result[:, members] = _read_curve(lapses.days[rows], lapses.returned[rows], clock[members])
    return ReturnChances(*result)


def _read_curve(days: np.ndarray, returned: np.ndarray, clock: np.ndarray) -> np.ndarray:
    """Return chance, low and high of a return after each clock, float64 (3, customers)."""
    if not len(days):
        return np.full((3, len(clock)), np.nan)
    length = int(days.max()) + 2
    ends = np.bincount(days[returned], minlength=length)
    # At risk on a day are those who had not returned, and were still seen, on the day before.
    at_risk = len(days) - np.cumsum(np.bincount(days + 1, minlength=length))[:length]
    stayed = at_risk - ends
    with np.errstate(divide="ignore", invalid="ignore"):
        hazard = np.cumsum(np.where(at_risk > 0, -np.log(stayed / at_risk), 0.0))
        spread = np.cumsum(np.where(stayed > 0, ends / (at_risk * stayed), 0.0))
    last = np.minimum(clock + RETURN_DAYS, length - 1)
    first = np.minimum(clock, length - 1)
    is_seen = (clock + RETURN_DAYS < length) & (at_risk[last] >= MIN_AT_RISK)
    total, variance = hazard[last] - hazard[first], spread[last] - spread[first]
    with np.errstate(divide="ignore", invalid="ignore"):
        width = np.exp(Z90 * np.sqrt(variance) / total)
    # Without a return the interval is that of zero of so many.
    highest = -np.log(0.05) / np.maximum(at_risk[last], 1)
    low = np.where(total > 0, total / width, 0.0)
    high = np.where(total > 0, total * width, highest)
    chances = -np.expm1(-np.stack([total, low, high]))
    return np.where(is_seen, chances, np.nan)


def check_returns(purchases: Purchases, end: int, lapse: int) -> WinBackCheck | None:
    """Return how both methods, as of RETURN_DAYS before ``end``, compare with what came.

    None where too few customers had lapsed then, or no model can be fitted.
    """
    origin = end - RETURN_DAYS
    histories = summarize_purchases(purchases, origin)
    clock = origin - 1 - find_customer_days(purchases, origin).last - lapse
    rows = np.flatnonzero(clock >= 0)
    lapsed = histories.select(rows)
    counts = lapsed.repeats.astype(np.int64) + 1
    by_clock = estimate_win_backs(find_lapses(purchases, origin, lapse), counts, clock[rows]).chance
    if np.isfinite(by_clock).sum() < MIN_AT_RISK:
        return None
    forecast = fit_purchases(sample_histories(histories, MAX_CHECKED)).forecast(lapsed)
    by_model = forecast.predict_any(RETURN_DAYS / DAYS_PER_WEEK)
    returned = count_purchases(purchases, lapsed, origin, end)[0] > 0
    return _compare_returns({CLOCK: by_clock, MODEL: by_model}, returned)


def _compare_returns(methods: dict[str, np.ndarray], returned: np.ndarray) -> WinBackCheck | None:
    """Return how chances by method compare with who came back, where the clock gives one."""
    is_known = np.isfinite(methods[CLOCK])
    if is_known.sum() < MIN_AT_RISK:
        return None
    came = returned[is_known]
    known = {name: chance[is_known] for name, chance in methods.items()}
    return WinBackCheck(
        int(is_known.sum()),
        int(came.sum()),
        {name: float(chance.sum()) for name, chance in known.items()},
        {name: _measure_loss(chance, came) for name, chance in known.items()},
    )


def _measure_loss(chance: np.ndarray, returned: np.ndarray) -> float:
    limited = np.clip(chance, 1e-6, 1 - 1e-6)
    return float(-np.log(np.where(returned, limited, 1 - limited)).mean())


def predict_return_orders(fitted: FittedPurchases, lapsed: PurchaseHistories) -> np.ndarray:
    """Return expected purchases in the year of a return, float64 (customers,), the return included.

    They are those of a customer with one purchase more, today.
    """
    back = replace(lapsed, repeats=lapsed.repeats + 1, last=lapsed.age)
    orders: np.ndarray = 1 + fitted.forecast(back).predict_orders(YEAR_WEEKS)
    return orders
