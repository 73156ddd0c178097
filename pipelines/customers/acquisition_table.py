"""What the customers of each quarter's entries cost, and what they bring."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.contracts import INSTANT
from models.customers.retention import RetentionRows, measure_retention
from models.customers.schemas import ACQUISITION
from models.customers.states import CustomersAt
from models.revenue.acquisition import (
    AcquisitionCost,
    EntryRecords,
    bound_cost,
    find_payback,
    measure_lag,
)
from pipelines.customers.purchases import CustomerPurchases, find_days
from pipelines.customers.quarters import find_quarter_starts, find_quarters, name_quarter
from pipelines.training_data import Snapshot


def build_acquisition_table(
    snapshot: Snapshot,
    bought: CustomerPurchases,
    now: CustomersAt,
    value: np.ndarray | None,
    ratio: tuple[float, float] | None,
) -> pa.Table:
    """Return ACQUISITION, in the order of time.

    ``value`` is the expected value of each customer, float64 (customers,), None without a model;
    ``ratio`` is its total's interval by its total. An account that was a customer before it entered
    was not acquired by a cost.
    """
    entries = _collect_entries(snapshot, bought, now)
    quarters = find_quarters(entries.day)
    lag = measure_lag(entries, bought.end)
    costs = _sum_costs(snapshot)
    own = quarters[bought.unit]
    is_acquired = np.isfinite(entries.first[bought.unit])
    margin = now.histories.paid * now.histories.mean_margin
    cohorts = np.unique(quarters)
    # Those who were not acquired are a cohort of their own, which is not shown.
    cohort = np.where(is_acquired, np.searchsorted(cohorts, own), len(cohorts))
    followed = measure_retention(bought.purchases, now.days.first, cohort, bought.end)
    rows = []
    for place, quarter in enumerate(cohorts.tolist()):
        members = cohort == place
        end = int(find_quarter_starts(np.array([quarter + 1]))[0])
        is_mature = lag is not None and end + lag <= bought.end
        row: dict[str, Any] = {
            "cohort": name_quarter(quarter),
            "entered": int((quarters == quarter).sum()),
            "customers": int(members.sum()),
            "mature": is_mature,
            "cost": costs.get(quarter),
        }
        if members.any():
            row |= _measure_value(margin[members], None if value is None else value[members], ratio)
        if is_mature and row["cost"] is not None:
            cost = bound_cost(row["cost"], row["customers"])
            row |= _compare_cost(row, cost, followed, place) if cost else {}
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=ACQUISITION)


def _collect_entries(
    snapshot: Snapshot, bought: CustomerPurchases, now: CustomersAt
) -> EntryRecords:
    day = find_days(snapshot, pa.array(bought.units.entry).cast(INSTANT))
    first = np.full(len(day), np.nan)
    first[bought.unit] = now.days.first - day[bought.unit]
    # A purchase of the day of the entry may lie before it in time: days are not split.
    return EntryRecords(day, np.where(first < 0, np.nan, first))


def _sum_costs(snapshot: Snapshot) -> dict[int, float]:
    """Return the costs of each quarter between the first and the last cost."""
    costs = snapshot.dataset.costs
    costs = costs.filter(pc.less(costs["date"], pa.scalar(snapshot.as_of, INSTANT)))
    if not costs.num_rows:
        return {}
    quarter = find_quarters(find_days(snapshot, costs["date"]))
    amount = costs["cost"].to_numpy()
    first, last = int(quarter.min()), int(quarter.max())
    total = np.bincount(quarter - first, amount, last - first + 1)
    return {first + place: float(cost) for place, cost in enumerate(total)}


def _measure_value(
    margin: np.ndarray, value: np.ndarray | None, ratio: tuple[float, float] | None
) -> dict[str, float]:
    mean = float(margin.mean())
    if value is None or ratio is None or not np.isfinite(value).all():
        return {"margin": mean}
    ahead = float(value.mean())
    low, high = (mean + ahead * end for end in ratio)
    return {"margin": mean, "ltv": mean + ahead, "ltv_low": low, "ltv_high": high}


def _compare_cost(
    row: dict[str, Any], cost: AcquisitionCost, followed: RetentionRows, place: int
) -> dict[str, Any]:
    """Return the cost by customer, its ratio to the value, and the months until it was earned."""
    own = followed.cohort == place
    columns: dict[str, Any] = {
        "cac": cost.cac,
        "cac_low": cost.low,
        "cac_high": cost.high,
        "payback_months": find_payback(followed.month[own], followed.margin[own], cost.cac),
        "followed_months": int(followed.month[own].max()) if own.any() else None,
    }
    if "ltv" in row and cost.cac > 0:
        columns |= {
            "ltv_to_cac": row["ltv"] / cost.cac,
            "ltv_to_cac_low": row["ltv_low"] / cost.high,
            "ltv_to_cac_high": row["ltv_high"] / cost.low,
        }
    return columns
