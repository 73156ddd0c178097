"""Each lead's place in the funnel next to its scores: by commands, and at past as-ofs."""

import csv
import json
import shutil
import sqlite3
import sys
from contextlib import closing
from datetime import datetime, timedelta

import pyarrow.parquet as pq
import pytest
import yaml

from configs.schema import load_project
from features.score_tables import FUNNEL_COLUMNS
from pipelines import cli
from pipelines.funnel import night
from pipelines.funnel.night import compute_night_funnel
from pipelines.runner import read_clock
from pipelines.training_data import load_snapshot
from tests.pipelines import tiny
from tests.pipelines.funnel import company

# Lives in December, as (day of the month, event); the lead is created on the first one.
LIVES = {
    "back": [(5, "met"), (10, "lost"), (20, "back")],
    "back_again": [(5, "met"), (10, "lost"), (15, "back"), (20, "met"), (25, "lost"), (28, "back")],
    "lost": [(5, "met"), (10, "lost")],
    "undone": [(5, "met"), (10, "bought"), (15, "undone")],
    "won": [(5, "met"), (10, "bought")],
    "won_again": [(5, "met"), (10, "bought"), (15, "undone"), (20, "bought")],
    "new": [],
}
OPEN = {
    "back": ("met", 12.0),
    "back_again": ("met", 4.0),
    "undone": ("met", 27.0),
    "new": ("created", 31.0),
}
CRM = {"format": "salesforce", "key": "Id"}


@pytest.fixture(scope="module")
def folder(guarded_company, tmp_path_factory):
    """Return the folder of a company with a champion, with the leads of LIVES added."""
    place = tmp_path_factory.mktemp("places") / "company"
    shutil.copytree(guarded_company, place, symlinks=True)
    with (place / "leads.csv").open("a", newline="") as file:
        rows = [[lead, "2024-12-01", "F1", "DE", 5, "e@x", "1", "no"] for lead in LIVES]
        csv.writer(file).writerows(rows)
    with (place / "events.csv").open("a", newline="") as file:
        csv.writer(file).writerows(
            [lead, f"2024-12-{day:02}", what, "web", "e@x"]
            for lead, life in LIVES.items()
            for day, what in life
        )
    config = yaml.safe_load((place / "company.yaml").read_text())
    buy = config["targets"]["buy"]
    buy["population"]["reopen"], buy["outcome_revoked_by"] = ["back"], ["undone"]
    config["features"]["stages"] = ["met", "bought"]
    names = ("stage", "stage_age", "stuck", "expected_close_p50", "overdue")
    columns = {f"{name.title()}__c": f"buy.{name}" for name in names}
    config["publish"] = {"exports": {"crm": CRM | {"columns": columns}}, "page": False}
    (place / "company.yaml").write_text(yaml.safe_dump(config))
    return place


@pytest.fixture
def run(folder, monkeypatch, capsys):
    """Run a command on the company; return its output as JSON."""
    monkeypatch.chdir(folder)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)

    def call(command, *arguments):
        monkeypatch.setattr(
            sys, "argv", ["leadscore", command, "company.yaml", *arguments, "--json"]
        )
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out, err = capsys.readouterr()
        assert stop.value.code == 0, err
        return json.loads(out)

    return call


def read_export(folder):
    with (folder / "workspace/exports/current/scores.csv").open(encoding="utf-8") as file:
        return {row["entity_id"]: row for row in csv.DictReader(file)}


