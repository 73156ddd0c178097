"""Months or quarters in the project's time zone, in which accounts and costs are compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from configs.channels.channels import Channels
from features.contracts import INSTANT
from features.tools.instants import (
    column_to_microseconds,
    duration_to_microseconds,
    to_microseconds,
)
from pipelines.customers.purchases import find_day_starts, find_days
from pipelines.customers.summary_tables import name_quarter
from pipelines.training_data import Snapshot

MONTHS = {"month": 1, "quarter": 3}


@dataclass(frozen=True)
class CohortPeriods:
    """Consecutive periods, and costs by period and channel.

    Attributes:
        names: Name of each period, such as ``2025-Q1`` or ``2025-01``.
        mature_at: When the last account of each was followed for the window, int64 microseconds.
        mature: Whether that was before the observation date.
        account: Period of each account, int64 (accounts,).
        cost: Costs, float64 (periods, channels), NaN for a channel that no source of costs names;
            None without such a source.
    """

    names: tuple[str, ...]
    mature_at: np.ndarray
    mature: np.ndarray
    account: np.ndarray
    cost: np.ndarray | None


def build_periods(
    snapshot: Snapshot, config: Channels, entry: np.ndarray, channels: tuple[str, ...]
) -> CohortPeriods:
    """Return the periods of accounts by their ``entry``, int64 microseconds (accounts,)."""
    size = MONTHS[config.period]
    account = _find_periods(snapshot, pa.array(entry, INSTANT), size)
    costs = snapshot.dataset.costs
    spent = _find_periods(snapshot, costs["date"], size)
    every = np.concatenate([account, spent])
    first = int(every.min())
    numbers = np.arange(first, int(every.max()) + 1)
    ends = ((numbers + 1) * size).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    # The last account of a period enters just before its end.
    closes = column_to_microseconds(pa.chunked_array([find_day_starts(snapshot, ends)]))
    mature_at = closes + duration_to_microseconds(config.window)
    return CohortPeriods(
        tuple(_name_period(int(number), size) for number in numbers),
        mature_at,
        mature_at <= to_microseconds(snapshot.observed),
        account - first,
        _sum_costs(snapshot, spent - first, len(numbers), channels),
    )


def sum_by_channel(
    snapshot: Snapshot, place: np.ndarray, rows: int, channels: tuple[str, ...]
) -> np.ndarray:
    """Return the costs by place and channel, float64 (rows, channels); NaN without a cost ever."""
    costs = snapshot.dataset.costs
    names = pa.array(channels, pa.string())
    channel = pa.compute.index_in(costs["channel"], value_set=names).to_numpy()
    cell = place * len(channels) + channel
    total = np.bincount(cell, costs["cost"].to_numpy(), rows * len(channels))
    total = total.reshape(rows, len(channels))
    total[:, ~np.isin(np.arange(len(channels)), channel)] = np.nan
    return total


def _sum_costs(
    snapshot: Snapshot, place: np.ndarray, rows: int, channels: tuple[str, ...]
) -> np.ndarray | None:
    if not snapshot.project.sources.costs:
        return None
    return sum_by_channel(snapshot, place, rows, channels)


def _find_periods(snapshot: Snapshot, times: pa.Array | pa.ChunkedArray, size: int) -> np.ndarray:
    days = find_days(snapshot, times)
    months: np.ndarray = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    return months // size


def _name_period(number: int, size: int) -> str:
    if size == MONTHS["quarter"]:
        return name_quarter(number)
    return f"{1970 + number // 12}-{number % 12 + 1:02d}"
