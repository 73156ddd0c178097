"""The customers of a shop: every count beside SQL over the files, and nothing after the as-of."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from configs.errors import ConfigError, DataError
from configs.schema import load_project
from models.customers.result import CUSTOMER_SCHEMAS, CustomerResult
from pipelines.customers.backtest import backtest_project_customers
from pipelines.customers.customers import compute_customers
from tests.pipelines.customers import company

# Purchases by customer and local day, as known before midnight of the as-of in New York.
PURCHASES = f"""
    SET TimeZone = '{company.ZONE}';
    CREATE TABLE leads AS SELECT *, coalesce(firm, id) AS unit
        FROM read_csv('leads.csv', nullstr='') WHERE born < TIMESTAMPTZ '{company.AS_OF}';
    CREATE TABLE events AS SELECT e.*, l.unit FROM read_csv('events.csv', nullstr='') e
        JOIN leads l ON l.id = e.lead
        WHERE greatest(e."at", e.loaded) < TIMESTAMPTZ '{company.AS_OF}';
    CREATE TABLE bought AS
        SELECT unit, CAST("at" AS DATE) AS day,
            greatest(sum(CAST(amount AS DOUBLE)), 0) * {company.MARGIN} AS margin
        FROM events WHERE what IN ('order', 'refund') GROUP BY ALL;
    """
CUSTOMERS = f"""
    SELECT coalesce(c.account_id, c.entity_id) AS unit, c.*,
        count(*) AS n, sum(b.margin) AS total, min(day) AS first, max(day) AS last,
        DATE '{company.AS_OF}' - INTERVAL 1 DAY - max(day) AS silent,
        (max(day) - min(day)) / nullif(count(*) - 1, 0) AS gap
    FROM c JOIN bought b ON b.unit = coalesce(c.account_id, c.entity_id) GROUP BY ALL"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    company.write(folder)
    return folder


@pytest.fixture
def compute(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., CustomerResult]:
    """Return a function that computes the customers of the shop in a folder."""
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)

    def call(where: Path = folder, as_of: str = company.AS_OF) -> CustomerResult:
        monkeypatch.chdir(where)
        return compute_customers(load_project("shop.yaml"), as_of)

    return call


def query(result: CustomerResult, sql: str) -> list[dict[str, Any]]:
    """Return the rows of SQL over the files and the tables of the result."""
    with duckdb.connect() as connection:
        connection.execute(PURCHASES)
        connection.register("c", result.tables.tables["customers"])
        connection.register("r", result.tables.tables["retention"])
        connection.register("w", result.tables.tables["win_backs"])
        connection.register("bridge", result.tables.tables["revenue_bridge"])
        rows: list[dict[str, Any]] = connection.sql(sql).to_arrow_table().to_pylist()
        return rows


def test_rows_are_those_of_sql(compute: Callable[..., CustomerResult]) -> None:
    result = compute()
    rows = query(result, CUSTOMERS)
    units = query(result, "SELECT count(DISTINCT unit) AS n FROM bought")[0]["n"]
    assert len(rows) == units == result.basis["customers"] > 200
    for row in rows:
        assert row["n"] == row["purchases"]
        assert row["total"] == pytest.approx(row["margin"])
        assert str(row["first"])[:10] == f"{row['first_purchase']:%Y-%m-%d}"
        assert str(row["last"])[:10] == f"{row['last_purchase']:%Y-%m-%d}"
        assert row["silent_days"] == row["silent"].days
        gap = row["usual_gap_days"]
        assert gap is None if row["gap"] is None else gap == pytest.approx(row["gap"])
        assert (row["state"] == "lapsed") == (row["silent_days"] >= 120)
        assert row["p_alive"] >= row["p_buy_90d"] >= 0
        assert row["expected_margin_12m"] > 0 and row["clv"] > 0
        assert row["clv_low"] <= row["clv_high"]


def test_first_lead_of_an_account_stands_for_it(compute: Callable[..., CustomerResult]) -> None:
    rows = query(
        compute(),
        "SELECT entity_id, account_id, (SELECT arg_min(id, (born, id)) FROM leads l"
        " WHERE l.unit = coalesce(c.account_id, c.entity_id)) AS expected FROM c",
    )
    assert sum(row["account_id"] is not None for row in rows) > 20
    assert all(row["entity_id"] == row["expected"] for row in rows)


