"""Contracts through the command: the printed example, SQL, and nothing after the as-of."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from configs.errors import ConfigError
from configs.schema import load_project
from models.customers.result import CUSTOMER_SCHEMAS, CustomerResult
from pipelines.cli import app
from pipelines.customers.backtest import backtest_project_customers
from pipelines.customers.customers import compute_customers
from tests.pipelines.customers import subscriptions

CONTRACT = {"period": "365d", "grace": "30d"}
# The latest contract of each customer by recursion over its payments, and whether it was ended.
STATUS = f"""
    WITH RECURSIVE paid AS (
        SELECT lead, CAST("at" AS DATE) AS day, row_number() OVER (PARTITION BY lead ORDER BY day) n
        FROM (SELECT DISTINCT lead, CAST("at" AS DATE) AS day, min("at") AS "at" FROM events
            WHERE what = 'payment' AND "at" < '{subscriptions.AS_OF}' GROUP BY ALL)
    ), steps AS (
        SELECT lead, n, day AS start, 1 AS number FROM paid WHERE n = 1
        UNION ALL
        SELECT p.lead, p.n,
            CASE WHEN p.day - s.start < 183 THEN s.start ELSE p.day END,
            CASE WHEN p.day - s.start < 183 THEN s.number
                WHEN p.day - s.start <= 395 THEN s.number + 1 ELSE 1 END
        FROM steps s JOIN paid p ON p.lead = s.lead AND p.n = s.n + 1
    ), latest AS (
        SELECT lead, arg_max(start, n) AS start, arg_max(number, n) AS number FROM steps GROUP BY 1
    )
    SELECT l.*, DATE '{subscriptions.AS_OF}' - start AS age, EXISTS (
        SELECT 1 FROM events e WHERE e.lead = l.lead AND what = 'cancellation'
            AND e."at" < '{subscriptions.AS_OF}'
            AND CAST(e."at" AS DATE) > (SELECT max(day) FROM paid p WHERE p.lead = l.lead)
    ) AS ended FROM latest l"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("subscriptions")
    subscriptions.write_company(folder)
    return folder


@pytest.fixture
def compute(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., CustomerResult]:
    """Return a function that computes the customers of the company in a folder."""
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)

    def call(where: Path = folder) -> CustomerResult:
        monkeypatch.chdir(where)
        return compute_customers(load_project("contracts.yaml"), subscriptions.AS_OF)

    return call


