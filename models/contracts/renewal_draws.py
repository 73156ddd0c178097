"""Simulated renewals of customers: what each brings, and how sure that is.

Each draw renews period by period until the customer leaves or the horizon ends, on days and with
margins that are drawn. Draws of a customer are seeded by its key, so they do not depend on the
other customers.
"""

from __future__ import annotations

import numpy as np

from features.tools.jit import jit_inline, jit_kernel
from features.tools.parallel import parallel_map
from models.contracts.renewal_forecast import RenewalForecast
from models.customers.margins import MarginModel
from models.customers.value_draws import BLOCK, DRAWS, LOW_DRAW, ValueDraws, ValueHorizon
from models.purchases.gamma_gamma import GammaGamma
from models.purchases.histories import DAYS_PER_WEEK, PurchaseHistories


def draw_renewals(
    forecast: RenewalForecast,
    margins: GammaGamma | None,
    histories: PurchaseHistories,
    horizon: ValueHorizon,
    seeds: np.ndarray,
) -> ValueDraws:
    """Return the simulated margins of customers; ``seeds`` is one uint32 per customer.

    ``histories`` are those of the paid periods, by the customers of the forecast. Without a model
    of margins, a renewal brings 1: the margins are numbers of renewals.
    """
    contracts, delays = forecast.contracts, forecast.delays
    spend, shape = np.ones((len(histories), 2)), 0.0
    if margins:
        shape, paid = margins.p, histories.paid
        spend = np.column_stack(
            [margins.q + margins.p * paid, margins.gamma + paid * histories.mean_margin]
        )
    days = round(horizon.weeks * DAYS_PER_WEEK)
    count = days // contracts.terms.earliest + 2
    rates = forecast.rates.predict_rates(np.arange(1, contracts.number.max(initial=1) + count))
    state = np.column_stack([contracts.number, contracts.due - contracts.end, forecast.silent])
    timing = (contracts.terms.period, delays.first, delays.chance.cumsum())
    year = round(horizon.year * DAYS_PER_WEEK)
    limits = (year, days, horizon.discount / DAYS_PER_WEEK, horizon.paid_share, shape)
    result = np.empty((len(histories), 6))

    def fill_block(start: int) -> None:
        rows = slice(start, start + BLOCK)
        draws = np.zeros((2, len(state[rows]), DRAWS))
        _fill_renewals(
            state[rows],
            forecast.renews[rows],
            rates,
            timing,
            spend[rows],
            limits,
            seeds[rows],
            draws,
        )
        result[rows] = np.column_stack([*_summarize_draws(draws[0]), *_summarize_draws(draws[1])])

    for _ in parallel_map(fill_block, range(0, len(histories), BLOCK)):
        pass
    return ValueDraws(*result.T)


def estimate_renewal_variance(
    forecast: RenewalForecast,
    days: int,
    margins: MarginModel | None = None,
) -> float:
    """Return the variance of what all customers, who are independent, bring in the next days.

    Without a model of margins, it is that of the number of renewals.
    """
    histories = forecast.contracts.summarize_periods()
    weeks = days / DAYS_PER_WEEK
    horizon = ValueHorizon(weeks, weeks, 0.0, margins.paid_share if margins else 1.0)
    seeds = np.arange(len(histories)).astype(np.uint32)
    paid = margins.paid if margins else None
    draws = draw_renewals(forecast, paid, histories, horizon, seeds)
    return float(draws.year_variance.sum())


def _summarize_draws(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the 5 % and 95 % quantiles and the variance of each customer's draws."""
    ordered = np.sort(draws, axis=1)
    # Half-way between two draws (Hazen), for either alone is off to one side.
    low = ordered[:, LOW_DRAW - 1 : LOW_DRAW + 1].mean(axis=1)
    high = ordered[:, -LOW_DRAW - 1 : -LOW_DRAW + 1].mean(axis=1)
    return low, high, ordered.var(axis=1)


@jit_kernel
def _fill_renewals(
    state: np.ndarray,
    renews: np.ndarray,
    rates: np.ndarray,
    timing: tuple[int, int, np.ndarray],
    spend: np.ndarray,
    limits: tuple[float, float, float, float, float],
    seeds: np.ndarray,
    draws: np.ndarray,
) -> None:
    """Fill the margins within a year, and discounted within the horizon, (2, customers, draws)."""
    period, first, cumulated = timing
    year, days, discount, paid_share, shape = limits
    for row in range(len(state)):
        np.random.seed(seeds[row])
        number, ahead, silent = state[row]
        # The chance that the open renewal would have been paid by now.
        passed = min(max(silent - first, 0), len(cumulated) - 1)
        before = cumulated[passed - 1] if passed > 0 else 0.0
        for draw in range(draws.shape[2]):
            if np.random.random() >= renews[row]:
                continue
            scale = 1 / np.random.gamma(spend[row, 0], 1 / spend[row, 1])
            level = before + np.random.random() * (1 - before)
            time = ahead + first + find_delay(cumulated, level)
            last = number
            while time < days:
                if np.random.random() < paid_share:
                    margin = np.random.gamma(shape, scale) if shape > 0 else 1.0
                    draws[0, row, draw] += margin if time < year else 0.0
                    draws[1, row, draw] += margin * np.exp(-discount * time)
                last += 1
                if np.random.random() >= rates[last - 1]:
                    break
                time += period + first + find_delay(cumulated, np.random.random())


@jit_inline
def find_delay(cumulated: np.ndarray, level: float) -> int:
    """Return the place of the first cumulated chance that reaches a level."""
    place = int(np.searchsorted(cumulated, level))
    return min(place, len(cumulated) - 1)