def test_states_add_up_and_flows_reach_them(compute: Callable[..., CustomerResult]) -> None:
    result = compute()
    states = {row["state"]: row for row in result.tables.list_rows("customer_states")}
    assert sum(row["customers"] for row in states.values()) == result.basis["customers"]
    assert {"active", "lapsed", "returned", "advocate"} <= {
        name for name, row in states.items() if row["customers"]
    }
    flows = result.tables.list_rows("customer_flows")
    for name, row in states.items():
        assert row["customers"] == sum(f["customers"] for f in flows if f["to"] == name)
    total = sum(row["clv"] for row in states.values() if row["clv"])
    assert total == pytest.approx(result.basis["clv"])
    assert result.basis["clv_low"] < total < result.basis["clv_high"]


def test_win_backs_are_the_lapsed_with_a_clock_of_their_own(
    compute: Callable[..., CustomerResult],
) -> None:
    result = compute()
    rows = query(
        result,
        "SELECT w.*, c.state, c.last_purchase AS last, c.silent_days AS silent,"
        " (SELECT count(*) FROM c WHERE state = 'lapsed') AS lapsed"
        " FROM w JOIN c USING (entity_id)",
    )
    assert len(rows) == rows[0]["lapsed"] > 100
    for row in rows:
        assert row["state"] == "lapsed"
        assert row["lapsed_days"] == row["silent"] - 120
        # Days of the calendar: a clock change may lie between the two begins of a day.
        lapsed_after = row["lapsed_at"] - row["last"] + timedelta(hours=2)
        assert lapsed_after.days == 120
        if row["p_return_90d"] is not None:
            assert 0 <= row["p_return_90d"] <= 1
            expected = row["p_return_90d"] * row["margin_if_back"]
            assert row["expected_margin"] == pytest.approx(expected)
    track = {row["method"]: row for row in result.tables.list_rows("win_back_track")}
    assert set(track) == {"clock", "model"}
    assert track["clock"]["chosen"] != track["model"]["chosen"]
    used = next(row for row in track.values() if row["chosen"])
    assert used["log_loss"] == min(row["log_loss"] for row in track.values())
    assert 0 < used["returned"] < used["customers"]


def test_revenue_is_that_of_sql(compute: Callable[..., CustomerResult]) -> None:
    rows = query(
        compute(),
        "SELECT step, b.amount, (SELECT sum(margin) FROM bought"
        " WHERE year(day) || '-Q' || quarter(day) = b.period) AS came,"
        " b.period FROM bridge b WHERE step = 'end' AND kind = 'actual'",
    )
    assert [row["period"] for row in rows] == [
        *(f"2023-Q{n}" for n in (2, 3, 4)),
        *(f"2024-Q{n}" for n in (1, 2, 3, 4)),
    ]
    assert all(row["amount"] == pytest.approx(row["came"]) for row in rows)


def test_bridge_of_two_more_quarters_adds_up(compute: Callable[..., CustomerResult]) -> None:
    result = compute(as_of="2024-11-20")
    rows = [row for row in result.tables.list_rows("revenue_bridge") if row["kind"] == "forecast"]
    assert {row["period"] for row in rows} == {"2024-Q4", "2025-Q1"}
    steps = {(row["period"], row["step"]): row for row in rows}
    for period in ("2024-Q4", "2025-Q1"):
        amount = {name: row["amount"] for (own, name), row in steps.items() if own == period}
        came = sum(amount[name] for name in ("start", "new", "won_back", "expansion"))
        assert came - amount["contraction"] - amount["lost"] == pytest.approx(amount["end"])
    assert steps["2024-Q4", "end"]["amount"] == pytest.approx(steps["2025-Q1", "start"]["amount"])
    for row in rows:
        assert row["low"] <= row["amount"] + 1e-9 and row["amount"] <= row["high"] + 1e-9
    basis = result.basis
    assert basis["bridge_quarters"] == 4 and basis["bridge_limits"] == ""
    assert abs(basis["bridge_bias"]) < 0.4
    # What came of the quarter that runs is in it.
    seen = query(
        result,
        "SELECT sum(margin) AS m FROM bought WHERE day BETWEEN '2024-10-01' AND '2024-11-19'",
    )
    assert steps["2024-Q4", "end"]["amount"] > 0.9 * seen[0]["m"]


