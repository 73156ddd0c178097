"""Purchases of a company's customers, by day in its time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.customers.customers import Customers
from configs.errors import DataError
from features.contracts import INSTANT
from features.tools.instants import US_PER_DAY
from models.purchases.histories import Purchases, merge_days
from pipelines.event_names import count_event_types, require_occurrence
from pipelines.fit.units import EntryUnits, find_units
from pipelines.training_data import Snapshot


@dataclass(frozen=True)
class CustomerPurchases:
    """Purchases, and the customers who made them.

    Attributes:
        purchases: Purchases; customers are numbered from 0 without gaps.
        lead: Row of the lead of each customer, int64 (customers,): of several the first to come.
        unit: Unit of each customer among all accounts, int64 (customers,).
        units: All accounts, or leads without one.
        end: First day that is not seen: a day that is not over is seen as far as it went.
    """

    purchases: Purchases
    lead: np.ndarray
    unit: np.ndarray
    units: EntryUnits
    end: int


def collect_purchases(snapshot: Snapshot, config: Customers) -> CustomerPurchases:
    """Return the purchases that were known before the as-of.

    Raises ConfigError for an event type that never occurs, DataError where the data has no times,
    or no purchase.
    """
    if not snapshot.dataset.timed:
        raise DataError(
            "customers need times",
            where="sources",
            found="the data has no times",
            fix="give sources.leads.created_at and an events source with event_time",
        )
    dataset = snapshot.dataset
    counts = count_event_types(dataset)
    names = {"purchases": config.purchases, "advocacy": config.advocacy}
    if config.contract is not None:
        names["contract.ended"] = config.contract.ended
    for key, types in names.items():
        require_occurrence(snapshot.project, counts, f"customers.{key}", types, snapshot.as_of)
    rows = select_events(snapshot, config.purchases)
    if config.contract is not None:
        # Money that goes back pays for no period.
        value = dataset.events["value"].take(pa.array(rows))
        rows = rows[pc.fill_null(pc.greater_equal(value, 0), True).to_numpy()]
    units = find_units(dataset)
    unit, customer = np.unique(units.of_lead[dataset.event_leads[rows]], return_inverse=True)
    day = find_days(snapshot, dataset.events["event_time"].take(pa.array(rows)))
    value = pc.fill_null(dataset.events["value"].take(pa.array(rows)), 0.0).to_numpy()
    purchases = merge_days(customer.astype(np.int64), day, value * config.margin)
    if not len(unit):
        raise DataError(
            "no customer has bought",
            where="customers.purchases",
            found=f"0 of {len(dataset.events):,} events are purchases of leads that are known",
            fix="take a later --as-of, or correct the ids of the events",
        )
    return CustomerPurchases(purchases, units.lead[unit], unit, units, find_end_day(snapshot))


def select_events(snapshot: Snapshot, types: tuple[str, ...]) -> np.ndarray:
    """Return the rows of the events of known leads with one of the types, int64."""
    dataset = snapshot.dataset
    is_type = pc.is_in(dataset.events["event_type"], value_set=pa.array(types, pa.string()))
    return np.flatnonzero(is_type.to_numpy() & (dataset.event_leads >= 0))


def find_days(snapshot: Snapshot, times: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """Return the day of each instant in the project's time zone, int64 days since 1970."""
    zoned = pc.cast(times, pa.timestamp("us", tz=str(snapshot.project.zone)))
    local: np.ndarray = pc.cast(pc.local_timestamp(zoned), pa.int64()).to_numpy()
    return local // US_PER_DAY


def find_end_day(snapshot: Snapshot) -> int:
    """Return the first day of which nothing was seen before the as-of."""
    # Rows are known before the as-of, so midnight itself belongs to the day that is not seen.
    day = int(find_days(snapshot, pa.array([snapshot.as_of], INSTANT))[0])
    return day + (snapshot.as_of.astimezone(snapshot.project.zone).time() != time.min)


def find_day_starts(snapshot: Snapshot, days: np.ndarray) -> pa.Array:
    """Return the instant at which each day begins in the project's time zone, INSTANT."""
    local = pa.array(days.astype(np.int64) * US_PER_DAY).cast(pa.timestamp("us"))
    # Where a clock change skips midnight, the day begins right after it.
    zoned = pc.assume_timezone(
        local, str(snapshot.project.zone), ambiguous="earliest", nonexistent="latest"
    )
    return zoned.cast(INSTANT)


def seed_customers(bought: CustomerPurchases) -> np.ndarray:
    """Return a seed of each customer that does not depend on the others, uint32 (customers,)."""
    return bought.units.cluster[bought.unit].astype(np.uint32)
