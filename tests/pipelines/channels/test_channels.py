"""Channels of a company, against plain loops over its rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from configs.errors import ConfigError, DataError
from configs.schema import load_project
from models.channels.credits import METHODS
from pipelines.channels.channels import compute_channels
from tests.models.channels.plain import (
    convert_by_powers,
    credit_by_rule,
    shapley_by_orders,
)
from tests.pipelines.channels import company

NOW = datetime.fromisoformat(company.AS_OF).replace(tzinfo=UTC)
# The last event of the data decides through when outcomes are seen; here it lies on the last day.
QUARTERS = {"2024-Q1": 4, "2024-Q2": 7, "2024-Q3": 10, "2024-Q4": 13}
Rows = dict[str, company.Rows]


@pytest.fixture(scope="module")
def rows() -> Rows:
    """Return the rows of a company of 700 leads."""
    return company.draw_rows(700)


@pytest.fixture
def compute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Return a function that writes a company and returns the tables of its channels."""

    def run(rows: Rows, as_of: str = company.AS_OF, **changes: Any) -> dict[str, Any]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
        project = load_project(company.write(tmp_path, rows, **changes))
        return compute_channels(project, as_of).to_json()

    return run


def set_channels(**keys: Any) -> dict[str, Any]:
    return {**company.CONFIG["channels"], **keys}


def select(result: dict[str, Any], period: str, scope: str = "channel") -> dict[str, Any]:
    found = (row for row in result["channels"] if row["period"] == period)
    return {row["channel"]: row for row in found if row["scope"] == scope}


def sum_costs(rows: Rows, periods: set[str]) -> Counter[str]:
    total = Counter[str]()
    for row in rows["costs"]:
        quarter = f"{row['day'].year}-Q{(row['day'].month + 2) // 3}"
        if row["booked"] < NOW and quarter in periods:
            total[row["via"]] += row["spent"]
    return total


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"attribute": "origin"},
        {"attribute": "origin", "touches": ["view"], "lookback": "20d"},
    ],
)
def test_counts_costs_and_customers_equal_loops(
    compute: Callable[..., dict[str, Any]], rows: Rows, keys: dict[str, Any]
) -> None:
    result = compute(rows, channels=set_channels(**keys))
    plain = {"attribute": "origin"} if "attribute" in keys else {}
    plain |= {"touches": False} if keys and "touches" not in keys else {}
    plain |= {"lookback_days": 20} if "lookback" in keys else {}
    journeys = company.list_journeys(rows, NOW, plain)
    mature = {"2024-Q1", "2024-Q2", "2024-Q3"}
    # 90 days after 2024-10-01 is 2024-12-30, which the data covers; the last quarter is young.
    for period in [*QUARTERS, "all"]:
        own = [row for row in journeys if period in (row["period"], "all")]
        own = [row for row in own if period != "all" or row["period"] in mature]
        shown = select(result, period)
        cost = sum_costs(rows, mature if period == "all" else {period})
        assert set(shown) == {via for row in own for via in row["used"] + row["after"]} | set(cost)
        for via, row in shown.items():
            assert row["touches"] == sum(j["used"].count(via) for j in own)
            assert row["touches_after_opportunity"] == sum(j["after"].count(via) for j in own)
            assert row["accounts"] == sum(via in j["used"] for j in own)
            assert row["leads"] == sum(j["leads"] for j in own if j["first"] == via)
            assert row["cost"] == (pytest.approx(cost[via]) if via in cost else None)
            assert row["mature"] == (period != "2024-Q4")
            assert row["incremental"] == "not tested"
            customers = [j for j in own if j["first"] == via and j["customer"]]
            if not row["mature"]:
                assert row["customers"] is row["cac"] is row["linear_credit"] is None
                continue
            assert row["customers"] == len(customers)
            if row["accounts"] < 5 or not customers or not cost[via]:
                assert row["cac"] is None
                continue
            assert row["cac"] == pytest.approx(cost[via] / len(customers))
            assert row["cac_low"] <= row["cac"]
            assert row["cac_high"] is None or row["cac_high"] >= row["cac"]
            margin = sum(j["amount"] for j in customers)
            assert row["margin"] == row["expected_value"] == pytest.approx(margin)
            assert row["roi"] == pytest.approx((margin - cost[via]) / cost[via])


