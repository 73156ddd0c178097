"""What customers of a quarter's entries cost and bring, beside SQL over the files."""

from __future__ import annotations

import copy
import csv
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from configs.schema import load_project
from models.customers.result import CustomerResult
from pipelines.customers.customers import compute_customers
from tests.pipelines.customers import company
from tests.pipelines.customers.test_customers import PURCHASES

# Entry and first purchase of each account; the days are those of the shop's own zone.
COHORTS = f"""
    WITH entries AS (
        SELECT unit, min(CAST(born AS DATE)) AS entry FROM leads GROUP BY unit
    ), firsts AS (
        SELECT unit, min(day) AS first, sum(margin) AS margin FROM bought GROUP BY unit
    ), joined AS (
        SELECT *, year(entry) || '-Q' || quarter(entry) AS cohort,
            first >= entry AS acquired
        FROM entries LEFT JOIN firsts USING (unit)
    )
    SELECT cohort, count(*) AS entered, count(*) FILTER (acquired) AS customers,
        avg(margin) FILTER (acquired) AS margin,
        (SELECT sum(cost) FROM read_csv('costs.csv') c
            WHERE year(c.day) || '-Q' || quarter(c.day) = joined.cohort
            AND c.day < DATE '{company.AS_OF}') AS cost
    FROM joined GROUP BY cohort ORDER BY cohort"""


def write_costs(folder: Path) -> dict[str, Any]:
    """Write weekly costs of two channels from May 2023 on, and return the config with them."""
    day, rows = date(2023, 5, 1), []
    while day < date(2025, 3, 1):
        rows += [[day.isoformat(), "web", 100 + day.day], [day.isoformat(), "fair", 50]]
        day += timedelta(days=7)
    with (folder / "costs.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["day", "channel", "cost"], *rows])
    sources = copy.deepcopy(company.CONFIG["sources"])
    sources["costs"] = {"path": "costs.csv", "date": "day", "channel": "channel", "cost": "cost"}
    return {"sources": sources}


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CustomerResult]:
    folder = tmp_path_factory.mktemp("shop")
    company.write(folder, **write_costs(folder))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("LEADSCORE_WORKSPACE", raising=False)
        patch.chdir(folder)
        return folder, compute_customers(load_project("shop.yaml"), company.AS_OF)


def test_cohorts_are_those_of_sql(
    result: tuple[Path, CustomerResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(result[0])
    with duckdb.connect() as connection:
        connection.execute(PURCHASES)
        expected = connection.sql(COHORTS).to_arrow_table().to_pylist()
    rows = result[1].tables.list_rows("acquisition")
    assert [row["cohort"] for row in rows] == [row["cohort"] for row in expected]
    for row, sql in zip(rows, expected, strict=True):
        assert (row["entered"], row["customers"]) == (sql["entered"], sql["customers"])
        assert row["margin"] == pytest.approx(sql["margin"])
        assert row["cost"] == (None if sql["cost"] is None else pytest.approx(sql["cost"]))
    # Nothing was spent before May 2023 as far as the source knows: that is not free.
    assert rows[0]["cohort"] == "2023-Q1" and rows[0]["cost"] is None and rows[0]["cac"] is None


def test_mature_cohorts_have_ratios_and_young_ones_none(
    result: tuple[Path, CustomerResult],
) -> None:
    rows = [row for row in result[1].tables.list_rows("acquisition") if row["cost"] is not None]
    assert {row["mature"] for row in rows[:2]} == {True}
    for row in rows:
        if not row["mature"]:
            assert row["cac"] is None and row["ltv_to_cac"] is None
            continue
        assert row["cac"] == pytest.approx(row["cost"] / row["customers"])
        assert row["cac_low"] < row["cac"] < row["cac_high"]
        assert row["ltv_low"] <= row["ltv"] <= row["ltv_high"]
        assert row["ltv_to_cac"] == pytest.approx(row["ltv"] / row["cac"])
        assert row["ltv_to_cac_low"] < row["ltv_to_cac"] < row["ltv_to_cac_high"]
        assert 1 <= row["payback_months"] <= row["followed_months"]


def test_cohort_is_young_until_its_customers_had_the_time_to_come(tmp_path: Path) -> None:
    company.write(tmp_path, **write_costs(tmp_path))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("LEADSCORE_WORKSPACE", raising=False)
        patch.chdir(tmp_path)
        early = compute_customers(load_project("shop.yaml"), "2024-01-02")
    last = early.tables.list_rows("acquisition")[-1]
    assert last["cohort"] in ("2023-Q4", "2024-Q1") and not last["mature"] and last["cac"] is None
