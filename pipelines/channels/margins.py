"""Margin that accounts brought and are expected to bring."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from configs.channels.channels import Channels
from features.tools.instants import US_PER_DAY, column_to_microseconds, to_microseconds
from pipelines.channels.account_journeys import AccountJourneys
from pipelines.channels.touches import AccountTouches, take_amounts
from pipelines.customers.purchases import select_events
from pipelines.training_data import Snapshot

DAYS_PER_MONTH = 365.25 / 12
NO_AMOUNTS = (
    "no ROI: conversions have no amounts; give value in sources.events, or a section customers"
)
ALL_IS_MARGIN = "amounts count as margin in full: give channels.margin, or customers.margin"
NO_FUTURE = "expected value is the margin so far: give a section customers for the margin to come"
NO_CUSTOMERS = "expected value is the margin so far: no table of customers was computed with it"


@dataclass(frozen=True)
class AccountMargins:
    """Sales of accounts from their first touch on, and what is expected of them.

    Attributes:
        account: Account of each sale, int64 (sales,).
        month: Months from the first touch to the sale, from 1, int64 (sales,).
        margin: Its margin, float64 (sales,).
        followed: Whole months that each account has been followed, int64 (accounts,).
        to_come: Expected margin to come of each account, float64 (accounts,); None if unknown.
    """

    account: np.ndarray
    month: np.ndarray
    margin: np.ndarray
    followed: np.ndarray
    to_come: np.ndarray | None

    def sum_accounts(self, accounts: int) -> np.ndarray:
        """Return the margin so far of each account, float64 (accounts,)."""
        return np.bincount(self.account, self.margin, accounts)


def collect_margins(
    snapshot: Snapshot,
    config: Channels,
    touches: AccountTouches,
    journeys: AccountJourneys,
    customers: pa.Table | None,
) -> tuple[AccountMargins | None, list[str]]:
    """Return the margins of accounts, None without amounts, and what is missing to know more.

    ``customers`` is the table of that name, if there is one.
    """
    unit, time, amount, limits = _list_sales(snapshot, touches)
    place = np.full(len(touches.units), -1)
    place[journeys.unit] = np.arange(len(journeys.unit))
    account, has = place[unit], np.isfinite(amount)
    own = has & (account >= 0)
    own &= time >= journeys.entry[np.maximum(account, 0)]
    if not has.any():
        return None, [NO_AMOUNTS]
    section = snapshot.project.customers
    share = config.margin if config.margin is not None else section.margin if section else None
    limits += [] if share is not None else [ALL_IS_MARGIN]
    to_come = _take_expected(snapshot, touches, place, len(journeys.unit), customers)
    if to_come is None:
        limits.append(NO_CUSTOMERS if section and customers is None else NO_FUTURE)
    month_us = DAYS_PER_MONTH * US_PER_DAY
    account = account[own]
    month = ((time[own] - journeys.entry[account]) / month_us).astype(np.int64) + 1
    followed = (to_microseconds(snapshot.as_of) - journeys.entry) / month_us
    margin = amount[own] * (1.0 if share is None else share)
    return AccountMargins(account, month, margin, followed.astype(np.int64), to_come), limits


def find_payback_month(margins: AccountMargins, members: np.ndarray, cost: float) -> int | None:
    """Return the months until the margin of members (accounts,) reaches the cost; None if not yet.

    Only months count for which every member has been followed.
    """
    if not members.any() or cost <= 0:
        return None
    own = members[margins.account]
    by_month = np.bincount(margins.month[own], margins.margin[own], 1)
    reached = np.flatnonzero(np.cumsum(by_month) >= cost)
    if not len(reached) or reached[0] > margins.followed[members].min():
        return None
    return int(reached[0])


def _list_sales(
    snapshot: Snapshot, touches: AccountTouches
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Return account, time and amount of each sale: purchases of customers, or conversions."""
    section = snapshot.project.customers
    if section is None:
        return touches.sale_unit, touches.sale_time, touches.sale_amount, []
    events = snapshot.dataset.events
    rows = select_events(snapshot, section.purchases)
    unit = touches.units.of_lead[snapshot.dataset.event_leads[rows]]
    amount = take_amounts(snapshot.dataset, rows)
    time = column_to_microseconds(events["event_time"].take(pa.array(rows)))
    # Not in the order of the data, so that sums do not depend on it.
    order = np.lexsort((amount, time, unit))
    return unit[order], time[order], amount[order], []


def _take_expected(
    snapshot: Snapshot,
    touches: AccountTouches,
    place: np.ndarray,
    accounts: int,
    customers: pa.Table | None,
) -> np.ndarray | None:
    if customers is None or customers["clv"].null_count:
        return None
    lead = snapshot.dataset.find_leads(customers["entity_id"])
    account = place[touches.units.of_lead[lead]]
    known = account >= 0
    return np.bincount(account[known], customers["clv"].to_numpy()[known], accounts)