def test_printed_example_comes_out_of_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscriptions.write_high_end(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    arguments = ["customers", "contracts.yaml", "--as-of", subscriptions.AS_OF]
    printed = CliRunner().invoke(app, arguments)
    assert printed.exit_code == 0, printed.output
    assert "shifted beta-geometric: alpha 0.668, beta 3.806" in printed.output
    shown = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    left = [row for row in shown["rows"] if row["state"] == "lapsed"]
    stays = [row for row in shown["rows"] if row["state"] == "active"]
    assert (len(left), len(stays)) == (509, 491)
    model = json.loads(shown["basis"]["parameters"])["shifted_beta_geometric"]
    # The share of all that is left is the product of the chances of renewal.
    survival = [1.0]
    for number in range(1, 13):
        tenure = model["beta"] + number - 1
        survival.append(survival[-1] * tenure / (model["alpha"] + tenure))
    assert [round(share * 100, 1) for share in survival[8:]] == [46.0, 43.6, 41.4, 39.5, 37.8]
    # The next renewals are due on 2025-12-30, within a year.
    renews = survival[8] / survival[7]
    assert shown["figures"]["orders_12m"] == pytest.approx(491 * renews, rel=1e-5)
    assert {round(1 - row["p_churn"], 5) for row in stays} == {round(renews, 5)}
    retention = {row["month"]: row["share"] for row in shown["retention"]}
    assert [retention[month] for month in (12, 24, 36, 48, 60)] == [1, 0.869, 0.743, 0.653, 0.593]


def query_status(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the latest contract of each customer by SQL over the files."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(
            f"CREATE TABLE events AS FROM read_csv('{folder / 'events.csv'}', nullstr='')"
        )
        rows = connection.sql(STATUS).to_arrow_table().to_pylist()
    return {row["lead"]: row for row in rows}


def test_contracts_are_those_of_sql(folder: Path, compute: Callable[..., CustomerResult]) -> None:
    result, expected = compute(), query_status(folder)
    rows = {row["entity_id"]: row for row in result.tables.list_rows("customers")}
    assert rows.keys() == expected.keys() and len(rows) > 500
    kinds = set()
    for name, row in rows.items():
        status = expected[name]
        left = status["ended"] or status["age"] > 395
        grace = not left and status["age"] > 365
        kinds.add((left, status["ended"], grace))
        assert (row["state"] == "lapsed") == left
        if left:
            assert (row["p_alive"], row["p_churn"], row["clv_high"]) == (0, 1, 0)
            assert row["expected_next_date"] is None and row["next_review"] is None
            continue
        number = status["number"]
        paid = "one period paid" if number == 1 else f"{number} periods paid"
        assert row["reasons"].startswith(f"{paid}, renewal due")
        assert (row["expected_next_date"].date() - status["start"]).days == 365
        assert 0 < row["p_alive"] < 1 if grace else row["p_alive"] == 1
        assert row["p_buy_90d"] <= 1 - row["p_churn"] + 1e-12
        assert row["state"] in ("at_risk", "advocate", "returned") if grace else True
        assert row["next_review"] > result.as_of
    assert len(kinds) == 4


def test_states_and_totals_add_up(compute: Callable[..., CustomerResult]) -> None:
    result = compute()
    states = {row["state"]: row for row in result.tables.list_rows("customer_states")}
    assert {"active", "at_risk", "lapsed", "returned", "advocate"} <= {
        name for name, row in states.items() if row["customers"]
    }
    basis = result.basis
    assert (basis["contract_days"], basis["grace_days"], basis["lapse_days"]) == (365, 30, 395)
    assert sum(row["clv"] or 0 for row in states.values()) == pytest.approx(basis["clv"])
    assert basis["clv_low"] < basis["clv"] < basis["clv_high"]


def test_win_backs_are_those_who_have_left(compute: Callable[..., CustomerResult]) -> None:
    tables = compute().tables
    customers = {row["entity_id"]: row for row in tables.list_rows("customers")}
    rows = tables.list_rows("win_backs")
    lapsed = {name for name, row in customers.items() if row["state"] == "lapsed"}
    assert {row["entity_id"] for row in rows} == lapsed and len(rows) == len(lapsed)
    known = [row for row in rows if row["p_return_90d"] is not None]
    assert len(known) > len(rows) / 2
    for row in known:
        assert row["p_return_90d_low"] <= row["p_return_90d"] <= row["p_return_90d_high"]
        # A new contract of a year is paid at least once in its first year.
        assert 0 <= row["expected_margin"] < row["margin_if_back"]
    for row in rows:
        silent = customers[row["entity_id"]]["silent_days"]
        assert 0 <= row["lapsed_days"] <= silent
    track = tables.list_rows("win_back_track")
    assert [row["method"] for row in track] == ["clock"] and track[0]["chosen"]


def test_bridge_is_of_the_contracts_that_run(
    folder: Path, compute: Callable[..., CustomerResult]
) -> None:
    bridge = compute().tables.list_rows("revenue_bridge")
    steps = {row["step"]: row for row in bridge if row["period"] == "2024-Q4"}
    came = sum(steps[name]["amount"] for name in ("start", "new", "won_back", "expansion"))
    gone = steps["contraction"]["amount"] + steps["lost"]["amount"]
    assert came - gone == pytest.approx(steps["end"]["amount"])
    running = [s for s in query_status(folder).values() if not s["ended"] and s["age"] <= 395]
    assert steps["end"]["customers"] == len(running)
    ahead = {(row["period"], row["step"]): row for row in bridge if row["kind"] == "forecast"}
    assert {period for period, _ in ahead} == {"2025-Q1", "2025-Q2"}
    assert ahead["2025-Q1", "start"]["amount"] == pytest.approx(steps["end"]["amount"])
    assert ahead["2025-Q1", "end"]["low"] < steps["end"]["amount"] * 1.1
    assert 0 < ahead["2025-Q1", "lost"]["amount"] < 0.2 * steps["end"]["amount"]


def test_nothing_later_changes_a_row(
    folder: Path, compute: Callable[..., CustomerResult], tmp_path: Path
) -> None:
    for name in ("leads.csv", "contracts.yaml"):
        (tmp_path / name).write_text((folder / name).read_text())
    head, *lines = (folder / "events.csv").read_text().splitlines()
    later = [line for line in lines if line.split(",")[1] >= subscriptions.AS_OF]
    kept = [line for line in lines if line not in later]
    customers = {line.split(",")[0] for line in lines}
    garbled = [
        f"{name},2025-01-{day:02}T12:00:00+00:00,{what},9999"
        for name in customers
        for day, what in ((1, "payment"), (2, "cancellation"))
    ]
    (tmp_path / "events.csv").write_text("\n".join([head, *kept, *garbled]))
    before, after = compute(), compute(tmp_path)
    for name in CUSTOMER_SCHEMAS:
        assert before.tables.tables[name].equals(after.tables.tables[name]), name


def test_backtest_forecasts_renewals(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    project = load_project("contracts.yaml")
    result = backtest_project_customers(project, subscriptions.AS_OF, 365)
    assert {*result.models} == {"same_for_all", "by_period", "shifted_beta_geometric"}
    own = result.models[result.chosen.fitted.name].counts
    assert result.to_json()["totals"][0]["what"] == "renewals"
    assert result.orders[1] <= result.orders[0] <= result.orders[2]
    assert 0.8 < result.covered <= 1
    assert all(row.origin + row.days <= own.origin for row in result.chosen.past)
    printed = CliRunner().invoke(
        app,
        ["customers", "contracts.yaml", "--as-of", subscriptions.AS_OF, "--backtest"],
    )
    assert re.search(r"renewals: expected [\d,]+ \(90 %", printed.output), printed.output


@pytest.mark.parametrize(
    ("customers", "text"),
    [
        ({"contract": CONTRACT, "lapse": "90d"}, "leave lapse out"),
        ({"contract": {**CONTRACT, "period": "1d"}}, "at least 7d"),
        ({"contract": {**CONTRACT, "ended": ["payment"]}}, "is a purchase already"),
        ({"contract": {**CONTRACT, "ended": ["cancelation"]}}, "did you mean cancellation?"),
        ({"contract": {**CONTRACT, "since": 2020}}, "must be a date"),
        ({"contract": {"grace": "30d"}}, "contract.period"),
    ],
)
def test_wrong_contract_says_what_to_do(
    folder: Path,
    tmp_path: Path,
    compute: Callable[..., CustomerResult],
    customers: dict[str, object],
    text: str,
) -> None:
    for name in ("leads.csv", "events.csv"):
        (tmp_path / name).write_text((folder / name).read_text())
    subscriptions.write_config(tmp_path, **customers)
    with pytest.raises(ConfigError) as caught:
        compute(tmp_path)
    assert text in str(caught.value)
