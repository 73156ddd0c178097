"""One row per customer: its state, its chances and what it is expected to bring."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from models.customers.schemas import CUSTOMERS
from models.customers.states import LAPSED, STATES, CustomersAt
from models.purchases.histories import DAYS_PER_WEEK
from pipelines.customers.purchases import CustomerPurchases, find_day_starts
from pipelines.customers.relation import CustomerNotes
from pipelines.customers.values import CustomerValues
from pipelines.fit.open_accounts import select_scorable, take_lead_texts
from pipelines.training_data import Snapshot
from serve.scoring.weekly_lists import look_up_owners


def build_customer_rows(
    snapshot: Snapshot,
    bought: CustomerPurchases,
    now: CustomersAt,
    values: CustomerValues | None,
    notes: CustomerNotes,
) -> pa.Table:
    """Return CUSTOMERS: the most valuable first, then by id.

    Customers who must not be scored are left out. Predictions are null without a model.
    """
    dataset, lead = snapshot.dataset, bought.lead
    silent = bought.end - 1 - now.days.last
    columns = {
        "entity_id": take_lead_texts(dataset, "entity_id", lead),
        "account_id": take_lead_texts(dataset, "account_id", lead),
        "owner": look_up_owners(dataset, snapshot.project.capacity_config, pa.array(lead)),
        "state": np.array(STATES)[now.state],
        "purchases": now.histories.repeats.astype(np.int64) + 1,
        "margin": now.histories.paid * now.histories.mean_margin,
        "first_purchase": find_day_starts(snapshot, now.days.first),
        "last_purchase": find_day_starts(snapshot, now.days.last),
        "silent_days": silent,
        "usual_gap_days": measure_gaps(now),
        **_list_predictions(snapshot, bought, values),
        "reasons": notes.reasons,
        "next_review": _list_reviews(snapshot, bought, now, notes),
    }
    table = pa.table([build_column(columns[field.name], field) for field in CUSTOMERS], CUSTOMERS)
    table = table.filter(pa.array(select_scorable(dataset)[lead]))
    order = [("clv", "descending"), ("margin", "descending"), ("entity_id", "ascending")]
    return table.sort_by(order)


def build_column(values: pa.Array | np.ndarray | list[str], field: pa.Field) -> pa.Array:
    """Return a column of a table; NaN stands for a value that is not known, and becomes null."""
    return pa.array(values, field.type, from_pandas=True)


def measure_gaps(now: CustomersAt) -> np.ndarray:
    """Return the mean days between purchases, NaN for a customer with one, float64."""
    repeats = now.histories.repeats
    days = now.histories.last * DAYS_PER_WEEK
    return np.divide(days, repeats, out=np.full(len(repeats), np.nan), where=repeats > 0)


def _list_predictions(
    snapshot: Snapshot, bought: CustomerPurchases, values: CustomerValues | None
) -> dict[str, pa.Array | np.ndarray]:
    size = len(bought.lead)
    if values is None:
        names = [*_name_numbers(), "expected_next_date"]
        return {name: pa.nulls(size, CUSTOMERS.field(name).type) for name in names}
    unknown = np.full(size, np.nan)
    draws = values.draws
    ends = [unknown] * 4
    if draws is not None:
        ends = [draws.year_low, draws.year_high, draws.total_low, draws.total_high]
    # Those who have left for certain bring nothing that could be kept.
    at_stake = values.margin * values.churns
    numbers = [values.alive, values.buys, values.churns, values.orders, values.margin]
    numbers += [*ends[:2], values.value, *ends[2:], at_stake]
    soon = _find_next_dates(snapshot, bought, values)
    return dict(zip(_name_numbers(), numbers, strict=True)) | {"expected_next_date": soon}


def _name_numbers() -> list[str]:
    names = ["p_alive", "p_buy_90d", "p_churn", "expected_orders_12m", "expected_margin_12m"]
    names += ["expected_margin_12m_low", "expected_margin_12m_high", "clv", "clv_low", "clv_high"]
    return [*names, "save_value"]


def _find_next_dates(
    snapshot: Snapshot, bought: CustomerPurchases, values: CustomerValues
) -> pa.Array:
    is_known = np.isfinite(values.next_days)
    ahead = np.where(is_known, values.next_days, 0).astype(np.int64)
    starts = find_day_starts(snapshot, bought.end + ahead)
    return pa.array(starts.to_numpy(zero_copy_only=False), starts.type, mask=~is_known)


def _list_reviews(
    snapshot: Snapshot, bought: CustomerPurchases, now: CustomersAt, notes: CustomerNotes
) -> pa.Array:
    # Tomorrow at the earliest, so that a list of reviews never lies in the past.
    starts = find_day_starts(snapshot, np.maximum(notes.review, bought.end + 1))
    lapsed = now.state == LAPSED
    return pa.array(starts.to_numpy(zero_copy_only=False), starts.type, mask=lapsed)


def describe_gap(days: int) -> str:
    """Return how long ago the last of some whole days before the as-of was."""
    return f"{days} {'day' if days == 1 else 'days'} ago" if days else "on the last day"
