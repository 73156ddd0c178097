"""The sections on revenue, values and returns of customers, beside the tables they are of."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.customers.result import CustomerTables
from serve.page.content.page_data import PageData
from serve.page.sections.customers.revenue import build_customer_revenue
from serve.page.sections.customers.values import PARTS, build_customer_values, divide_tenths
from serve.page.sections.customers.win_backs import build_win_backs
from serve.page.sections.funnel.lead_cells import FIRST_LISTED

# Fixtures of the other sections on customers.
from tests.serve.page.sections.customers.test_customer_sections import customers, make

__all__ = ["customers", "make"]
Make = Callable[..., PageData]


@pytest.mark.parametrize("language", ["en", "ru"])
def test_bars_lead_from_each_margin_to_the_next(
    make: Make, customers: CustomerTables, language: str
) -> None:
    section = build_customer_revenue(make(customers, language))
    assert section is not None
    bars = section.charts[0].rows
    rows = customers.list_rows("revenue_bridge")
    last = max(row["period"] for row in rows if row["kind"] == "actual")
    shown = [row for row in rows if row["period"] >= last]
    # The start of a forecast quarter is the end of the quarter before it.
    assert len(bars) == sum(row["step"] != "start" for row in shown) + 1
    totals = [bar for bar in bars if bar["from"] == 0 and bar["text"][0] not in "+−"]
    ends = [row for row in shown if row["step"] == "end"]
    assert [bar["to"] for bar in totals[1:]] == pytest.approx([row["amount"] for row in ends])
    for before, bar in pairwise(bars):
        if bar in totals:
            assert bar["to"] == pytest.approx(before["to"], rel=1e-6)
        else:
            assert bar["from"] == pytest.approx(before["to"])
    forecast = [bar for bar in bars if bar["low"] is not None]
    assert [bar["low"] for bar in forecast] == [
        row["low"] for row in ends if row["kind"] == "forecast"
    ]


@pytest.mark.parametrize("language", ["en", "ru"])
def test_quarters_and_their_forecast_are_shown(
    make: Make, customers: CustomerTables, language: str
) -> None:
    data = make(customers, language)
    section = build_customer_revenue(data)
    assert section is not None
    words, bridge = data.words, customers.list_rows("revenue_bridge")
    quarters = section.tables[0]
    last = [row for row in bridge if row["period"] == bridge[-1]["period"]]
    assert last[-1]["kind"] == "forecast" and last[0]["period"] in quarters.rows[-1][0]
    assert quarters.rows[-1][-2] == words.amount(last[-1]["amount"])
    assert quarters.rows[-1][-1] == words.amounts(last[-1]["low"], last[-1]["high"])
    over = [row for row in bridge if row["kind"] == "actual"]
    assert quarters.rows[-3][0] == over[-1]["period"]
    assert quarters.rows[-3][-2:] == [words.amount(over[-1]["amount"]), "–"]
    assert over[-1]["period"] in section.sentence and "{" not in section.sentence


@given(st.lists(st.floats(0, 1e9), min_size=PARTS, max_size=300).filter(lambda v: sum(v) > 1))
def test_tenths_hold_all_values_in_their_order(values: list[float]) -> None:
    tenths = divide_tenths(np.array(values))
    assert sum(row["customers"] for row in tenths) == len(values)
    assert sum(row["share"] for row in tenths) == pytest.approx(1)
    assert sum(row["sum"] for row in tenths) == pytest.approx(sum(values))
    sizes = [row["customers"] for row in tenths]
    assert max(sizes) - min(sizes) <= 1
    for more, less in pairwise(tenths):
        assert more["low"] >= less["high"] >= less["low"]


@pytest.mark.parametrize("language", ["en", "ru"])
def test_values_are_those_of_the_customers(
    make: Make, customers: CustomerTables, language: str
) -> None:
    section = build_customer_values(make(customers, language))
    assert section is not None
    value = np.sort(customers.tables["customers"]["clv"].to_numpy())[::-1]
    first = section.charts[0].rows[0]
    size = -(-len(value) // PARTS)
    assert first["share"] == pytest.approx(value[:size].sum() / value.sum())


@pytest.mark.parametrize("language", ["en", "ru"])
def test_returns_come_with_those_who_promise_most(
    make: Make, customers: CustomerTables, language: str
) -> None:
    section = build_win_backs(make(customers, language))
    assert section is not None
    rows = customers.list_rows("win_backs")
    best = sorted(rows, key=lambda row: -row["expected_margin"])[:FIRST_LISTED]
    shown = [getattr(row[0], "entity", row[0]) for row in section.tables[0].rows]
    assert shown == [row["entity_id"] for row in best]
    assert "{" not in section.sentence and not any("{" in note for note in section.notes)


def test_sections_on_revenue_are_absent_without_customers(make: Make) -> None:
    data = make(None)
    assert build_customer_revenue(data) is build_customer_values(data) is None
    assert build_win_backs(data) is None