def test_credits_equal_loops_and_add_up(compute: Callable[..., dict[str, Any]], rows: Rows) -> None:
    result = compute(rows)
    journeys = [j for j in company.list_journeys(rows, NOW, {}) if j["period"] == "2024-Q2"]
    journeys = [j for j in journeys if j["used"]]
    paths, days = [j["used"] for j in journeys], [j["days"] for j in journeys]
    yes = [int(j["customer"]) for j in journeys]
    no = [1 - count for count in yes]
    expected = {name: credit_by_rule(name, paths, yes, days) for name in METHODS[:5]}
    expected["shapley"] = shapley_by_orders(paths, yes)
    whole = convert_by_powers(paths, yes, no)
    lost = {
        name: whole - convert_by_powers(paths, yes, no, without=name) for name in company.CHANNELS
    }
    expected["markov"] = {
        name: sum(yes) * value / sum(lost.values()) for name, value in lost.items()
    }
    shown = select(result, "2024-Q2")
    for name, credit in expected.items():
        for via, value in credit.items():
            row, column = shown[via], f"{name}_credit"
            assert row[column] == pytest.approx(value, abs=1e-9)
            assert row[f"{column}_low"] <= row[column] <= row[f"{column}_high"]
        total = select(result, "2024-Q2", "total")["all"]
        assert total[f"{name}_credit"] == pytest.approx(sum(yes), abs=1e-9)


def test_channels_with_few_accounts_get_no_figures(
    compute: Callable[..., dict[str, Any]], rows: Rows
) -> None:
    result = compute(rows, channels=set_channels(min_accounts=10_000))
    for row in select(result, "all").values():
        assert row["cac"] is row["first_credit"] is None
        assert f"{row['accounts']:,} accounts, fewer than 10,000" in row["note"]
    refused, total = (select(result, "all", scope)["all"] for scope in ("refused", "total"))
    for name in METHODS:
        assert refused[f"{name}_credit"] == pytest.approx(total[f"{name}_credit"])
        assert refused[f"{name}_credit_low"] is None
    assert "fewer than 10,000" in result["basis"]["first_refused"]


def test_rows_after_the_as_of_and_their_order_change_nothing(
    compute: Callable[..., dict[str, Any]], rows: Rows
) -> None:
    early = "2024-10-01"
    first = compute(rows, early)
    limit = datetime(2024, 10, 1, tzinfo=UTC)
    known = {
        "leads": [row for row in rows["leads"] if row["born"] < limit],
        "events": [row for row in rows["events"] if row["loaded"] < limit],
        "costs": [row for row in rows["costs"] if row["booked"] < limit],
    }
    shuffled = {name: table[::-1] for name, table in known.items()}
    second = compute(shuffled, early)
    assert json.dumps(first) == json.dumps(second)


def test_weekly_grid_is_complete_and_adds_up(
    compute: Callable[..., dict[str, Any]], rows: Rows
) -> None:
    weeks = compute(rows)["weeks"]
    starts = sorted({row["week"] for row in weeks})
    names = {row["channel"] for row in weeks}
    assert names == {*company.CHANNELS, "radio", "none"}
    assert len(weeks) == len(starts) * len(names)
    days = [datetime.fromisoformat(start) for start in starts]
    assert {day.weekday() for day in days} == {0}
    gaps = {after - before for before, after in pairwise(days)}
    assert gaps == {timedelta(weeks=1)}
    owner = {row["id"]: row["firm"] or row["id"] for row in rows["leads"]}
    won: dict[str, datetime] = {}
    for row in rows["events"]:
        if row["what"] == "won" and row["loaded"] < NOW:
            name = owner[row["lead"]]
            won[name] = min(won.get(name, row["at"]), row["at"])
    assert sum(row["customers"] for row in weeks) == len(won)
    touches = [r for r in rows["events"] if r["what"] == "view" and r["via"] and r["loaded"] < NOW]
    week = next(row for row in weeks if row["channel"] == "ads" and row["touches"] > 2)
    begin = datetime.fromisoformat(week["week"])
    own = [r for r in touches if r["via"] == "ads" and begin <= r["at"] < begin + timedelta(7)]
    assert week["touches"] == len(own)
    assert week["cost"] == next(
        row["spent"] for row in rows["costs"] if row["day"] == begin and row["via"] == "ads"
    )
    assert sum(row["touches"] for row in weeks) == len(touches)
    assert {row["cost"] for row in weeks if row["channel"] == "web"} == {None}


