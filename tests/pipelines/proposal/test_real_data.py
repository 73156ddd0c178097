"""Proposals for public data sets are those that a person would write.

The data is not part of the project: ``LEADSCORE_DATA`` names its folder.
"""

import json
import os
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from pipelines.cli import app

DATA = Path(os.environ.get("LEADSCORE_DATA") or "/nowhere")
BPI_SUMMARIES = {"has_accepted", "has_a_approved", "has_offer_sent", "last_ts", "n_events"}
STAFF_WRITTEN = {"Tags", "Lead Quality", "Lead Profile", "Last Activity", "Last Notable Activity"}
CLOSING = {
    "Elapsed Days In Sales Stage",
    "Sales Stage Change Count",
    "Total Days Identified Through Closing",
    "Total Days Identified Through Qualified",
    "Ratio Days Identified To Total Days",
}

# Files, id, creation, outcome, and columns that know the outcome.
CASES = {
    "olist": (
        [
            "olist/olist_marketing_qualified_leads_dataset.csv",
            "olist/olist_closed_deals_dataset.csv",
        ],
        "mql_id",
        "first_contact_date",
        "won",
        set(),
    ),
    "bpi2012": (
        ["bpi2012/cases.parquet", "bpi2012/events.parquet"],
        "case_id",
        "reg_date",
        "O_ACCEPTED",
        BPI_SUMMARIES,
    ),
    "bank_marketing": (
        ["bank_marketing/bank_additional_full.parquet"],
        None,
        None,
        "y",
        {"duration"},
    ),
    "xeducation": (["xeducation/Leads.csv"], "Lead Number", None, "Converted", STAFF_WRITTEN),
    "ibm_win_loss": (
        ["ibm_win_loss/sales_win_loss.parquet"],
        "Opportunity Number",
        None,
        "Opportunity Result",
        CLOSING,
    ),
    "crm_maven": (
        [f"crm_maven/{n}.csv" for n in ("accounts", "products", "sales_pipeline", "sales_teams")],
        "opportunity_id",
        "engage_date",
        "Won",
        {"close_date", "close_value", "deal_stage", "sales_agent"},
    ),
    "cdnow": (["cdnow/transactions.parquet"], "customer_id", None, "purchase", set()),
    "online_shoppers": (
        ["online_shoppers/online_shoppers_intention.csv"],
        None,
        None,
        "Revenue",
        {"PageValues"},
    ),
}


@pytest.mark.real
@pytest.mark.parametrize("name", CASES)
def test_real_data_gets_a_right_config(name, tmp_path, monkeypatch):
    files, entity_id, created_at, outcome, leaks = CASES[name]
    if not all((DATA / file).exists() for file in files):
        pytest.skip(f"{name} is not in LEADSCORE_DATA")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["init", *(str(DATA / f) for f in files), "--yes", "--json"])
    assert done.exit_code == 0, (done.output, done.exception)
    result = json.loads(done.stdout)
    text = Path(result["config"]).read_text(encoding="utf-8")
    config = yaml.safe_load(text)
    assert len(text.splitlines()) <= 25
    assert len(result["questions"]) <= 2
    leads = config["sources"].get("leads") or config["sources"]["events"][0]
    assert (leads.get("entity_id"), leads.get("created_at")) == (entity_id, created_at)
    (target,) = config["targets"].values()
    column = target["outcome"]
    assert (column["column"] if isinstance(column, dict) else column) == outcome
    assert not leaks & set(leads.get("attributes", ()))
