"""Recurring margin: what the contracts that run at the ends of quarters bring in a quarter.

A contract whose renewal is overdue runs until its grace is over, in the past and in the future.
"""

from __future__ import annotations

import numpy as np

from features.tools.jit import jit_kernel
from models.contracts.past_renewals import ContractEvents
from models.contracts.renewal_draws import find_delay
from models.contracts.renewal_forecast import RenewalForecast
from models.contracts.status import ContractsAt
from models.customers.margins import MarginModel
from models.customers.value_draws import DRAWS
from models.purchases.histories import PurchaseHistories, Purchases, merge_days

# A quarter of a year, so that the margins of four quarters are that of a year.
QUARTER_DAYS = 365 / 4


def measure_recurring(contracts: ContractsAt) -> np.ndarray:
    """Return what each customer's current period brings in a quarter; 0 for one who has left."""
    periods = contracts.periods
    is_last = np.diff(periods.customer, append=-1) != 0
    margin = periods.margin[is_last] * QUARTER_DAYS / contracts.terms.period
    return np.where(contracts.has_left, 0.0, margin)


def list_recurring_margins(events: ContractEvents, edges: np.ndarray) -> Purchases:
    """Return the recurring margin of each customer before each edge, as a purchase the day before.

    Who has left is judged by what was seen before the edge, so that no later payment changes it.
    """
    customer, day, margin = [], [], []
    for edge in edges:
        contracts = events.describe_day(int(edge))
        runs = ~contracts.has_left
        customer.append(np.unique(contracts.periods.customer)[runs])
        margin.append(measure_recurring(contracts)[runs])
        day.append(np.full(int(runs.sum()), edge - 1))
    return merge_days(np.concatenate(customer), np.concatenate(day), np.concatenate(margin))


def draw_recurring(
    forecast: RenewalForecast,
    margins: MarginModel,
    histories: PurchaseHistories,
    rows: np.ndarray,
    edges: tuple[int, int],
    seeds: np.ndarray,
) -> np.ndarray:
    """Return single draws of the recurring margin before two days, float64 (2, rows, DRAWS).

    ``histories`` are those of the paid periods of all customers, ``rows`` the numbers of those that
    are drawn, and ``seeds`` is one uint32 for each of them.
    """
    contracts, delays, terms = forecast.contracts, forecast.delays, forecast.contracts.terms
    count = (edges[1] - contracts.end) // terms.earliest + 3
    rates = forecast.rates.predict_rates(np.arange(1, contracts.number.max(initial=1) + count))
    paid, total = histories.paid[rows], (histories.paid * histories.mean_margin)[rows]
    spend = np.column_stack([margins.paid.q + margins.paid.p * paid, margins.paid.gamma + total])
    state = np.column_stack([contracts.number, contracts.due - contracts.end, forecast.silent])
    exits = forecast.exits.chance.cumsum()
    timing = (terms.period, delays.first, delays.chance.cumsum(), exits)
    days = (edges[0] - contracts.end, edges[1] - contracts.end)
    limits = (margins.paid_share, margins.paid.p, QUARTER_DAYS / terms.period)
    draws = np.zeros((2, len(rows), DRAWS))
    current, renews = measure_recurring(contracts)[rows], forecast.renews[rows]
    _fill_recurring(state[rows], renews, rates, timing, spend, current, limits, days, seeds, draws)
    return draws


@jit_kernel
def _fill_recurring(
    state: np.ndarray,
    renews: np.ndarray,
    rates: np.ndarray,
    timing: tuple[int, int, np.ndarray, np.ndarray],
    spend: np.ndarray,
    current: np.ndarray,
    limits: tuple[float, float, float],
    days: tuple[int, int],
    seeds: np.ndarray,
    draws: np.ndarray,
) -> None:
    period, first, cumulated, exits = timing
    paid_share, shape, share = limits
    for row in range(len(state)):
        np.random.seed(seeds[row])
        number, ahead, silent = state[row]
        passed = min(max(silent - first, 0), len(cumulated) - 1)
        before = cumulated[passed - 1] if passed > 0 else 0.0
        # The same for the day on which a contract that is lost ends.
        gone = min(max(silent + period, 0), len(exits) - 1)
        ended = exits[gone - 1] if gone > 0 else 0.0
        # A contract that is over has no open renewal, and no margin.
        if current[row] <= 0 and renews[row] <= 0:
            continue
        for draw in range(draws.shape[2]):
            scale = 1 / np.random.gamma(spend[row, 0], 1 / spend[row, 1])
            margin, due, last, chance = current[row], ahead, number, renews[row]
            level = before + np.random.random() * (1 - before)
            quit_level = ended + np.random.random() * (1 - ended)
            place = 0
            while place < 2:
                renewed = np.random.random() < chance
                # The day until which this period counts: the next payment, or the end.
                if renewed:
                    until = due + first + find_delay(cumulated, level)
                else:
                    until = due - period + find_delay(exits, quit_level)
                while place < 2 and days[place] <= until:
                    draws[place, row, draw] = margin
                    place += 1
                if not renewed:
                    break
                is_paid = np.random.random() < paid_share
                margin = np.random.gamma(shape, scale) * share if is_paid else 0.0
                last += 1
                chance, level = rates[last - 1], np.random.random()
                quit_level = np.random.random()
                due = until + period
