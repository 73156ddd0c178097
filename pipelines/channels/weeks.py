"""Weekly grid of costs, touches and outcomes by channel, for models of the marketing mix."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from features.contracts import INSTANT
from features.tools.instants import NEVER_US
from models.channels.schemas import CHANNEL_WEEKS
from pipelines.channels.account_journeys import AccountJourneys
from pipelines.channels.periods import sum_by_channel
from pipelines.channels.touches import AccountTouches
from pipelines.customers.purchases import find_day_starts, find_days
from pipelines.training_data import Snapshot

NO_CHANNEL = "none"
# 1970-01-01 was a Thursday: with it, whole weeks begin on Mondays.
THURSDAY = 3


def build_channel_weeks(
    snapshot: Snapshot,
    touches: AccountTouches,
    journeys: AccountJourneys,
    names: tuple[str, ...],
) -> pa.Table:
    """Return CHANNEL_WEEKS: each week from the first touch or cost on, and each channel.

    Each account counts at its first conversion, for the channel that touched it first; accounts
    without an earlier touch for NO_CHANNEL. The last week may not be over.
    """
    width = len(names) + 1
    spent = _find_weeks(snapshot, snapshot.dataset.costs["date"])
    touched = _find_weeks(snapshot, pa.array(touches.time, INSTANT))
    entered = _find_weeks(snapshot, pa.array(journeys.entry, INSTANT))
    won = np.flatnonzero(touches.converted < NEVER_US)
    won_week = _find_weeks(snapshot, pa.array(touches.converted[won], INSTANT))
    every = np.concatenate([spent, touched, won_week])
    start, weeks = int(every.min()), int(np.ptp(every)) + 1

    def add_up(week: np.ndarray, channel: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
        cell = (week - start) * width + channel
        return np.bincount(cell, weight, weeks * width)

    first = np.full(len(touches.units), width - 1)
    first[journeys.unit] = journeys.first_channel
    size = np.bincount(touches.units.of_lead, minlength=len(touches.units))[journeys.unit]
    columns = {
        "cost": _sum_week_costs(snapshot, spent - start, weeks, names),
        "touches": add_up(touched, touches.channel, None),
        "leads": add_up(entered, journeys.first_channel, size.astype(float)),
        "customers": add_up(won_week, first[won], None),
        "revenue": add_up(won_week, first[won], _sum_first_amounts(touches)[won]),
    }
    if not np.isfinite(touches.sale_amount).any():
        columns["revenue"] = np.full(weeks * width, np.nan)
    mondays = (start + np.arange(weeks)) * 7 - THURSDAY
    labels = [*names, NO_CHANNEL]
    table = {
        "week": find_day_starts(snapshot, np.repeat(mondays, width)),
        "channel": pa.array(np.tile(labels, weeks), pa.string()),
    }
    table |= {name: pa.array(values, from_pandas=True) for name, values in columns.items()}
    whole = pa.table(table).cast(CHANNEL_WEEKS)
    has_none = bool((first[won] == width - 1).any())
    return whole if has_none else whole.filter(pa.compute.not_equal(whole["channel"], NO_CHANNEL))


def _find_weeks(snapshot: Snapshot, times: pa.Array | pa.ChunkedArray) -> np.ndarray:
    return (find_days(snapshot, times) + THURSDAY) // 7


def _sum_week_costs(
    snapshot: Snapshot, place: np.ndarray, weeks: int, names: tuple[str, ...]
) -> np.ndarray:
    total = np.full((weeks, len(names) + 1), np.nan)
    if snapshot.project.sources.costs:
        total[:, :-1] = sum_by_channel(snapshot, place, weeks, names)
    return total.ravel()


def _sum_first_amounts(touches: AccountTouches) -> np.ndarray:
    """Return the amounts of all events of each account's first conversion, float64 (units,)."""
    own = touches.sale_time == touches.converted[touches.sale_unit]
    amount = np.nan_to_num(touches.sale_amount[own])
    return np.bincount(touches.sale_unit[own], amount, len(touches.units))
