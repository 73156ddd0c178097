"""Journeys of accounts: from the first touch to the opportunity, the conversion or neither."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from configs.channels.channels import Channels
from features.tools.instants import (
    NEVER_US,
    US_PER_DAY,
    duration_to_microseconds,
)
from models.channels.journeys import Journeys
from models.survival.stays import BUCKETS
from pipelines.channels.touches import AccountTouches


@dataclass(frozen=True)
class AccountJourneys:
    """Accounts with a touch, one element per account, and the roles of their touches.

    Attributes:
        unit: The account among all units, int64 (accounts,), ascending.
        entry: Time of its first touch, int64 microseconds.
        first_channel: Channel of its first touch, int64.
        customer: Whether it became a customer within the window.
        account: Account of each touch, int64 (touches,).
        used: Touches that may get credit: before the opportunity, and within the lookback.
        after: Touches after the opportunity opened, before the conversion and the window's end.
        days_before: Days from each touch to the end of the journey, float64 (touches,).
    """

    unit: np.ndarray
    entry: np.ndarray
    first_channel: np.ndarray
    customer: np.ndarray
    account: np.ndarray
    used: np.ndarray
    after: np.ndarray
    days_before: np.ndarray


def build_journeys(config: Channels, touches: AccountTouches) -> AccountJourneys:
    """Return the journeys of all accounts with a touch before they were customers."""
    # An account that had converted before its first touch was a customer already.
    begins = np.flatnonzero(np.diff(touches.unit, prepend=-1))
    is_new = touches.converted[touches.unit[begins]] > touches.time[begins]
    begins = begins[is_new]
    place = np.full(len(touches.units), -1)
    unit = touches.unit[begins]
    place[unit] = np.arange(len(unit))
    account = place[touches.unit]
    entry, window = touches.time[begins], duration_to_microseconds(config.window)
    end = entry + window
    converted, opened = touches.converted[unit], touches.opened[unit]
    customer = converted < end
    stop = np.minimum(np.minimum(converted, opened), end)
    until = np.minimum(converted, end)
    own = np.maximum(account, 0)
    before = (account >= 0) & (touches.time < stop[own])
    after = (account >= 0) & ~before & (touches.time < until[own])
    finish = np.where(
        stop < end, stop, _find_last(len(unit), account[before], touches.time[before])
    )
    lookback = duration_to_microseconds(find_lookback(config))
    used = before & (touches.time >= finish[own] - lookback)
    days = np.where(used, finish[own] - touches.time, 0) / US_PER_DAY
    return AccountJourneys(
        unit,
        entry,
        touches.channel[begins],
        customer,
        account,
        used,
        after,
        days,
    )


def find_lookback(config: Channels) -> timedelta:
    """Return the time before the end of a journey in which touches count."""
    return config.lookback or config.window


def select_journeys(
    touches: AccountTouches, journeys: AccountJourneys, keep: np.ndarray
) -> Journeys:
    """Return the journeys of a mask of accounts that have a touch with credit."""
    rows = np.flatnonzero(journeys.used & keep[np.maximum(journeys.account, 0)])
    accounts, sizes = np.unique(journeys.account[rows], return_counts=True)
    converted = journeys.customer[accounts].astype(np.float64)
    cluster = touches.units.cluster[journeys.unit[accounts]]
    return Journeys(
        touches.channels,
        touches.channel[rows],
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        converted,
        1 - converted,
        (cluster % np.uint64(BUCKETS)).astype(np.int64),
        journeys.days_before[rows],
    )


def _find_last(accounts: int, account: np.ndarray, time: np.ndarray) -> np.ndarray:
    last = np.full(accounts, -NEVER_US)
    np.maximum.at(last, account, time)
    return last
