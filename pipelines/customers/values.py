"""Chances and values of customers, by the model that the past has chosen."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from configs.customers.customers import YEAR, Customers
from models.customers.chance_calibration import ChanceCalibration
from models.customers.chosen import ChosenModel
from models.customers.past_accuracy import MARGIN, ORDERS, ChosenPurchases
from models.customers.tree_trial import TreeCorrection
from models.customers.value import bound_total, discount_purchases
from models.customers.value_draws import (
    ValueDraws,
    ValueHorizon,
    draw_values,
    estimate_total_variance,
)
from models.purchases.histories import DAYS_PER_WEEK, PurchaseHistories

DAY = timedelta(days=1)
BUY_DAYS = 90
# Days ahead at which the chance of a purchase is computed; between them it is interpolated.
DATE_DAYS = (30, BUY_DAYS, 180, YEAR // DAY)
# Cumulated hazard at which a chance is one half.
LOG_HALF = math.log(2)


@dataclass(frozen=True)
class CustomerValues:
    """Predictions of each customer, float64 (customers,); NaN where margins are not known.

    Attributes:
        alive: Chance that the customer has not left.
        buys: Chance of a purchase within BUY_DAYS.
        churns: Chance of no purchase within the days of a lapse.
        next_days: Days until the chance of a purchase reaches one half; NaN beyond a year.
        orders: Expected purchases within a year.
        orders_variance: Variance of the sum of all purchases within a year.
        margin: Expected margin within a year.
        value: Expected margin within the horizon, discounted.
        draws: Quantiles and variances of both margins; None where margins are not known.
    """

    alive: np.ndarray
    buys: np.ndarray
    churns: np.ndarray
    next_days: np.ndarray
    orders: np.ndarray
    orders_variance: float
    margin: np.ndarray
    value: np.ndarray
    draws: ValueDraws | None


def predict_values(
    models: ChosenPurchases,
    histories: PurchaseHistories,
    config: Customers,
    seeds: np.ndarray,
    correction: TreeCorrection | None = None,
    calibration: ChanceCalibration | None = None,
) -> CustomerValues:
    """Return the predictions of customers; ``seeds`` is one uint32 per customer.

    Trees correct what is expected of purchases and margins, the calibration the chances to buy.
    """
    forecast = models.fitted.forecast(histories)

    def predict_any(days: float) -> np.ndarray:
        chance = forecast.predict_any(days / DAYS_PER_WEEK)
        return calibration.correct(chance) if calibration else chance

    chances = {days: predict_any(days) for days in DATE_DAYS}
    year = YEAR / DAY / DAYS_PER_WEEK
    more = correction or TreeCorrection((), np.ones(len(histories)), np.ones(len(histories)))
    orders = forecast.predict_orders(year)
    margin = value = np.full(len(histories), np.nan)
    draws = None
    if models.margins:
        per_order = models.margins.predict_margin(histories)
        weeks, discount = config.horizon / DAY / DAYS_PER_WEEK, find_weekly_discount(config)
        margin = orders * per_order
        value = discount_purchases(forecast.predict_orders, weeks, discount) * per_order
        horizon = ValueHorizon(year, weeks, discount, models.margins.paid_share)
        draws = draw_values(forecast, models.margins.paid, horizon, seeds).scale(more.margin)
    return CustomerValues(
        # A customer who buys has not left.
        np.maximum(forecast.alive, chances[BUY_DAYS]),
        chances[BUY_DAYS],
        1 - predict_any(config.lapse / DAY),
        find_half_days(chances),
        orders * more.orders,
        estimate_total_variance(forecast, None, year),
        margin * more.margin,
        value * more.margin,
        draws,
    )


def find_weekly_discount(config: Customers) -> float:
    """Return the continuous discount rate per week of a rate per year."""
    return math.log1p(config.discount_rate) / (YEAR / DAY / DAYS_PER_WEEK)


def find_half_days(chances: Mapping[int, np.ndarray]) -> np.ndarray:
    """Return the days at which chances by days ahead reach one half; NaN if they never do.

    Between the days the hazard of a purchase is constant.
    """
    days = [0, *chances]
    hazards = [np.zeros(len(next(iter(chances.values()))))]
    hazards += [-np.log1p(-np.minimum(chance, 1 - 1e-12)) for chance in chances.values()]
    reached = np.full(len(hazards[0]), np.nan)
    for place in range(1, len(days)):
        low, high = hazards[place - 1], hazards[place]
        crosses = (low < LOG_HALF) & (high >= LOG_HALF)
        share = (LOG_HALF - low) / np.where(crosses, high - low, 1.0)
        between = days[place - 1] + share * (days[place] - days[place - 1])
        reached = np.where(crosses, between, reached)
    return reached


def bound_values(
    models: ChosenModel, values: CustomerValues, config: Customers
) -> Iterator[tuple[str, float | None, float | None, float | None]]:
    """Yield each total with its 90 % interval: orders and margin of a year, and the value."""
    year = YEAR / DAY
    draws = values.draws
    yield _bound_sum(models, "orders_12m", values.orders, values.orders_variance, year)
    variance = None if draws is None else float(draws.year_variance.sum())
    yield _bound_sum(models, "margin_12m", values.margin, variance, year)
    variance = None if draws is None else float(draws.total_variance.sum())
    yield _bound_sum(models, "clv", values.value, variance, config.horizon / DAY)


def _bound_sum(
    models: ChosenModel, name: str, parts: np.ndarray, variance: float | None, days: float
) -> tuple[str, float | None, float | None, float | None]:
    if variance is None:
        return name, None, None, None
    total = float(parts.sum())
    what = ORDERS if name == "orders_12m" else MARGIN
    spread = models.spread_of_total(days, what)
    return name, total, *bound_total(total, variance, spread)