def test_reopened_and_revoked_leads_are_scored_in_their_stage(run, folder):
    run("score", "--as-of", tiny.END, "--format", "parquet")
    rows = read_export(folder)
    assert {lead for lead in LIVES if lead in rows} == set(OPEN)
    for lead, (stage, days) in OPEN.items():
        assert (rows[lead]["stage"], float(rows[lead]["stage_age"])) == (stage, days)
    # Every scored lead is open, and all places hold the same.
    assert all(row["stage"] in ("created", "met") and row["stage_age"] for row in rows.values())
    database = folder / "workspace/scores.db"
    with closing(sqlite3.connect(database)) as connection:
        names = ", ".join(FUNNEL_COLUMNS)
        stored = connection.execute(f"SELECT entity_id, {names} FROM scores").fetchall()
    parquet = pq.read_table(folder / "workspace/exports/current/scores.parquet").to_pylist()
    assert len(stored) == len(parquet) == len(rows)
    for entity, *values in stored:
        (own,) = (row for row in parquet if row["entity_id"] == entity)
        assert [own[name] for name in ("stage", "stage_age", "stuck")] == values[:3]
        text = "" if own["stuck"] is None else str(own["stuck"]).lower()
        assert rows[entity]["stuck"] == text
    stuck = {row["entity_id"] for row in run("funnel", "--as-of", tiny.END)["stuck"]}
    assert {lead for lead, row in rows.items() if row["stuck"] == "true"} == stuck & set(rows)
    assert stuck


def test_expected_close_lies_ahead_and_in_order(run, folder):
    run("score", "--as-of", tiny.END)
    known = [row for row in read_export(folder).values() if row["expected_close_p50"]]
    assert len(known) > 20
    closes = [[row[f"expected_close_p{share}"] for share in (20, 50, 80)] for row in known]
    assert all("2024-12-31T23:00:00Z" <= low <= half <= high for low, half, high in closes)
    # Overdue are the oldest leads of each stage.
    for stage in ("created", "met"):
        own = [row for row in known if row["stage"] == stage]
        ages = {
            late: [float(row["stage_age"]) for row in own if row["overdue"] == late]
            for late in ("true", "false")
        }
        assert max(ages["false"]) < min(ages["true"], default=1e9)


def test_crm_and_explanation_hold_the_place(run, folder):
    run("score", "--as-of", tiny.END)
    (newest,) = run("explain", "undone")["now"]
    assert (newest["stage"], newest["stage_age"]) == ("met", 27.0)
    assert isinstance(newest["stuck"], bool)
    (part,) = (folder / "workspace/exports/crm/current").resolve().glob("part-*.csv")
    with part.open(encoding="utf-8") as file:
        row = next(row for row in csv.DictReader(file) if row["Id"] == "undone")
    assert (row["Stage__c"], row["Stage_Age__c"]) == ("met", "27")
    assert row["Stuck__c"] == str(newest["stuck"]).lower()
    close = newest["expected_close_p50"]
    assert row["Expected_Close_P50__c"] == (close and f"{close[:19]}.000Z")


def test_scores_are_published_without_a_funnel(run, folder, monkeypatch):
    """A failure of the estimate, like a config without a funnel, leaves the columns empty."""

    def fail(*_):
        raise ValueError("no estimate")

    monkeypatch.setattr(night, "build_place_table", fail)
    run("score", "--as-of", tiny.END)
    rows = read_export(folder)
    assert set(OPEN) <= set(rows)
    assert {row[name] for row in rows.values() for name in FUNNEL_COLUMNS} == {""}


@pytest.mark.parametrize("as_of", ["2024-05-01", "2024-09-01"])
def test_places_at_a_past_as_of_are_those_of_then(tmp_path, as_of):
    """All rows known later are garbled; no bit of a place changes."""
    people, log = company.write(tmp_path)
    project = load_project(tmp_path / "steps.yaml")

    def read_places():
        snapshot = load_snapshot(project, as_of, read_clock())
        funnel = compute_night_funnel(snapshot)
        assert funnel.problem is None
        ids = snapshot.dataset.leads["entity_id"].to_pylist()
        places = dict(zip(ids, funnel.leads.to_pylist(), strict=True))
        return {lead: places[lead] for lead in sorted(places)}

    before = read_places()
    company.garble(tmp_path, people, log, as_of)
    assert repr(before) == repr(read_places())
    born = {row[0]: datetime.fromisoformat(row[1]) for row in people}
    now = datetime.fromisoformat(f"{as_of}T00:00:00+00:00")
    assert sum(place["stage_age"] is not None for place in before.values()) > 20
    for lead, place in before.items():
        age = place["stage_age"]
        assert age is None or timedelta(0) < timedelta(days=age) <= now - born[lead]
