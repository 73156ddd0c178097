"""Forecasts of renewals as of the past, beside what came: which chances are taken, and their error.

A forecast as of a past day sees only earlier payments and endings. The one with the longest history
chooses: where the shifted beta-geometric model is no better than a simple rate, that rate is used.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from models.contracts.renewal_draws import estimate_renewal_variance
from models.contracts.renewal_forecast import (
    DueDelays,
    RenewalForecast,
    measure_delays,
    measure_exits,
)
from models.contracts.renewal_rates import RenewalRates, fit_renewal_rates
from models.contracts.status import ContractsAt, Endings, count_decisions, describe_contracts
from models.contracts.terms import ContractTerms, find_paid_periods
from models.customers.chosen import format_parameters
from models.customers.margins import MarginModel, fit_margins
from models.customers.past_accuracy import (
    MARGIN,
    MIN_CUSTOMERS,
    ORDERS,
    PastAccuracy,
    TotalError,
    list_origins,
    measure_accuracy,
    measure_ahead,
    measure_common,
)
from models.purchases.histories import Purchases


@dataclass(frozen=True)
class ContractEvents:
    """Payments and endings of contracts, and what a payment pays for.

    Attributes:
        payments: Payments by customer and day.
        endings: Endings.
        terms: What a payment pays for.
    """

    payments: Purchases
    endings: Endings
    terms: ContractTerms

    def describe_day(self, end: int) -> ContractsAt:
        """Return the contracts before the day ``end``."""
        return describe_contracts(self.payments, self.endings, self.terms, end)


@dataclass(frozen=True)
class FittedRenewals:
    """Chances of renewal, and when renewals are paid.

    Attributes:
        name: Name of the chances that are used.
        models: All chances by name.
        delays: When renewals are paid.
        exits: When contracts that are lost end.
    """

    name: str
    models: Mapping[str, RenewalRates]
    delays: DueDelays
    exits: DueDelays

    def forecast(self, contracts: ContractsAt, name: str | None = None) -> RenewalForecast:
        """Return the forecast by the chances that are used, or by others."""
        return RenewalForecast(self.models[name or self.name], self.delays, self.exits, contracts)

    def list_parameters(self) -> dict[str, Mapping[str, float]]:
        """Return the parameters of the chances that are used."""
        return {self.name: self.models[self.name].list_parameters()}

    def estimate_log_variance(self, contracts: ContractsAt, days: int, name: str) -> float:
        """Return the variance of the logarithm of expected renewals that estimation brings."""

        def compute_log(rates: RenewalRates) -> float:
            forecast = RenewalForecast(rates, self.delays, self.exits, contracts)
            return math.log(max(float(forecast.predict_orders(days).sum()), 1e-300))

        errors = self.models[name].list_errors()
        return sum(((compute_log(high) - compute_log(low)) / 2) ** 2 for high, low in errors)


@dataclass(frozen=True)
class ChosenRenewals:
    """The chances of renewal that are taken, fitted on all decisions, and what the past says of it.

    Attributes:
        fitted: The chances.
        margins: The model of what a paid period brings; None where none brought anything.
        contracts: The contracts at the end of the history.
        past: Accuracy of all chances at each origin.
        refused: Why nothing may be published: always None, because simple rates remain.
    """

    fitted: FittedRenewals
    margins: MarginModel | None
    contracts: ContractsAt
    past: tuple[PastAccuracy, ...]
    refused: str | None = None

    def describe_parameters(self) -> str:
        """Return the parameters of all models as JSON."""
        return format_parameters(self.fitted.list_parameters(), self.margins)

    def spread_of_total(self, days: float, what: str = ORDERS) -> float:
        """Return the standard deviation of the logarithm of a total over these days ahead.

        It has two parts: the errors of the chances, and what moves all customers together.
        ``what`` is ORDERS or MARGIN.
        """
        own = [row for row in self.past if row.model == self.fitted.name]
        variance = self.fitted.estimate_log_variance(self.contracts, int(days), self.fitted.name)
        if what == MARGIN and self.margins is not None:
            variance += self.margins.variance
        return math.sqrt(variance + measure_common(own, days, what) ** 2)


def choose_renewals(events: ContractEvents, end: int, days: int) -> ChosenRenewals | None:
    """Return the chances for the days ``[end, end + days)``; None if the history is too short."""
    known = events.payments.select_before(end)
    origins = list_origins(known, end, days)
    past = [row for origin in origins for row in _measure_origin(events, origin, end, days)]
    if not past:
        return None
    latest = [row for row in past if row.origin == past[0].origin]
    # The first of several is the simplest.
    chosen = min(latest, key=lambda row: row.deviance).model
    contracts = events.describe_day(end)
    margins = fit_margins(contracts.summarize_periods())
    return ChosenRenewals(fit_renewals(contracts, chosen), margins, contracts, tuple(past))


def _measure_origin(events: ContractEvents, origin: int, end: int, days: int) -> list[PastAccuracy]:
    first = int(events.payments.day.min())
    ahead = measure_ahead(end - first, days)
    contracts = events.describe_day(origin)
    if count_decisions(contracts).count < MIN_CUSTOMERS:
        return []
    open_rows = ~contracts.has_left
    actual, brought = count_renewals(events, contracts, origin + ahead)
    if open_rows.sum() < MIN_CUSTOMERS or actual.sum() < MIN_CUSTOMERS:
        return []
    fitted = fit_renewals(contracts)
    margins = fit_margins(contracts.summarize_periods())
    rows = []
    for name, counts in predict_all(fitted, contracts, ahead).items():
        row = measure_accuracy(origin, ahead, name, counts[open_rows], actual[open_rows])
        forecast = fitted.forecast(contracts, name)
        estimation = fitted.estimate_log_variance(contracts, ahead, name)
        totals = {ORDERS: _compare_total(forecast, None, ahead, float(actual.sum()), estimation)}
        if margins is not None and brought.sum() > 0:
            came = float(brought.sum())
            totals[MARGIN] = _compare_total(
                forecast, margins, ahead, came, estimation + margins.variance
            )
        rows.append(replace(row, totals=totals))
    return rows


def _compare_total(
    forecast: RenewalForecast,
    margins: MarginModel | None,
    days: int,
    actual: float,
    estimation: float,
) -> TotalError:
    histories = forecast.contracts.summarize_periods()
    per_order = margins.predict_margin(histories) if margins else np.ones(len(histories))
    expected = max(float(forecast.predict_orders(days) @ per_order), 1e-300)
    chance = estimate_renewal_variance(forecast, days, margins) / expected**2
    return TotalError(expected, actual, chance + estimation)


def predict_all(fitted: FittedRenewals, contracts: ContractsAt, days: int) -> dict[str, np.ndarray]:
    """Return the expected renewals of each customer by the name of the chances."""
    return {name: fitted.forecast(contracts, name).predict_orders(days) for name in fitted.models}


def fit_renewals(contracts: ContractsAt, name: str = "") -> FittedRenewals:
    """Return all chances by the decided renewals, with those that are used by name."""
    decisions, terms = count_decisions(contracts), contracts.terms
    delays, exits = measure_delays(decisions.late, terms), measure_exits(decisions.left, terms)
    return FittedRenewals(name, fit_renewal_rates(decisions), delays, exits)


def count_renewals(
    events: ContractEvents, contracts: ContractsAt, end: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return each customer's renewals from the day of the contracts to ``end``, and their margin.

    Both are float64 (customers,). A new contract of a customer who had left is no renewal.
    """
    customer = np.unique(contracts.periods.customer)
    periods = find_paid_periods(events.payments.select_before(end), events.terms)
    place = np.searchsorted(customer, periods.customer)
    place = np.where(np.isin(periods.customer, customer), place, 0)
    rows = (periods.start >= contracts.end) & (customer[place] == periods.customer)
    rows &= periods.contract == contracts.contract[place]
    rows &= ~contracts.has_left[place]
    size = len(customer)
    counts = np.bincount(place[rows], minlength=size).astype(float)
    return counts, np.bincount(place[rows], periods.margin[rows], size)