def test_young_company_has_no_forecast_of_the_bridge(
    compute: Callable[..., CustomerResult],
) -> None:
    result = compute(as_of="2023-10-05")
    kinds = {row["kind"] for row in result.tables.list_rows("revenue_bridge")}
    assert kinds == {"actual"} and "no forecast of the bridge" in result.basis["bridge_limits"]
    assert result.basis["bridge_bias"] is None


def test_nothing_that_became_known_later_changes_a_row(
    compute: Callable[..., CustomerResult], tmp_path: Path
) -> None:
    company.write(tmp_path)
    lines = (tmp_path / "events.csv").read_text().splitlines()
    kept = [line for line in lines[1:] if line.split(",")[2] < f"{company.AS_OF}T05:00:00+00:00"]
    assert 0 < len(kept) < len(lines) - 1
    # Rows that became known later are garbled: enormous orders of everybody.
    garbled = [
        line.rsplit(",", 2)[0] + ",order,99999"
        for line in lines[1:]
        if line.split(",")[2] >= f"{company.AS_OF}T05:00:00+00:00"
    ]
    (tmp_path / "events.csv").write_text("\n".join([lines[0], *kept, *garbled]))
    before, after = compute(), compute(tmp_path)
    for name in CUSTOMER_SCHEMAS:
        assert before.tables.tables[name].equals(after.tables.tables[name]), name


def test_same_data_twice_gives_the_same_bits(compute: Callable[..., CustomerResult]) -> None:
    assert compute().to_json() == compute().to_json()


def test_backtest_sees_nothing_of_the_days_it_forecasts(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    result = backtest_project_customers(load_project("shop.yaml"), company.AS_OF, 180)
    assert {*result.models} == {
        *("bg_nbd", "pareto_nbd", "mean", "own_rate", "same_for_all", "recency")
    }
    own = result.models[result.chosen.fitted.name].counts
    assert own.days == 180 and own.customers > 150
    assert all(row.origin + row.days <= own.origin for row in result.chosen.past)
    json = result.to_json()
    assert json["totals"][0]["actual"] == own.actual
    assert np.isfinite(result.covered)


def test_young_company_says_why_it_has_no_model(compute: Callable[..., CustomerResult]) -> None:
    result = compute(as_of="2023-02-15")
    assert result.basis["model"] is None and "too short" in result.basis["limits"]
    assert result.basis["clv"] is None
    rows = result.tables.list_rows("customers")
    assert rows and all(row["clv"] is None for row in rows)
    assert {row["state"] for row in rows} <= {"onboarding", "advocate"}


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"customers": None}, ConfigError, "add customers: {purchases"),
        ({"customers": {"purchases": ["ordre"]}}, ConfigError, "did you mean order?"),
        ({"customers": {"purchases": []}}, ConfigError, "customers.purchases"),
        ({"customers": {"purchases": ["order"], "margin": 40}}, ConfigError, "share from 0 to 1"),
        ({"customers": {"purchases": ["order"], "lapse": "1h"}}, ConfigError, "at least 1d"),
    ],
)
def test_wrong_config_says_what_to_do(
    tmp_path: Path,
    compute: Callable[..., CustomerResult],
    changes: dict[str, object],
    error: type[Exception],
    text: str,
) -> None:
    company.write(tmp_path, 40, **changes)
    with pytest.raises(error) as caught:
        compute(tmp_path)
    assert text in str(caught.value)


def test_customers_without_times_are_refused(
    tmp_path: Path, compute: Callable[..., CustomerResult]
) -> None:
    company.write(tmp_path, 40)
    (tmp_path / "leads.csv").write_text("id,country,won\nL1,us,yes\nL2,ca,no\n")
    source = {"path": "leads.csv", "entity_id": "id", "attributes": ["country"]}
    target = {"won": {"outcome": {"column": "won", "equals": "yes"}}}
    config = company.CONFIG | {"sources": {"leads": source}, "targets": target}
    config = {key: value for key, value in config.items() if key != "capacity"}
    company.write_config(tmp_path, config)
    with pytest.raises(DataError, match="customers need times"):
        compute(tmp_path, None)
