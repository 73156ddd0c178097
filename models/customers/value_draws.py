"""Simulated futures of customers: what each buys, for how much, and how sure that is.

Each draw takes rates from the customer's own posterior, buys until the customer leaves or the
horizon ends, and adds up margins. Half of the draws are of each model where the mean of two is
taken. Draws of a customer are seeded by its key, so they do not depend on the other customers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.tools.jit import jit_kernel
from features.tools.parallel import parallel_map
from models.customers.margins import MarginModel
from models.purchases.bg_nbd import BgNbd
from models.purchases.gamma_gamma import GammaGamma
from models.purchases.histories import PurchaseHistories, sample_histories
from models.purchases.pareto_nbd import ParetoNbd
from models.purchases.purchase_model import PurchaseForecast, PurchaseModel

DRAWS = 100
# Customers of one job on a thread.
BLOCK = 10_000
# A customer who would buy more often than this within a horizon is cut off there.
MAX_PURCHASES = 5_000
# Draws below the lower end of the 90 % interval, and above the upper one.
LOW_DRAW = DRAWS // 20
BG_NBD, PARETO_NBD = 0, 1


@dataclass(frozen=True)
class ValueDraws:
    """Quantiles and moments of the simulated margins of each customer, float64 (customers,).

    Attributes:
        year_low: 5 % quantile of the margin within a year.
        year_high: 95 % quantile of it.
        year_variance: Variance of it.
        total_low: 5 % quantile of the discounted margin within the horizon.
        total_high: 95 % quantile of it.
        total_variance: Variance of it.
    """

    year_low: np.ndarray
    year_high: np.ndarray
    year_variance: np.ndarray
    total_low: np.ndarray
    total_high: np.ndarray
    total_variance: np.ndarray

    def scale(self, factor: np.ndarray) -> ValueDraws:
        """Return the draws of margins times a factor of each customer, float64 (customers,)."""
        return ValueDraws(
            factor * self.year_low,
            factor * self.year_high,
            factor**2 * self.year_variance,
            factor * self.total_low,
            factor * self.total_high,
            factor**2 * self.total_variance,
        )


@dataclass(frozen=True)
class ValueHorizon:
    """How far margins count, and for how much.

    Attributes:
        year: Weeks of a year.
        weeks: Weeks of the horizon.
        discount: Continuous discount rate per week.
        paid_share: Share of purchases that bring something.
    """

    year: float
    weeks: float
    discount: float
    paid_share: float


def draw_values(
    forecast: PurchaseForecast, margins: GammaGamma | None, horizon: ValueHorizon, seeds: np.ndarray
) -> ValueDraws:
    """Return the simulated margins of customers; ``seeds`` is one uint32 per customer.

    Without a model of margins, a purchase brings 1: the margins are numbers of purchases.
    """
    histories = forecast.histories
    result = np.empty((len(histories), 6))
    kinds, alive, rates, spend, limits = _collect_inputs(forecast, margins, horizon)

    def fill_block(start: int) -> None:
        rows = slice(start, start + BLOCK)
        _fill_draws(kinds, alive[rows], rates[rows], spend[rows], limits, seeds[rows], result[rows])

    for _ in parallel_map(fill_block, range(0, len(histories), BLOCK)):
        pass
    return ValueDraws(*result.T)


def draw_futures(
    forecast: PurchaseForecast, margins: GammaGamma, horizon: ValueHorizon, seeds: np.ndarray
) -> np.ndarray:
    """Return single draws: margins in a year and in the horizon, float64 (2, customers, DRAWS)."""
    draws = np.zeros((2, len(forecast.histories), DRAWS))
    _fill_futures(*_collect_inputs(forecast, margins, horizon), seeds, draws)
    return draws


def _collect_inputs(
    forecast: PurchaseForecast, margins: GammaGamma | None, horizon: ValueHorizon
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, tuple[float, ...]]:
    """Return kinds of models, chances to be alive, rates, spend, and limits of a future."""
    models, histories = forecast.models, forecast.histories
    kinds = np.array([BG_NBD if isinstance(model, BgNbd) else PARETO_NBD for model in models])
    alive = np.column_stack(forecast.alive_by_model)
    # Columns: shape and rate of the purchase rates, then the two of the way of leaving.
    rates = np.stack([_list_posterior(model, histories) for model in models], axis=1)
    spend, shape = np.ones((len(histories), 2)), 0.0
    if margins:
        shape, paid = margins.p, histories.paid
        spend = np.column_stack(
            [margins.q + margins.p * paid, margins.gamma + paid * histories.mean_margin]
        )
    limits = (horizon.year, horizon.weeks, horizon.discount, horizon.paid_share, shape)
    return kinds, alive, rates, spend, limits


def estimate_total_variance(
    forecast: PurchaseForecast, margins: MarginModel | None, weeks: float
) -> float:
    """Return the variance of what all customers, who are independent, bring in the next weeks.

    Without a model of margins, it is that of the number of purchases.
    """
    rows = sample_histories(forecast.histories)
    sampled = PurchaseForecast(forecast.models, rows)
    horizon = ValueHorizon(weeks, weeks, 0.0, margins.paid_share if margins else 1.0)
    seeds = np.arange(len(rows)).astype(np.uint32)
    draws = draw_values(sampled, margins.paid if margins else None, horizon, seeds)
    return float(draws.year_variance.sum()) * len(forecast.histories) / len(rows)


def _list_posterior(model: PurchaseModel, histories: PurchaseHistories) -> np.ndarray:
    shape, rate = model.r + histories.repeats, model.alpha + histories.age
    if isinstance(model, ParetoNbd):
        leaving = np.full(len(histories), model.s), model.beta + histories.age
    else:
        leaving = np.full(len(histories), model.a), model.b + histories.repeats
    return np.column_stack([shape, rate, *leaving])


@jit_kernel
def _fill_draws(
    kinds: np.ndarray,
    alive: np.ndarray,
    rates: np.ndarray,
    spend: np.ndarray,
    limits: tuple[float, float, float, float, float],
    seeds: np.ndarray,
    result: np.ndarray,
) -> None:
    year, total = np.empty(DRAWS), np.empty(DRAWS)
    for row in range(len(result)):
        np.random.seed(seeds[row])
        for draw in range(DRAWS):
            kind = draw % len(kinds)
            year[draw], total[draw] = 0.0, 0.0
            if np.random.random() < alive[row, kind]:
                year[draw], total[draw] = _draw_future(
                    kinds[kind], rates[row, kind], spend[row], limits
                )
        for place, values in ((0, year), (3, total)):
            values.sort()
            # Half-way between two draws (Hazen), for either alone is off to one side.
            result[row, place] = (values[LOW_DRAW - 1] + values[LOW_DRAW]) / 2
            result[row, place + 1] = (values[-LOW_DRAW - 1] + values[-LOW_DRAW]) / 2
            result[row, place + 2] = values.var()


@jit_kernel
def _fill_futures(
    kinds: np.ndarray,
    alive: np.ndarray,
    rates: np.ndarray,
    spend: np.ndarray,
    limits: tuple[float, float, float, float, float],
    seeds: np.ndarray,
    draws: np.ndarray,
) -> None:
    for row in range(len(alive)):
        np.random.seed(seeds[row])
        for draw in range(DRAWS):
            kind = draw % len(kinds)
            if np.random.random() < alive[row, kind]:
                in_year, in_total = _draw_future(kinds[kind], rates[row, kind], spend[row], limits)
                draws[0, row, draw], draws[1, row, draw] = in_year, in_total


@jit_kernel
def _draw_future(
    kind: int,
    rates: np.ndarray,
    spend: np.ndarray,
    limits: tuple[float, float, float, float, float],
) -> tuple[float, float]:
    """Return the margins of one customer within a year and, discounted, within the horizon."""
    year, weeks, discount, paid_share, shape = limits
    rate = np.random.gamma(rates[0], 1 / rates[1])
    life, leaving = np.inf, 0.0
    if kind == PARETO_NBD:
        life = np.random.exponential(1 / max(np.random.gamma(rates[2], 1 / rates[3]), 1e-300))
    else:
        leaving = np.random.beta(rates[2], rates[3])
    scale = 1 / np.random.gamma(spend[0], 1 / spend[1])
    time, in_year, in_total = 0.0, 0.0, 0.0
    for _ in range(MAX_PURCHASES):
        time += np.random.exponential(1 / max(rate, 1e-300))
        if time >= min(life, weeks):
            break
        if np.random.random() < paid_share:
            margin = np.random.gamma(shape, scale) if shape > 0 else 1.0
            in_year += margin if time < year else 0.0
            in_total += margin * np.exp(-discount * time)
        if np.random.random() < leaving:
            break
    return in_year, in_total
