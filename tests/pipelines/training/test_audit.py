"""Leakage audit of a company: suspects, their state, and the features that training drops."""

import csv
import json
import os
import sys
from pathlib import Path

import pytest
import yaml

from configs.errors import ConfigError, DataError
from configs.schema import load_project
from pipelines import cli
from pipelines.results.audit import ALLOWED, LEFT_OUT, OFFERED
from pipelines.runner import read_clock
from pipelines.training.audit import audit_targets, drop_suspects, trace_origins
from pipelines.training_data import build_training_rows, load_snapshot
from tests.pipelines import tiny

CONFIGS = Path(__file__).parents[3] / "configs"
RATIOS = {f"Ratio Days {step} To Total Days" for step in ("Identified", "Validated", "Qualified")}
TOTALS = {f"Total Days Identified Through {step}" for step in ("Closing", "Qualified")}
ASYMMETRIQUE = {
    f"Asymmetrique {what} {kind}" for what in ("Activity", "Profile") for kind in ("Index", "Score")
}
WRITTEN_LATER = {
    "xeducation": {
        "Tags",
        "Lead Quality",
        "Lead Profile",
        "Last Activity",
        "Last Notable Activity",
        *ASYMMETRIQUE,
    },
    "bank_marketing": {"duration"},
    "ibm_win_loss": {"Elapsed Days In Sales Stage", "Sales Stage Change Count", *TOTALS, *RATIOS},
    "online_shoppers": {"PageValues"},
    "olist": set(),
    "crm_maven": {"close_value", "close_date"},
}
"""Columns that are written after the outcome; the configs leave them out."""


@pytest.fixture
def company(tmp_path, monkeypatch):
    """Write the tiny company with a billing contact of buyers; return a loader of its config."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    path = tiny.write(tmp_path, leads=1_500)
    with (tmp_path / "events.csv").open(encoding="utf-8") as file:
        buyers = {row["lead"] for row in csv.DictReader(file) if row["what"] == "bought"}
    with (tmp_path / "leads.csv").open(encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    billed = [[*row, "Ann" if row[0] in buyers else "", f"{row[0]}@example.com"] for row in rows]
    with (tmp_path / "leads.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([[*header, "billed", "email"], *billed])

    def configured(attributes=("country", "size"), **changes):
        config = tiny.CONFIG | changes
        leads = config["sources"]["leads"] | {
            "attributes": attributes if isinstance(attributes, dict) else [*attributes]
        }
        config = config | {"sources": config["sources"] | {"leads": leads}}
        path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
        return load_project(path)

    return configured


def find_columns(project):
    """Return each finding's column and state."""
    (audit,) = audit_targets(project, None, ["buy"], lambda line: None)
    return [(finding.suspect.column, finding.state) for finding in audit.findings]


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, LEFT_OUT),
        ({"attributes": {"all_except": ["billed"]}}, LEFT_OUT),
        ({"attributes": ["country", "billed"], "features": {"exclude": ["billed"]}}, LEFT_OUT),
        ({"attributes": ["country", "billed"]}, OFFERED),
        ({"attributes": {"all_except": []}}, OFFERED),
        ({"attributes": ["country", "billed"], "audit": {"allow": ["billed"]}}, ALLOWED),
    ],
)
def test_audit_finds_only_the_planted_column(company, changes, state):
    assert find_columns(company(**changes)) == [("billed", state)]


def test_training_drops_features_of_suspects(company):
    snapshot = load_snapshot(company(["country", "billed"]), None, read_clock())
    rows = build_training_rows(snapshot, "buy")
    kept, audit = drop_suspects(snapshot, "buy", rows)
    assert [suspect.column for suspect in audit.suspects_in_use] == ["billed"]
    gone = set(rows.matrix.column_names) - set(kept.matrix.column_names)
    assert gone == {"billed"}
    assert [feature.name for feature in kept.catalog.features] == kept.matrix.column_names[2:]
    assert kept.labels is rows.labels


