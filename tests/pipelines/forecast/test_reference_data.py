"""Forecasts on real logs, beside what happened; the tests print their tables."""

import os
import sys
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest
from pyarrow.csv import read_csv, write_csv

from configs.schema import load_project
from pipelines.forecast.backtest import backtest_forecast
from pipelines.forecast.forecast import compute_forecast

CRM = """
project: crm
timezone: UTC
workspace: workspace
sources:
  leads: {path: deals.csv, entity_id: opportunity_id, created_at: engage_date,
    attributes: [product, sales_agent]}
  events:
    - {path: ends.csv, entity_id: opportunity_id, event_time: close_date, event_type: deal_stage}
targets:
  win: {population: {until: [Lost]}, outcome: Won, horizon: 30d, cutoffs: {every: 7d}}
"""
CONFIGS = Path(__file__).parents[3] / "configs"
DATA = os.environ.get("LEADSCORE_DATA")
pytestmark = pytest.mark.skipif(not DATA, reason="LEADSCORE_DATA is not set")


@pytest.fixture(autouse=True)
def _own_workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("LEADSCORE_WORKSPACE", str(tmp_path))


def test_bpi2012_approvals_of_30_days(capsys):
    result = backtest_forecast(load_project(CONFIGS / "bpi2012.yaml"), count=16)
    lines = ["", "BPI2012, approvals of the next 30 days"]
    header = ("expected", "actual", "90 %", "open", "actual")
    lines.append(f"{'as of':12}" + "".join(f"{name:>11}" for name in header))
    for past in result.as_ofs:
        band = f"{past.low:.0f}–{past.high:.0f}"
        columns = (past.predicted, past.actual, past.open_predicted, past.open_actual)
        cells = [f"{value:.0f}" for value in columns]
        cells.insert(2, band)
        lines.append(f"{past.as_of:%Y-%m-%d}  " + "".join(f"{cell:>11}" for cell in cells))
    total, from_open, weighted = (
        np.mean([abs(predicted / actual - 1) for predicted, actual in pairs])
        for pairs in (
            [(past.predicted, past.actual) for past in result.as_ofs],
            [(past.open_predicted, past.open_actual) for past in result.as_ofs],
            [(past.stage_weighted, past.actual) for past in result.as_ofs],
        )
    )
    covered = np.mean([past.low <= past.actual <= past.high for past in result.as_ofs])
    lines.append(
        f"off by {total:.1%} on average, open deals {from_open:.1%}; stage-weighted {weighted:.1%}"
    )
    lines.append(f"the 90 % intervals hold {covered:.0%}")
    with capsys.disabled():
        sys.stdout.write("\n".join([*lines, ""]))
    assert len(result.as_ofs) >= 15
    assert total <= 0.05
    assert from_open <= 0.05
    assert total < weighted
    assert covered >= 0.85


def test_crm_without_signal_has_the_rate_only(tmp_path):
    """Its deals are made up: whether and when one is won depends on nothing."""
    source = Path(str(DATA)) / "crm_maven"
    deals = read_csv(source / "sales_pipeline.csv")
    deals = deals.filter(pc.is_valid(deals["engage_date"]))
    closed = deals.filter(pc.is_valid(deals["close_date"]))
    names = ["opportunity_id", "product", "sales_agent", "engage_date"]
    write_csv(deals.select(names), tmp_path / "deals.csv")
    events = ["opportunity_id", "close_date", "deal_stage"]
    write_csv(closed.select(events), tmp_path / "ends.csv")
    (tmp_path / "crm.yaml").write_text(CRM, encoding="utf-8")
    result = compute_forecast(load_project(tmp_path / "crm.yaml"), "2017-09-01")
    assert result.past_forecasts > 0
    assert result.knows_rate_only