def test_payback_is_the_first_month_with_the_cost(
    compute: Callable[..., dict[str, Any]], rows: Rows
) -> None:
    result = compute(rows)
    month, checked = timedelta(days=365.25 / 12), 0
    for period in ("2024-Q1", "2024-Q2", "2024-Q3"):
        journeys = company.list_journeys(rows, NOW, {})
        for via, row in select(result, period).items():
            own = [j for j in journeys if j["first"] == via and j["customer"]]
            own = [j for j in own if j["period"] == period]
            if row["cac"] is None:
                continue
            total, found = 0.0, None
            for number in range(min((NOW - j["entry"]) // month for j in own) + 1):
                total = sum(
                    amount
                    for j in own
                    for at, amount in j["sales"]
                    if (at - j["entry"]) // month + 1 <= number
                )
                if number and total >= row["cost"]:
                    found = number
                    break
            assert row["payback_months"] == found
            checked += 1
    assert checked >= 4


def test_columns_of_absent_costs_are_null_and_the_output_says_what_to_add(
    compute: Callable[..., dict[str, Any]], rows: Rows
) -> None:
    sources = {key: value for key, value in company.CONFIG["sources"].items() if key != "costs"}
    result = compute(rows, sources=sources)
    assert {row["cost"] for row in result["channels"]} == {None}
    assert {row["roi"] for row in result["channels"]} == {None}
    assert "add sources.costs" in result["basis"]["limits"]
    assert {row["cost"] for row in result["weeks"]} == {None}


def test_margin_of_the_config_scales_the_value(
    compute: Callable[..., dict[str, Any]], rows: Rows
) -> None:
    whole, part = (compute(rows, channels=set_channels(**keys)) for keys in ({}, {"margin": 0.25}))
    first, second = (select(result, "all")["ads"] for result in (whole, part))
    assert second["margin"] == pytest.approx(first["margin"] / 4)
    assert "count as margin in full" in whole["basis"]["limits"]
    assert "count as margin in full" not in part["basis"]["limits"]


def test_data_without_amounts_has_no_return(
    compute: Callable[..., dict[str, Any]], rows: Rows
) -> None:
    bare = rows | {"events": [row | {"amount": ""} for row in rows["events"]]}
    result = compute(bare)
    assert {row["roi"] for row in result["channels"]} == {None}
    assert {row["revenue"] for row in result["weeks"]} == {None}
    assert "no ROI" in result["basis"]["limits"]


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"attribute": "orign"}, "did you mean origin"),
        ({"touches": ["vew"]}, "did you mean view"),
        ({"opportunity": "ofer"}, "did you mean offer"),
        ({"conversions": ["wonn"]}, "did you mean won"),
    ],
)
def test_wrong_names_are_refused_with_a_suggestion(
    compute: Callable[..., dict[str, Any]], rows: Rows, keys: dict[str, Any], text: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        compute(rows, channels=set_channels(**keys))
    assert text in str(caught.value)


def test_missing_section_and_missing_touches_are_refused(
    compute: Callable[..., dict[str, Any]], rows: Rows
) -> None:
    with pytest.raises(ConfigError, match="says nothing of channels"):
        compute(rows, channels=None)
    silent = rows | {"events": [row | {"via": ""} for row in rows["events"]]}
    with pytest.raises(DataError, match="no channel has touched"):
        compute(silent)


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"position": {"first": 0.7, "last": 0.4}}, "at most 1 together"),
        ({"window": "1h"}, "at least 1d"),
        ({"touches": ["won"], "conversions": ["won"]}, "a touch comes before it"),
        ({"conversions": ["offer"]}, "is a conversion already"),
    ],
)
def test_section_that_contradicts_itself_is_refused(
    compute: Callable[..., dict[str, Any]], rows: Rows, keys: dict[str, Any], text: str
) -> None:
    with pytest.raises(ConfigError, match=text):
        compute(rows, channels=set_channels(**keys))
