"""Forecasts of renewals as of the past, beside what came in a time that no choice has seen."""

from __future__ import annotations

import numpy as np

from models.contracts.past_renewals import (
    ContractEvents,
    choose_renewals,
    count_renewals,
    predict_all,
)
from models.contracts.renewal_draws import draw_renewals, estimate_renewal_variance
from models.customers.backtest import (
    CustomerBacktest,
    Holdout,
    compare_outcome,
    measure_top_share,
)
from models.customers.past_accuracy import MARGIN
from models.customers.value import bound_total
from models.customers.value_draws import ValueHorizon

RENEWALS = "renewals"


def backtest_renewals(
    events: ContractEvents, origin: int, days: int, seeds: np.ndarray
) -> CustomerBacktest | None:
    """Return the forecast of the days ``[origin, origin + days)``; None if the history is short.

    It is that of the customers who had not left. ``seeds`` is one uint32 per customer number.
    """
    chosen = choose_renewals(events, origin, days)
    if chosen is None:
        return None
    contracts = events.describe_day(origin)
    histories = contracts.summarize_periods()
    rows = np.flatnonzero(~contracts.has_left)
    orders, margin = count_renewals(events, contracts, origin + days)
    came = Holdout(origin, days, histories.select(rows), orders[rows], margin[rows])
    margins = chosen.margins if came.margin.any() else None
    per_order = margins.predict_margin(came.histories) if margins else None
    models = {
        name: compare_outcome(came, name, counts[rows], per_order)
        for name, counts in predict_all(chosen.fitted, contracts, days).items()
    }
    own, forecast = models[chosen.fitted.name], chosen.fitted.forecast(contracts)
    variance = estimate_renewal_variance(forecast, days)
    bounds = bound_total(own.counts.expected, variance, chosen.spread_of_total(days))
    totals = (own.counts.actual, *bounds)
    used = chosen.fitted.name
    if margins is None:
        return CustomerBacktest(chosen, models, totals, None, np.nan, np.nan, used, RENEWALS)
    horizon = ValueHorizon(came.weeks, came.weeks, 0.0, margins.paid_share)
    draws = draw_renewals(forecast, margins.paid, histories, horizon, seeds[histories.customer])
    low, high = draws.year_low[rows], draws.year_high[rows]
    inside = (came.margin >= low) & (came.margin <= high)
    variance = float(draws.year_variance[rows].sum())
    bounds = bound_total(own.margin, variance, chosen.spread_of_total(days, MARGIN))
    margin_total = (float(came.margin.sum()), *bounds)
    best = measure_top_share(came.margin, came.margin)
    covered = float(inside.mean())
    return CustomerBacktest(chosen, models, totals, margin_total, covered, best, used, RENEWALS)
