"""Outcome columns of a company's leads: maturity, values, repeated rows; in check and training."""

import csv
from datetime import datetime, timedelta

import numpy as np
import pytest
import yaml

from configs.errors import ConfigError
from configs.schema import load_project
from features.names.twins import HOW_THEY_DIFFER
from models.training.folds import plan_folds
from models.training.training_rows import TrainingTable
from pipelines.check import examine_data
from pipelines.runner import read_clock
from pipelines.training.train import build_settings
from pipelines.training_data import build_training_rows, count_training_rows, load_snapshot

END = datetime(2025, 1, 1)  # noqa: DTZ001 - naive on purpose: the config's zone gives it meaning


def write_company(folder, rows, head=("id", "created", "size", "won"), outcome=None, **leads):
    """Write leads.csv and company.yaml with the target ``win``; return the loaded project."""
    with (folder / "leads.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([head, *rows])
    source = {"path": "leads.csv", "entity_id": "id", "created_at": "created"} | leads
    source = {key: value for key, value in source.items() if value is not None}
    config = {
        "project": "tiny",
        "workspace": "workspace",
        "sources": {"leads": {"attributes": ["size"], **source}},
        "targets": {"win": {"outcome": {"column": "won", "equals": 1} | (outcome or {})}},
    }
    path = folder / "company.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return load_project(path)


def make_rows(count=1200, days=30, seed=1, yes="1", no="0"):
    """Return leads of a year; a third has the outcome, exactly ``days`` days after creation."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        age = timedelta(days=float(rng.uniform(0, 365)))
        won = rng.random() < 0.33 and age > timedelta(days=days)
        rows.append([number, (END - age).isoformat(" "), rng.integers(1, 99), yes if won else no])
    return rows


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def maturity_lines(warnings):
    return [line for line in warnings if "matur" in line]


def test_missing_maturity_is_named_with_a_proposal_in_check_and_training(here):
    project, lines = write_company(here, make_rows()), []
    (line,) = maturity_lines(examine_data(project, "2025-01-01").warnings)
    ages = [END - datetime.fromisoformat(row[1]) for row in make_rows()]
    # Ages count from the observation date, the creation of the newest lead.
    young = sum(age - min(ages) < timedelta(days=30) for age in ages)
    assert line.startswith(
        f"targets.win.outcome: no maturity: {young} of 1,200 leads are younger than 30d, and "
        f"{young} of them count as negatives; the rate of outcomes settles from 30d on (0.0% below"
    )
    assert "set outcome.mature_after: 30d" in line
    load_snapshot(project, "2025-01-01", read_clock()).log_warnings(lines.append)
    assert maturity_lines(lines) == [f"warning: {line}"]


def test_young_leads_are_immature_whether_won_or_not(here):
    rows = [*make_rows(), [9000, "2024-12-30 12:00:00", 5, 1], [9001, "2024-12-30 12:00:00", 5, 0]]
    project = write_company(here, rows, outcome={"mature_after": "30d"})
    found = examine_data(project, "2025-01-01")
    assert maturity_lines(found.warnings) == []
    newest = max(datetime.fromisoformat(row[1]) for row in rows)
    old = [row for row in rows if datetime.fromisoformat(row[1]) + timedelta(days=30) <= newest]
    counts = count_training_rows(
        build_training_rows(load_snapshot(project, "2025-01-01", read_clock()), "win")
    )
    assert counts == {
        "rows": len(rows),
        "mature": len(old),
        "immature": len(rows) - len(old),
        "positive": sum(int(row[3]) for row in old),
    }
    assert (found.targets[0].mature, found.targets[0].positive) == (
        counts["mature"],
        counts["positive"],
    )


def test_maturity_that_is_too_short_is_named_and_that_of_zero_days_is_accepted(here):
    project = write_company(here, make_rows(), outcome={"mature_after": "7d"})
    (line,) = maturity_lines(examine_data(project, None).warnings)
    assert line.startswith("targets.win.outcome.mature_after: 7d may be too short: the rate of")
    project = write_company(here, make_rows(), outcome={"mature_after": "0d"})
    assert maturity_lines(examine_data(project, None).warnings) == []


def test_outcomes_that_do_not_depend_on_age_have_no_proposal(here):
    project = write_company(here, make_rows(days=0))
    (line,) = maturity_lines(examine_data(project, None).warnings)
    assert "no maturity: a lead counts however young it is" in line and "beyond noise" in line


def test_late_outcomes_are_waited_for(here):
    project = write_company(here, make_rows(days=0))
    path = here / "company.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    config["sources"]["complete_after"] = "20d"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    newest = max(datetime.fromisoformat(row[1]) for row in make_rows(days=0))
    late = sum(
        datetime.fromisoformat(row[1]) + timedelta(days=20) > newest for row in make_rows(days=0)
    )
    assert examine_data(project, "2025-01-01").targets[0].mature == 1200
    assert examine_data(load_project(path), "2025-01-01").targets[0].mature == 1200 - late


def test_training_knows_no_outcome_of_leads_that_were_too_young(here):
    project = write_company(here, make_rows(), outcome={"mature_after": "30d"})
    settings = build_settings(
        load_snapshot(project, "2025-01-01", read_clock()), "win", lambda _: None
    )
    # The folds purge by the horizon; without an end of follow-up no hazard model is fitted.
    assert settings.horizon == timedelta(days=30) and settings.known_until(None) is None


def test_maturity_requires_times(here):
    with pytest.raises(ConfigError, match=r"mature_after requires times"):
        write_company(here, make_rows(3), outcome={"mature_after": "3d"}, created_at=None)


@pytest.mark.parametrize("equals", [[], None, {"a": 1}, ["x", None]])
def test_values_of_an_outcome_are_texts_or_numbers(here, equals):
    with pytest.raises(ConfigError, match="equals"):
        write_company(here, make_rows(3), outcome={"equals": equals})


def test_values_that_differ_by_case_or_blanks_are_named(here):
    rows = make_rows(300, yes="Won", no="Lost")
    rows[0][3], rows[1][3], rows[2][3] = "won", "W ON ", "WON"
    project = write_company(here, rows, outcome={"equals": ["Won", "Signed"], "mature_after": "0d"})
    won = sum(row[3] == "Won" for row in rows)
    lines = [line for line in examine_data(project, None).warnings if "equals" in line]
    assert lines == [
        "targets.win.outcome.equals: the value 'Signed' never occurs in the column won; correct "
        "it, or remove it",
        "targets.win.outcome.equals: the column won: "
        + ", ".join(f'"{text}" (1 row) and "Won" ({won} rows)' for text in ("W ON", "WON", "won"))
        + f" differ {HOW_THEY_DIFFER}; set sources.leads.names: "
        '{"Won": ["W ON"]} if they are the same, else sources.leads.names: {"W ON": []}',
    ]
    logged = []
    load_snapshot(project, None, read_clock()).log_warnings(logged.append)
    assert [f"warning: {line}" for line in lines] == [line for line in logged if "equals" in line]
    listed = {"equals": ["Won", "won", "W ON", "WON"], "mature_after": "0d"}
    assert not any(
        "equals" in line
        for line in examine_data(write_company(here, rows, outcome=listed), None).warnings
    )


def test_values_of_many_leads_that_are_nearly_the_outcome_are_refused(here):
    rows = make_rows(300, yes="Won", no="Lost")
    for row in rows[:100]:
        row[3] = row[3].upper()
    project = write_company(here, rows, outcome={"equals": "Won", "mature_after": "0d"})
    (problem,) = (target.problem for target in examine_data(project, None).targets)
    many = sum(row[3] == "WON" for row in rows)
    assert "written in more than one way" in problem and f'"WON" ({many} rows)' in problem
    for names, positive in (({"Won": "WON"}, many), ({"WON": []}, 0)):
        project = write_company(here, rows, outcome={"equals": "Won"}, names=names)
        (target,) = examine_data(project, None).targets
        assert target.positive == sum(row[3] == "Won" for row in rows) + positive


@pytest.mark.parametrize(
    ("equals", "shown"), [("Wn", "'Wn'; the column won contains 'Lost', 'Won'"), (["X", "Y"], "X")]
)
def test_outcome_whose_values_never_occur_is_refused(here, equals, shown):
    rows = make_rows(300, yes="Won", no="Lost")
    project = write_company(here, rows, outcome={"equals": equals})
    assert "never occurs" in examine_data(project, None).targets[0].problem
    with pytest.raises(ConfigError, match="never occurs") as refused:
        build_training_rows(load_snapshot(project, None, read_clock()), "win")
    assert shown in str(refused.value)


def test_copies_of_rows_without_an_id_stay_on_one_side_of_every_fold(here):
    rng = np.random.default_rng(3)
    content = rng.integers(1, 120, 400)
    rows = [["", "", int(size), int(rng.random() < 0.4)] for size in content]
    project = write_company(here, rows, entity_id=None, created_at=None)
    snapshot = load_snapshot(project, "2025-01-01", read_clock())
    training = build_training_rows(snapshot, "win")
    table = TrainingTable.from_tables(training.matrix, training.labels)
    size_of = {str(number): int(size) for number, size in enumerate(content, 1)}
    folds = plan_folds(table, build_settings(snapshot, "win", lambda _: None))
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(400))
    for fold in folds:
        train, test = (
            {size_of[i] for i in table.entity_id[part]} for part in (fold.train, fold.test)
        )
        assert not train & test
