"""`check` says which leads are open, and why nothing is left to score."""

import csv

import pytest

from configs.schema import load_project
from pipelines.check import examine_data
from tests.pipelines import tiny

TARGET = tiny.CONFIG["targets"]["buy"]
WON = {"outcome": {"column": "won", "equals": "yes"}}


def warnings_of(folder, as_of=tiny.END, **changes):
    tiny.write(folder, leads=120, **changes)
    check = examine_data(load_project("company.yaml"), as_of)
    return check.targets[0].to_score, [line for line in check.warnings if "score" in line]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    return tmp_path


def test_leads_left_to_score_need_no_line(folder):
    to_score, lines = warnings_of(folder)
    assert to_score > 0 and lines == []


def test_rule_that_leaves_nothing_to_score_is_named(folder):
    old = {"buy": TARGET | {"population": {"after": "created", "max_age": "2h"}}}
    old["buy"]["cutoffs"] = {"every": "1h"}
    to_score, (line,) = warnings_of(folder, targets=old)
    assert to_score == 0
    assert line.startswith("targets.buy: nothing is left to score as of 2024-12-31T23:00:00+00:00")
    assert "would be scored but for population.max_age (2h), which they have passed" in line
    assert "raise targets.buy.population.max_age" in line


def with_column(folder, values):
    """Write leads with an outcome column and return the check's count and lines."""
    sources = {"leads": tiny.CONFIG["sources"]["leads"] | {"missing": ["", "pending"]}}
    changes = {"sources": sources, "targets": {"buy": WON}, "capacity": None}
    tiny.write(folder, leads=120, **{k: v for k, v in changes.items() if v is not None})
    with (folder / "leads.csv").open(newline="") as file:
        head, *rows = csv.reader(file)
    with (folder / "leads.csv").open("w", newline="") as file:
        filled = ([*row, values[n % len(values)]] for n, row in enumerate(rows))
        csv.writer(file).writerows([[*head, "won"], *filled])
    check = examine_data(load_project("company.yaml"), None)
    lines = [line for line in check.warnings if "targets.buy:" in line]
    return check.targets[0].to_score, lines


def test_open_leads_of_an_outcome_column_are_those_with_an_empty_cell(folder):
    to_score, (line,) = with_column(folder, ["yes", "no", "no", "", "pending"])
    assert to_score == 48
    assert line == (
        "targets.buy: 48 of 120 leads are open, since their column won is empty; "
        "values under sources.leads.missing count as empty"
    )


def test_value_that_may_mean_open_is_shown(folder):
    to_score, (line,) = with_column(folder, ["yes", "no", "no", "open"])
    assert to_score == 0 and "(no 60, open 30, yes 30)" in line
    assert "list a value that means open under sources.leads.missing" in line
