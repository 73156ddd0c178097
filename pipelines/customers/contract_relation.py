"""Customers with contracts: they pay period by period, so that it is seen who has left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

import numpy as np
import pyarrow as pa

from configs.customers.contract import Contract
from configs.customers.customers import YEAR, Customers
from models.contracts.lapses import find_contract_lapses
from models.contracts.months import list_contract_months
from models.contracts.past_renewals import (
    ChosenRenewals,
    ContractEvents,
    choose_renewals,
    fit_renewals,
)
from models.contracts.recurring import draw_recurring, list_recurring_margins
from models.contracts.renewal_draws import draw_renewals, estimate_renewal_variance
from models.contracts.states import classify_contracts
from models.contracts.status import ContractsAt, Endings, count_decisions
from models.contracts.terms import ContractTerms
from models.customers.margins import fit_margins
from models.customers.states import CustomersAt, find_customer_days
from models.customers.value_draws import BLOCK, ValueHorizon
from models.customers.win_back import CLOCK, RETURN_DAYS, check_clock, estimate_win_backs
from models.purchases.histories import (
    DAYS_PER_WEEK,
    PurchaseHistories,
    Purchases,
    summarize_purchases,
)
from models.revenue.bridge_forecast import QuarterDraws
from pipelines.customers.customer_rows import describe_gap
from pipelines.customers.purchases import (
    CustomerPurchases,
    find_days,
    seed_customers,
    select_events,
)
from pipelines.customers.relation import CustomerNotes, CustomerRelation
from pipelines.customers.values import (
    BUY_DAYS,
    DAY,
    CustomerValues,
    find_weekly_discount,
)
from pipelines.customers.win_back_rows import LapsedCustomers, build_win_back_tables
from pipelines.training_data import Snapshot

# A renewal is looked at so long before it is due, at most half a period.
NOTICE_DAYS = 30


class ContractRelation(CustomerRelation):
    """Customers with contracts."""

    def __init__(
        self,
        snapshot: Snapshot,
        config: Customers,
        contract: Contract,
        bought: CustomerPurchases,
    ) -> None:
        """Take the purchases of the customers, and what they pay for."""
        super().__init__(snapshot, config, bought)
        self.events = collect_contract_events(snapshot, contract, bought)

    @cached_property
    def contracts(self) -> ContractsAt:
        """Return the contracts before the as-of."""
        return self.events.describe_day(self.bought.end)

    @cached_property
    def period_histories(self) -> PurchaseHistories:
        """Return the histories of the paid periods before the as-of."""
        return self.contracts.summarize_periods()

    @cached_property
    def chosen(self) -> ChosenRenewals | None:
        """Return the chances of renewal."""
        return choose_renewals(self.events, self.bought.end, self.config.horizon // DAY)

    @property
    def models(self) -> ChosenRenewals | None:
        """Return the chances of renewal."""
        return self.chosen

    def describe_day(self, end: int) -> CustomersAt:
        """Return the customers before the day ``end``, by what the chances say today."""
        contracts = self.events.describe_day(end)
        histories = summarize_purchases(self.bought.purchases, end)
        days = find_customer_days(self.bought.purchases, end)
        renews = None
        if self.chosen is not None:
            renews = self.chosen.fitted.forecast(contracts).renews
        advocates = self.find_advocates(end)[histories.customer]
        onboarding = self.config.onboarding // DAY
        state = classify_contracts(contracts, days, renews, advocates, onboarding)
        return CustomersAt(histories, days, state)

    def predict_values(self) -> CustomerValues | None:
        """Return the predictions of each customer."""
        models = self.models
        if models is None:
            return None
        forecast, horizon = models.fitted.forecast(self.contracts), self.config.horizon
        discount = find_weekly_discount(self.config)
        orders = forecast.predict_orders(YEAR // DAY)
        margin = value = np.full(len(orders), np.nan)
        draws = None
        if models.margins:
            per_order = models.margins.predict_margin(self.period_histories)
            margin = orders * per_order
            discounted = forecast.predict_orders(horizon // DAY, discount / DAYS_PER_WEEK)
            value = discounted * per_order
            limits = ValueHorizon(
                YEAR / DAY / DAYS_PER_WEEK,
                horizon / DAY / DAYS_PER_WEEK,
                discount,
                models.margins.paid_share,
            )
            seeds = seed_customers(self.bought)
            draws = draw_renewals(
                forecast, models.margins.paid, self.period_histories, limits, seeds
            )
        due = np.where(self.contracts.has_left, np.nan, self.contracts.due - self.bought.end)
        return CustomerValues(
            forecast.alive,
            forecast.predict_any(BUY_DAYS),
            1 - forecast.renews,
            due,
            orders,
            estimate_renewal_variance(forecast, YEAR // DAY),
            margin,
            value,
            draws,
        )

    def write_notes(self, now: CustomersAt, values: CustomerValues | None) -> CustomerNotes:
        """Return reasons, and reviews before the renewal is due, on that day, and at its end."""
        contracts, terms = self.contracts, self.events.terms
        notice = contracts.due - min(NOTICE_DAYS, terms.period // 2)
        review = contracts.due + terms.grace
        for day in (contracts.due, notice):
            review = np.where(day > self.bought.end, day, review)
        return CustomerNotes(_list_reasons(contracts), review)

    def list_active_months(self) -> tuple[Purchases, int]:
        """Return the payments, and each month in which a contract runs."""
        return list_contract_months(self.events, self.bought.end)

    def list_margins(self, edges: np.ndarray) -> Purchases:
        """Return the recurring margin of each customer at the end of each period."""
        return list_recurring_margins(self.events, edges[1:])

    def draw_quarters(self, origin: int, edges: tuple[int, int, int]) -> Iterator[QuarterDraws]:
        """Yield simulated recurring margins at the ends of both quarters."""
        models = self.models
        if models is None:
            return
        contracts = self.events.describe_day(origin)
        histories = contracts.summarize_periods()
        fitted, margins = models.fitted, models.margins
        if origin < self.bought.end:
            if not count_decisions(contracts).count:
                return
            fitted, margins = fit_renewals(contracts, fitted.name), fit_margins(histories)
        if margins is None:
            return
        forecast, seeds = fitted.forecast(contracts), seed_customers(self.bought)
        for start in range(0, len(histories), BLOCK):
            rows = np.arange(start, min(start + BLOCK, len(histories)))
            customer = histories.customer[rows]
            draws = draw_recurring(
                forecast, margins, histories, rows, (edges[1], edges[2]), seeds[customer]
            )
            yield QuarterDraws(customer, draws[0], draws[1])

    def build_win_backs(self, now: CustomersAt) -> dict[str, pa.Table]:
        """Return the chances that those who have left come back, by the clock since they left."""
        end, payments = self.bought.end, self.bought.purchases
        lapses, origin = find_contract_lapses(self.events, end), end - RETURN_DAYS
        check = check_clock(find_contract_lapses(self.events, origin), payments, origin, end)
        left = lapses.select(~lapses.returned)
        chances = estimate_win_backs(lapses, left.purchases, left.days)
        margin = self._predict_new_contracts()[left.customer]
        lapsed = LapsedCustomers(left.customer, left.purchases, left.days, chances, margin, CLOCK)
        return build_win_back_tables(self.snapshot, self.bought, lapsed, check)

    def _predict_new_contracts(self) -> np.ndarray:
        """Return the margin of the year that begins with a new contract today, by customer."""
        contracts, models = self.contracts, self.models
        if models is None or models.margins is None:
            return np.full(len(contracts.number), np.nan)
        first, due = np.ones_like(contracts.number), contracts.end + self.events.terms.period
        new = replace(
            contracts,
            number=first,
            due=np.full_like(contracts.due, due),
            ended=np.full_like(contracts.ended, -1),
        )
        payments = 1 + models.fitted.forecast(new).predict_orders(YEAR // DAY)
        margin: np.ndarray = payments * models.margins.predict_margin(self.period_histories)
        return margin


def collect_contract_events(
    snapshot: Snapshot, contract: Contract, bought: CustomerPurchases
) -> ContractEvents:
    """Return the payments and endings of the customers that were known before the as-of."""
    rows = select_events(snapshot, contract.ended)
    unit = bought.units.of_lead[snapshot.dataset.event_leads[rows]]
    day = find_days(snapshot, snapshot.dataset.events["event_time"].take(pa.array(rows)))
    customer = np.searchsorted(bought.unit, unit)
    is_customer = np.isin(unit, bought.unit)
    since = None
    if contract.since is not None:
        since = int(np.datetime64(contract.since, "D").astype(np.int64))
    terms = ContractTerms(contract.period_days, contract.grace_days, since)
    endings = Endings(customer[is_customer], day[is_customer])
    return ContractEvents(bought.purchases, endings, terms)


def _list_reasons(contracts: ContractsAt) -> list[str]:
    rows = zip(
        contracts.number.tolist(),
        (contracts.end - 1 - contracts.due).tolist(),
        np.where(contracts.ended >= 0, contracts.end - 1 - contracts.ended, -1).tolist(),
        contracts.has_left.tolist(),
        strict=True,
    )
    return [_describe_contract(*row) for row in rows]


def _describe_contract(number: int, passed: int, ended: int, left: bool) -> str:
    """Return the contract of a customer in a sentence; ``passed`` are the days since it was due."""
    paid = "one period paid" if number == 1 else f"{number} periods paid"
    if ended >= 0:
        return f"{paid}, contract ended {describe_gap(ended)}"
    if left:
        return f"{paid}, not renewed: due {describe_gap(passed)}"
    if passed >= 0:
        return f"{paid}, renewal due {describe_gap(passed)} and not paid yet"
    ahead = -passed
    return f"{paid}, renewal due in {ahead} {'day' if ahead == 1 else 'days'}"