def test_training_keeps_allowed_columns(company):
    snapshot = load_snapshot(
        company(["country", "billed"], audit={"allow": ["billed"]}), None, read_clock()
    )
    rows = build_training_rows(snapshot, "buy")
    kept, audit = drop_suspects(snapshot, "buy", rows)
    assert kept is rows
    in_use = audit.suspects_in_use
    assert [(suspect.column, suspect.allowed) for suspect in in_use] == [("billed", True)]


def test_unknown_column_cannot_be_allowed(company):
    snapshot = load_snapshot(
        company(["country", "billed"], audit={"allow": ["biled"]}), None, read_clock()
    )
    rows = build_training_rows(snapshot, "buy")
    with pytest.raises(ConfigError, match=r"audit\.allow.*'biled'[^'@]*did you mean billed"):
        drop_suspects(snapshot, "buy", rows)


def test_dropping_all_features_is_an_error_with_a_fix(company):
    snapshot = load_snapshot(company(["billed"]), None, read_clock())
    rows = build_training_rows(snapshot, "buy")
    alone = rows.catalog.select(["billed"])
    bare = type(rows)(rows.matrix.select(["entity_id", "cutoff", "billed"]), rows.labels, alone)
    with pytest.raises(DataError, match=r"audit\.allow"):
        drop_suspects(snapshot, "buy", bare)


def test_features_are_traced_to_their_sources(company):
    snapshot = load_snapshot(company(["country", "size"]), None, read_clock())
    rows = build_training_rows(snapshot, "buy")
    traced = trace_origins(snapshot, rows)
    assert traced.current == {"country": "country", "size": "size"}
    assert traced.dated["visit_count_7d"] == "visit"
    assert traced.dated["web_channel_count_7d"] == "web"
    assert traced.dated["any_count_7d"] == "any_count_7d"
    assert set(traced.current) | set(traced.dated) == set(rows.matrix.column_names[2:])
    firms = dict(
        zip(
            snapshot.dataset.leads["entity_id"].to_pylist(),
            snapshot.dataset.leads["account_id"].to_pylist(),
            strict=True,
        )
    )
    assert traced.account_id.to_pylist() == [
        firms[lead] for lead in rows.matrix["entity_id"].to_pylist()
    ]


def test_audit_command_prints_a_table_or_json_and_exits_0(company, monkeypatch, capsys):
    company()
    for extra in ([], ["--json", "--target", "buy"]):
        monkeypatch.setattr(sys, "argv", ["leadscore", "audit", "company.yaml", *extra])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert not stop.value.code
        printed = capsys.readouterr().out
        if not extra:
            assert "billed" in printed and LEFT_OUT in printed
    (suspect,) = json.loads(printed)["suspects"]
    assert set(suspect) == {"target", "column", "evidence"}
    assert (suspect["target"], suspect["column"]) == ("buy", "billed")


@pytest.mark.real
@pytest.mark.parametrize("name", WRITTEN_LATER)
def test_audit_of_real_data_finds_the_columns_written_later(name, tmp_path, monkeypatch):
    if not (Path(os.environ.get("LEADSCORE_DATA") or "/nowhere") / name).is_dir():
        pytest.skip(f"LEADSCORE_DATA holds no {name}")
    monkeypatch.setenv("LEADSCORE_WORKSPACE", str(tmp_path))
    project = load_project(CONFIGS / f"{name}.yaml")
    (audit,) = audit_targets(project, None, list(project.targets), lambda line: None)
    findings = audit.findings
    assert {finding.suspect.column for finding in findings} == WRITTEN_LATER[name]
    assert {finding.state for finding in findings} <= {LEFT_OUT}
    snapshot = load_snapshot(project, None, read_clock())
    for target in project.targets:
        rows = build_training_rows(snapshot, target)
        assert drop_suspects(snapshot, target, rows)[0] is rows
