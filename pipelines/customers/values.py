"""Chances and values of customers, by the model that the past has chosen."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta

import numpy as np

from configs.customers.customers import YEAR, Customers
from features.tools.json_values import format_json
from models.customers.past_accuracy import ChosenPurchases
from models.customers.value import bound_total, discount_purchases
from models.customers.value_draws import ValueDraws, ValueHorizon, draw_values
from models.purchases.gamma_gamma import GammaGamma, fit_gamma_gamma
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
        margin: Expected margin within a year.
        value: Expected margin within the horizon, discounted.
        draws: Quantiles and variances of both margins; None where margins are not known.
    """

    alive: np.ndarray
    buys: np.ndarray
    churns: np.ndarray
    next_days: np.ndarray
    orders: np.ndarray
    margin: np.ndarray
    value: np.ndarray
    draws: ValueDraws | None


@dataclass(frozen=True)
class ValueModels:
    """The models behind the values.

    Attributes:
        chosen: The model of purchases.
        margins: The model of margins; None where no purchase brought anything.
        paid_share: Share of the purchases that brought something.
    """

    chosen: ChosenPurchases
    margins: GammaGamma | None
    paid_share: float

    def describe_parameters(self) -> str:
        """Return the parameters of all models as JSON; times are in weeks."""
        models: dict[str, Mapping[str, float]] = {
            name: asdict(model) for name, model in self.chosen.fitted.models.items()
        }
        if self.margins:
            models["gamma_gamma"] = asdict(self.margins)
        rounded = {
            name: {key: float(f"{value:.6g}") for key, value in parameters.items()}
            for name, parameters in models.items()
        }
        return format_json(rounded)


def build_value_models(chosen: ChosenPurchases, histories: PurchaseHistories) -> ValueModels:
    """Return the models of purchases and of margins."""
    paid = float(histories.paid.sum())
    margins = GammaGamma.from_logs(fit_gamma_gamma(histories).logs) if paid else None
    return ValueModels(chosen, margins, paid / float((histories.repeats + 1).sum()))


def predict_values(
    models: ValueModels, histories: PurchaseHistories, config: Customers, seeds: np.ndarray
) -> CustomerValues:
    """Return the predictions of customers; ``seeds`` is one uint32 per customer."""
    forecast = models.chosen.fitted.forecast(histories)
    chances = {days: forecast.predict_any(days / DAYS_PER_WEEK) for days in DATE_DAYS}
    year = YEAR / DAY / DAYS_PER_WEEK
    orders = forecast.predict_orders(year)
    margin = value = np.full(len(histories), np.nan)
    draws = None
    if models.margins:
        per_order = models.margins.predict_margin(histories) * models.paid_share
        weeks, discount = config.horizon / DAY / DAYS_PER_WEEK, find_weekly_discount(config)
        margin = orders * per_order
        value = discount_purchases(forecast.predict_orders, weeks, discount) * per_order
        horizon = ValueHorizon(year, weeks, discount, models.paid_share)
        draws = draw_values(forecast, models.margins, horizon, seeds)
    return CustomerValues(
        forecast.alive,
        chances[BUY_DAYS],
        1 - forecast.predict_any(config.lapse / DAY / DAYS_PER_WEEK),
        find_half_days(chances),
        orders,
        margin,
        value,
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
    models: ValueModels, values: CustomerValues, config: Customers
) -> Iterator[tuple[str, float | None, float | None, float | None]]:
    """Yield each total with its 90 % interval: orders and margin of a year, and the value."""
    year = YEAR / DAY
    draws = values.draws
    # Counts of customers vary at least as Poisson counts; the spread of all is far greater.
    yield _bound_sum(models, "orders_12m", values.orders, float(values.orders.sum()), year)
    variance = None if draws is None else float(draws.year_variance.sum())
    yield _bound_sum(models, "margin_12m", values.margin, variance, year)
    variance = None if draws is None else float(draws.total_variance.sum())
    yield _bound_sum(models, "clv", values.value, variance, config.horizon / DAY)


def _bound_sum(
    models: ValueModels, name: str, parts: np.ndarray, variance: float | None, days: float
) -> tuple[str, float | None, float | None, float | None]:
    if variance is None:
        return name, None, None, None
    total = float(parts.sum())
    return name, total, *bound_total(total, variance, models.chosen.spread_of_total(days))
