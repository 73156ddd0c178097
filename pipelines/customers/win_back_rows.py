"""Customers who have lapsed, with the chance that they come back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from configs.customers.customers import Customers
from models.customers.past_accuracy import ChosenPurchases
from models.customers.schemas import WIN_BACK_TRACK, WIN_BACKS
from models.customers.states import LAPSED, CustomersAt
from models.customers.win_back import (
    CLOCK,
    MODEL,
    RETURN_DAYS,
    ReturnChances,
    WinBackCheck,
    check_returns,
    estimate_win_backs,
    find_lapses,
    predict_return_orders,
)
from models.purchases.histories import DAYS_PER_WEEK
from pipelines.customers.customer_rows import build_column
from pipelines.customers.purchases import CustomerPurchases, find_day_starts
from pipelines.customers.values import DAY
from pipelines.fit.open_accounts import select_scorable, take_lead_texts
from pipelines.training_data import Snapshot
from serve.scoring.weekly_lists import look_up_owners


@dataclass(frozen=True)
class LapsedCustomers:
    """Customers who have lapsed, one element for each, and what is expected of them.

    Attributes:
        rows: Their numbers, int64.
        purchases: Purchases, or paid periods, before the lapse, int64.
        days: Days since the lapse, int64.
        chances: Chances of a return.
        margin: Expected margin of the year that begins with a return, float64; NaN if not known.
        method: What the chances are by: CLOCK or MODEL.
    """

    rows: np.ndarray
    purchases: np.ndarray
    days: np.ndarray
    chances: ReturnChances
    margin: np.ndarray
    method: str


def collect_lapsed_customers(
    config: Customers, bought: CustomerPurchases, now: CustomersAt, models: ChosenPurchases | None
) -> tuple[LapsedCustomers, WinBackCheck | None]:
    """Return customers without contracts who have lapsed, and how chances compared with what came.

    Chances are by the method that had the lower loss before; without a model of purchases they are
    by the clock, and margins are NaN.
    """
    lapse = config.lapse // DAY
    check = check_returns(bought.purchases, bought.end, lapse) if models else None
    method = check.better if check else MODEL if models else CLOCK
    rows = np.flatnonzero(now.state == LAPSED)
    clock = bought.end - 1 - now.days.last[rows] - lapse
    chances = _predict_returns(bought, now, models if method == MODEL else None, rows, clock, lapse)
    margin = np.full(len(rows), np.nan)
    lapsed = now.histories.select(rows)
    if models and models.margins:
        orders = predict_return_orders(models.fitted, lapsed)
        margin = orders * models.margins.predict_margin(lapsed)
    counts = lapsed.repeats.astype(np.int64) + 1
    return LapsedCustomers(rows, counts, clock, chances, margin, method), check


def build_win_back_tables(
    snapshot: Snapshot,
    bought: CustomerPurchases,
    lapsed: LapsedCustomers,
    check: WinBackCheck | None,
) -> dict[str, pa.Table]:
    """Return WIN_BACKS, those with the highest expected margin first, and WIN_BACK_TRACK.

    Customers who must not be scored are left out.
    """
    dataset, lead = snapshot.dataset, bought.lead[lapsed.rows]
    columns = {
        "entity_id": take_lead_texts(dataset, "entity_id", lead),
        "account_id": take_lead_texts(dataset, "account_id", lead),
        "owner": look_up_owners(dataset, snapshot.project.capacity_config, pa.array(lead)),
        "purchases": lapsed.purchases,
        "lapsed_at": find_day_starts(snapshot, bought.end - 1 - lapsed.days),
        "lapsed_days": lapsed.days,
        "p_return_90d": lapsed.chances.chance,
        "p_return_90d_low": lapsed.chances.low,
        "p_return_90d_high": lapsed.chances.high,
        "margin_if_back": lapsed.margin,
        "expected_margin": lapsed.margin * lapsed.chances.chance,
        "reasons": [_describe_lapse(days, lapsed.method) for days in lapsed.days.tolist()],
    }
    table = pa.table([build_column(columns[field.name], field) for field in WIN_BACKS], WIN_BACKS)
    table = table.filter(pa.array(select_scorable(dataset)[lead]))
    order = [("expected_margin", "descending"), ("p_return_90d", "descending")]
    table = table.sort_by([*order, ("entity_id", "ascending")])
    return {"win_backs": table, "win_back_track": _build_track(check)}


def _predict_returns(
    bought: CustomerPurchases,
    now: CustomersAt,
    models: ChosenPurchases | None,
    rows: np.ndarray,
    clock: np.ndarray,
    lapse: int,
) -> ReturnChances:
    """Return the chances of the customers ``rows``, by the clock without a model."""
    lapsed = now.histories.select(rows)
    if models is None:
        lapses = find_lapses(bought.purchases, bought.end, lapse)
        return estimate_win_backs(lapses, lapsed.repeats.astype(np.int64) + 1, clock)
    chance = models.fitted.forecast(lapsed).predict_any(RETURN_DAYS / DAYS_PER_WEEK)
    unknown = np.full(len(rows), np.nan)
    return ReturnChances(chance, unknown, unknown)


def _build_track(check: WinBackCheck | None) -> pa.Table:
    if check is None:
        return WIN_BACK_TRACK.empty_table()
    rows = [
        {
            "method": method,
            "chosen": method == check.better,
            "customers": check.customers,
            "returned": check.returned,
            "expected": check.expected[method],
            "log_loss": check.loss[method],
        }
        for method in check.expected
    ]
    return pa.Table.from_pylist(rows, schema=WIN_BACK_TRACK)


def _describe_lapse(days: int, method: str) -> str:
    since = "today" if days == 0 else f"{days} {'day' if days == 1 else 'days'} ago"
    basis = "others at the same time after a lapse" if method == CLOCK else "the model of purchases"
    return f"lapsed {since}; chance by {basis}"
