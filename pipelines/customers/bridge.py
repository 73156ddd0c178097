"""The revenue bridge of quarters that are over, and the forecast of two more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from models.customers.schemas import REVENUE_BRIDGE
from models.customers.states import CustomerDays
from models.revenue.bridge_accuracy import (
    MIN_TESTED,
    TESTED_QUARTERS,
    BridgeAccuracy,
    TestedQuarter,
)
from models.revenue.bridge_forecast import (
    ARRIVAL_QUARTERS,
    BridgeForecast,
    PastQuarters,
    forecast_bridge,
    sum_quarters,
)
from models.revenue.revenue_bridge import STEPS, build_revenue_bridge
from pipelines.customers.quarters import find_quarter_starts, find_quarters, name_quarter
from pipelines.customers.relation import CustomerRelation

# Of the draws of new customers; those of the others are seeded by their keys.
SEED = 1
# Quarters that forecasts look back to, which bounds their memory.
MAX_QUARTERS = 16


@dataclass(frozen=True)
class CompanyBridge:
    """The revenue bridge of a company.

    Attributes:
        table: REVENUE_BRIDGE.
        accuracy: How far forecasts of past quarters were off; None without a forecast.
        limits: Why there is no forecast; empty if there is one.
    """

    table: pa.Table
    accuracy: BridgeAccuracy | None
    limits: str


def build_company_bridge(relation: CustomerRelation, days: CustomerDays) -> CompanyBridge:
    """Return the bridge of the quarters that are over but the first, and its forecast."""
    first, end = int(days.first.min()), relation.bought.end
    oldest, running = find_quarters(np.array([first, end])).tolist()
    quarters = np.arange(oldest, running + 1)
    edges = find_quarter_starts(quarters)
    margins = relation.list_margins(edges)
    rows: list[dict[str, object]] = []
    # A quarter that the data does not reach back to would make every customer a new one.
    if len(edges) >= 3:
        bridge = build_revenue_bridge(margins, edges, days.first)
        for place, quarter in enumerate(quarters[1:-1].tolist()):
            rows += _list_steps(quarter, bridge.amount[place], bridge.customers[place])
    past = sum_quarters(margins, edges[-1 - MAX_QUARTERS :], days.first)
    accuracy, limits = _test_quarters(relation, past)
    if accuracy is not None:
        following = running + 1
        middle, after = find_quarter_starts(np.array([following, following + 1])).tolist()
        blocks = relation.draw_quarters(end, (int(edges[-1]), middle, after))
        forecast = forecast_bridge(past, blocks, middle - end, SEED)
        share = (middle - end) / (middle - int(edges[-1]))
        low, high = accuracy.bound_steps(forecast, (share, share + 1))
        for place in range(2):
            rows += _list_forecast(following - 1 + place, forecast, place, low, high)
    return CompanyBridge(pa.Table.from_pylist(rows, schema=REVENUE_BRIDGE), accuracy, limits)


def _list_steps(
    quarter: int, amount: np.ndarray, customers: np.ndarray, kind: str = "actual"
) -> list[dict[str, object]]:
    return [
        {
            "period": name_quarter(quarter),
            "step": step,
            "kind": kind,
            "amount": float(amount[place]),
            "customers": round(float(customers[place])),
        }
        for place, step in enumerate(STEPS)
    ]


def _list_forecast(
    quarter: int, forecast: BridgeForecast, place: int, low: np.ndarray, high: np.ndarray
) -> Iterable[dict[str, object]]:
    rows = _list_steps(quarter, forecast.amount[place], forecast.customers[place], "forecast")
    ends = zip(rows, low[place].tolist(), high[place].tolist(), strict=True)
    return [{**row, "low": bottom, "high": top} for row, bottom, top in ends]


def _test_quarters(
    relation: CustomerRelation, past: PastQuarters
) -> tuple[BridgeAccuracy | None, str]:
    """Return how far forecasts as of the begin of the last quarters were off, or why none is."""
    if relation.models is None:
        return None, "no forecast of the bridge: there is no model of purchases"
    if relation.models.margins is None:
        return None, "no forecast of the bridge: no purchase brought an amount"
    quarters = len(past.margin)
    places = range(max(ARRIVAL_QUARTERS, quarters - TESTED_QUARTERS), quarters)
    tested = [test for place in places if (test := _test_quarter(relation, past, place))]
    if len(tested) < MIN_TESTED:
        return None, (
            f"no forecast of the bridge: {len(tested)} past quarters could be forecast as of "
            f"their begin, of {quarters} that are over, and {MIN_TESTED} are needed to say how "
            "far it is off"
        )
    return BridgeAccuracy(tested), ""


def _test_quarter(
    relation: CustomerRelation, past: PastQuarters, place: int
) -> TestedQuarter | None:
    """Return a quarter that is over, forecast as of its begin by what was seen before."""
    start, end = int(past.edges[place]), int(past.edges[place + 1])
    before = past.cut(place)
    blocks = relation.draw_quarters(start, (start, end, end))
    if not before.margin[-1].any():
        return None
    forecast = forecast_bridge(before, blocks, end - start, SEED)
    actual = build_revenue_bridge(
        relation.list_margins(past.edges), past.edges[place - 1 : place + 2], past.first
    )
    return TestedQuarter(forecast.amount[0], forecast.variance[0], actual.amount[0])
