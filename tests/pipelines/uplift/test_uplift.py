"""Uplift of a company, against plain loops over its rows, and its command."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from configs.errors import DataError
from configs.schema import load_project
from features.eligibility import OpenSpans
from models.uplift.result import UpliftResult
from pipelines.cli import app
from pipelines.uplift.assignments import select_in_spans
from pipelines.uplift.uplift import compute_uplift, describe_refusal
from tests.pipelines.uplift import company

ROOT = Path(__file__).parents[3]
NOW = datetime.fromisoformat(company.AS_OF).replace(tzinfo=UTC)
Rows = dict[str, company.Rows]
Compute = Callable[..., UpliftResult]


@pytest.fixture(scope="module")
def rows() -> Rows:
    """Return the rows of a company of 1,500 leads."""
    return company.draw_rows(1_500)


@pytest.fixture(scope="module")
def compute(tmp_path_factory: pytest.TempPathFactory) -> Compute:
    """Return a function that writes a company and returns its uplift."""

    def run(rows: Rows, as_of: str = company.AS_OF, **changes: Any) -> UpliftResult:
        folder = tmp_path_factory.mktemp("tried")
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            patch.delenv("LEADSCORE_WORKSPACE", raising=False)
            return compute_uplift(load_project(company.write(folder, rows, **changes)), as_of)

    return run


@pytest.fixture(scope="module")
def result(compute: Compute, rows: Rows) -> UpliftResult:
    """Return the uplift of the company."""
    return compute(rows)


def test_draws_and_outcomes_equal_loops(result: UpliftResult, rows: Rows) -> None:
    draws = [draw for draw in company.list_draws(rows, NOW) if draw["known"]]
    eligible = [draw for draw in draws if draw["eligible"]]
    mature = [draw for draw in eligible if draw["outcome"] is not None]
    controls = [draw["outcome"] for draw in mature if not draw["treated"]]
    basis = result.basis
    assert basis["treated"] == len(mature) - len(controls)
    assert basis["control"] == len(controls)
    assert basis["immature"] == len(eligible) - len(mature) > 0
    assert basis["not_eligible"] == len(draws) - len(eligible) > 50
    assert basis["rate_without"] == pytest.approx(np.mean(controls))
    head = np.mean([draw["outcome"] for draw in mature if draw["treated"]])
    # Both rest on the same arms; the adjustment moves the effect by less than its error.
    plain = head - np.mean(controls)
    assert basis["effect"] == pytest.approx(plain, abs=0.02)
    assert basis["effect_low"] < 0.25 < basis["effect_high"]


def test_leads_of_the_kind_that_outreach_helps_come_first(result: UpliftResult, rows: Rows) -> None:
    assert result.verdict.passed
    kind = {row["id"]: row["kind"] for row in rows["leads"]}
    leads = result.tables.list_rows("uplift")
    assert [row["rank"] for row in leads] == list(range(1, len(leads) + 1))
    assert {kind[row["entity_id"]] for row in leads[:50]} == {"new"}
    # A rare value of a feature must not give a lead an effect that no lead has.
    assert max(abs(row["uplift"]) for row in leads) < 0.7
    assert max(row["uplift_high"] - row["uplift_low"] for row in leads) < 1
    by_kind = {
        name: np.mean([row["uplift"] for row in leads if kind[row["entity_id"]] == name])
        for name in ("new", "old")
    }
    assert 0.35 < by_kind["new"] < 0.6
    assert abs(by_kind["old"]) < 0.12
    policy = result.tables.list_rows("uplift_policy")
    assert policy[0]["leads"] == 50
    # The top 30 %; of 50 leads the noise is larger than the gain.
    assert policy[3]["gain_low"] > 0


def test_later_rows_change_nothing(compute: Compute, result: UpliftResult, rows: Rows) -> None:
    day = timedelta(days=1)
    later = {"lead": "L0001", "at": NOW + day, "what": "won"}
    draw = {"lead": "L0002", "at": NOW + day, "arm": "call", "via": "phone"}
    changed = {**rows, "events": [*rows["events"], later], "draws": [*rows["draws"], draw]}
    assert compute(changed).to_json() == result.to_json()


def test_same_rows_in_another_order_give_the_same_tables(
    compute: Compute, result: UpliftResult, rows: Rows
) -> None:
    shuffled = {name: list(reversed(table)) for name, table in rows.items()}
    assert compute(shuffled).to_json() == result.to_json()


def test_outreach_without_effect_is_refused_and_publishes_nothing(compute: Compute) -> None:
    refused = compute(company.draw_rows(900, effect=0.0))
    assert not refused.verdict.passed
    assert not refused.tables.list_rows("uplift")
    assert not refused.tables.list_rows("uplift_policy")
    # The effect itself is known, and is none.
    assert refused.basis["effect_low"] < 0 < refused.basis["effect_high"]
    error = describe_refusal(load_project(ROOT / "configs" / "demo.yaml"), refused)
    assert error is not None
    assert error.exit_code == 4
    assert "Qini" in error.found


def test_company_without_randomisation_says_so(compute: Compute, rows: Rows) -> None:
    sources = {name: rows for name, rows in company.CONFIG["sources"].items()}
    del sources["experiments"]
    with pytest.raises(DataError, match="nothing was assigned at random"):
        compute(rows, sources=sources)


def test_young_experiment_waits_for_its_outcomes(compute: Compute, rows: Rows) -> None:
    first = min(row["at"] for row in rows["draws"]) + timedelta(days=5)
    with pytest.raises(DataError, match="no outcome of an experiment is known yet"):
        compute(rows, as_of=first.date().isoformat())


def test_command_prints_one_object_and_refuses_with_four(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = company.write(tmp_path, company.draw_rows(500, effect=0.0))
    out = tmp_path / "tables"
    arguments = ["uplift", str(path), "--as-of", company.AS_OF, "--json", "--out", str(out)]
    ran = CliRunner().invoke(app, arguments)
    printed = json.loads(ran.stdout)
    assert {"gate", "qini", "uplift_at_30", "policy"} <= printed.keys()
    assert not printed["gate"]["passed"]
    assert ran.exit_code == 4
    assert not list(out.glob("*"))


def test_spans_of_leads_equal_loops() -> None:
    rng = np.random.default_rng(1)
    lead = np.sort(rng.integers(0, 6, 12))
    start = rng.integers(0, 50, 12)
    spans = OpenSpans(lead, start, start + rng.integers(1, 9, 12))
    asked, cutoff = rng.integers(0, 7, 200), rng.integers(0, 60, 200)
    expected = [
        any(
            spans.lead[place] == name and spans.start[place] < at <= spans.end[place]
            for place in range(12)
        )
        for name, at in zip(asked, cutoff, strict=True)
    ]
    assert select_in_spans(spans, asked, cutoff).tolist() == expected


DATA = Path(os.environ.get("LEADSCORE_DATA") or "/nowhere") / "hillstrom"


@pytest.mark.skipif(not DATA.is_dir(), reason="LEADSCORE_DATA holds no hillstrom")
def test_shipped_config_of_hillstrom_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEADSCORE_WORKSPACE", str(tmp_path))
    result = compute_uplift(load_project(ROOT / "configs" / "hillstrom.yaml"), None)
    assert result.verdict.passed
    assert result.basis["qini"] >= 0.0080
    assert result.basis["uplift_at_30"] >= 0.074
