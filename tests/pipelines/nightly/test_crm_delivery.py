"""Deliveries to CRMs and their ledger: after a night, after a killed one, and on request."""

import csv
import json
import shutil
import sqlite3
import sys
from contextlib import closing
from datetime import timedelta

import pyarrow as pa
import pytest
import yaml

from configs.errors import LeadscoreError
from configs.schema import load_project
from pipelines import cli
from pipelines.nightly.context import NightContext
from pipelines.nightly.crm_delivery import (
    deliver_exports,
    deliver_missing_exports,
    read_delivery_ledger,
)
from pipelines.runner import Runner
from pipelines.workspace import open_store
from serve.crm import delivery as module
from tests.pipelines import tiny
from tests.serve.crm.samples import a_night
from tests.serve.samples import LATER, MONDAY

EXPORTS = {
    "sales": {
        "format": "salesforce",
        "key": "Lead_External_Id__c",
        "columns": {"S__c": "buy.score"},
        "delta": True,
    },
    "lake": {"format": "parquet"},
}


@pytest.fixture
def company(tmp_path, monkeypatch):
    """Return the config of a company whose scores of one night are published."""
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    monkeypatch.chdir(tmp_path)
    path = tiny.write(tmp_path, leads=3, publish={"exports": EXPORTS})
    publish(load_project(path), 0, {"L1": (5, "A", ""), "L2": (7, "B", "")})
    return path


def publish(project, day, leads):
    scores, run = a_night(MONDAY + timedelta(days=day), leads, run_id=f"r{day}")
    scores = scores.set_column(0, scores.field("project"), pa.repeat("tiny", scores.num_rows))
    run = type(run)(**vars(run) | {"project": "tiny"})
    store = open_store(project)
    store.start(run)
    store.publish(scores, run.run_id, LATER)
    return store


@pytest.fixture
def call(monkeypatch, capsys):
    """Run one command; return its exit code, standard output and standard error."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["leadscore", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        printed = capsys.readouterr()
        return stop.value.code or 0, printed.out, printed.err

    return run


def sold(path):
    """Return the rows of the current delivery to sales."""
    current = path.parent / "workspace" / "exports" / "sales" / "current"
    parts = json.loads((current / "manifest.json").read_text())["parts"]
    return [
        tuple(row)
        for part in parts
        for row in list(csv.reader((current / part["file"]).open()))[1:]
    ]


def test_delivery_on_request_enters_the_ledger(company, call):
    code, out, err = call("export", company, "--format", "sales", "--json")
    told = json.loads(out)
    assert (code, told["kind"], told["rows"], told["refused"], err) == (0, "full", 2, 0, "")
    assert sold(company) == [("L1", "5"), ("L2", "7")]
    publish(load_project(company), 1, {"L1": (5, "A", ""), "L3": (1, "D", "")})
    assert call("export", company, "--format", "sales")[0] == 0
    assert sold(company) == [("L3", "1"), ("L2", "#N/A")]
    code, _, err = call("export", company, "--format", "sales")
    assert code == 0 and "nothing new since delta" in err
    call("export", company, "--format", "sales", "--full")
    assert sold(company) == [("L1", "5"), ("L3", "1"), ("L2", "#N/A")]
    call("export", company, "--format", "sales", "--since", told["delivery"])
    assert sold(company) == [("L3", "1"), ("L2", "#N/A")]
    rows = json.loads(call("export", company, "--deliveries", "--json")[1])["deliveries"]
    assert [(row["kind"], row["rows"], row["cleared"], row["status"]) for row in rows] == [
        ("full", 2, 0, "delivered"),
        ("delta", 1, 1, "delivered"),
        ("full", 2, 1, "delivered"),
        ("delta", 1, 1, "delivered"),
    ]
    assert [row["base"] for row in rows] == [None, *[told["delivery"]] * 3]
    code, out, _ = call("export", company, "--deliveries")
    assert code == 0 and all(row["delivery"] in out for row in rows)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--format", "sales", "--since", "gone"], "no such delivery is kept"),
        (["--format", "sales", "--full", "--since", "gone"], "--full and --since"),
        (["--deliveries", "--format", "oracle"], "no such export"),
        (["--format", "oracle"], "parquet, or an export of publish.exports in the config: sales"),
        (["--format", "sales", "--as-of", "2025-07-07"], "only the newest night can be delivered"),
        (["--format", "csv", "--full"], "--full and --since need an export of the config"),
        (["--format", "oracle"], "unknown export format"),
    ],
)
def test_delivery_that_is_impossible_is_a_config_error(company, call, arguments, said):
    code, _, err = call("export", company, *arguments)
    assert code == 2 and said in err
    assert read_delivery_ledger(load_project(company)) == []


def test_ledger_of_one_export_shows_which_deliveries_are_kept(company, call):
    project = load_project(company)
    deliver_exports(NightContext(project, open_store(project), None, Runner()))
    publish(project, 1, {"L1": (9, "A", "")})
    deliver_exports(NightContext(project, open_store(project), None, Runner()))
    told = json.loads(call("export", company, "--deliveries", "--format", "sales", "--json")[1])[
        "deliveries"
    ]
    assert [(row["name"], row["sequence"], row["kept"]) for row in told] == [
        ("sales", 1, True),
        ("sales", 2, True),
    ]
    shutil.rmtree(project.workspace_path / "exports" / "sales" / told[0]["delivery"])
    rows = json.loads(call("export", company, "--deliveries", "--format", "sales", "--json")[1])[
        "deliveries"
    ]
    assert [(row["sequence"], row["kept"]) for row in rows] == [(None, False), (2, True)]
    out = call("export", company, "--deliveries", "--format", "sales")[1]
    assert "lake" not in out and out.count("removed") == 1 and "base" in out and "no." in out
    assert out.count(told[0]["delivery"]) == 2
    text = yaml.safe_load(company.read_text())
    text["publish"] = {}
    company.write_text(yaml.safe_dump(text, sort_keys=False))
    assert "sales" in call("export", company, "--deliveries", "--format", "sales")[1]


def test_failure_is_one_row_of_the_ledger(company, call, monkeypatch):
    monkeypatch.setattr(module, "write_parts", no_room)
    assert call("export", company, "--format", "sales")[0] == 1
    row = json.loads(call("export", company, "--deliveries", "--json")[1])["deliveries"][0]
    assert row["message"].startswith("error: cannot write") and "\n" not in row["message"]
    assert not row["kept"] and "fix" not in call("export", company, "--deliveries")[1]


def test_unknown_column_is_found_before_the_sources_are_read(company, call):
    text = yaml.safe_load(company.read_text())
    text["publish"]["exports"]["sales"]["columns"] = {"S__c": "buy.skore"}
    company.write_text(yaml.safe_dump(text))
    for command in (
        ["score", company, "--direct"],
        ["export", company, "--format", "lake"],
        ["check", company],
    ):
        code, _, err = call(*command)
        assert code == 2 and "did you mean buy.score?" in err and "reading" not in err


def test_scores_of_a_killed_night_are_delivered_by_the_next_run(company):
    project, notes = load_project(company), []
    store = open_store(project)
    deliver_missing_exports(NightContext(project, store, None, Runner(log=notes.append)))
    assert len(notes) == 2 and "killed before its delivery" in notes[0]
    assert sold(company) == [("L1", "5"), ("L2", "7")]
    deliver_missing_exports(NightContext(project, store, None, Runner(log=notes.append)))
    assert len(notes) == len(read_delivery_ledger(project)) == 2


def test_lead_that_objects_later_is_in_no_file_made_from_the_table(company, call):
    text = yaml.safe_load(company.read_text())
    text["privacy"] = {"suppress": {"path": "objections.csv", "entity_id": "id"}}
    company.write_text(yaml.safe_dump(text, sort_keys=False))
    (company.parent / "objections.csv").write_text("id\nL2\n")
    project = load_project(company)
    deliver_exports(NightContext(project, open_store(project), None, Runner()))
    assert sold(company) == [("L1", "5")]
    publish(project, 1, {"L1": (6, "A", ""), "L2": (7, "B", ""), "L3": (1, "D", "")})
    (company.parent / "objections.csv").write_text("id\nL1\nL2\n")
    assert call("export", company, "--format", "sales")[0] == 0
    assert sold(company) == [("L3", "1"), ("L1", "#N/A")]
    assert call("export", company)[0] == 0
    with (company.parent / "workspace/exports/current/scores.csv").open(newline="") as file:
        assert [row["entity_id"] for row in csv.DictReader(file)] == ["L3"]


def test_killed_delivery_enters_the_ledger_with_the_next_one(company):
    project = load_project(company)
    deliver_exports(NightContext(project, open_store(project), None, Runner()))
    with closing(sqlite3.connect(project.workspace_path / "scores.db")) as db, db:
        db.execute("DELETE FROM deliveries")
    store = open_store(project)
    done, failed = deliver_exports(NightContext(project, store, None, Runner()))
    assert not failed and not any(one.is_new for one in done)
    assert {row["delivery"] for row in read_delivery_ledger(project)} == {one.id for one in done}


@pytest.mark.parametrize("sequence", ["7", "0", "1.5", "1e99", "true", '"2"'])
def test_changed_manifest_ends_its_own_delivery_before_a_number_is_given(company, sequence):
    project = load_project(company)
    context = NightContext(project, open_store(project), None, Runner())
    delivered, failures = deliver_exports(context)
    assert len(delivered) == 2 and not failures
    path = delivered[0].folder / "manifest.json"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"sequence": 1', f'"sequence": {sequence}'), encoding="utf-8")
    publish(project, 1, {"L1": (6, "A", "")})
    delivered, (failure,) = deliver_exports(context)
    assert "a delivery to the CRM is missing or damaged" in str(failure)
    assert [delivery.manifest["name"] for delivery in delivered] == ["lake"]


def test_failed_delivery_is_logged_and_repaired_by_the_next(company, monkeypatch):
    project, notes = load_project(company), []
    store = open_store(project)
    deliver_exports(NightContext(project, store, None, Runner()))
    publish(project, 1, {"L1": (9, "A", "")})
    folder = project.workspace_path / "exports" / "sales"
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_parts", no_room)
        done, failed = deliver_exports(NightContext(project, store, None, Runner(log=notes.append)))
    assert [one.manifest["name"] for one in done] == ["lake"]
    assert [type(error) for error in failed] == [
        LeadscoreError
    ] and "sales: error: cannot write" in notes[0]
    assert [row["status"] for row in read_delivery_ledger(project) if row["name"] == "sales"] == [
        "delivered",
        "failed",
    ]
    assert sold(company) == [("L1", "5"), ("L2", "7")]
    publish(project, 2, {"L1": (9, "A", "")})
    assert deliver_exports(NightContext(project, store, None, Runner()))[1] == []
    assert sold(company) == [("L1", "9"), ("L2", "#N/A")]
    assert not (folder / ".staging").exists()


def no_room(*_):
    raise OSError(28, "No space left on device")


def test_target_without_a_new_run_keeps_its_scores(company):
    """A night without a champion for one target must not clear that target in the CRM."""
    text = yaml.safe_load(company.read_text())
    text["targets"]["close"] = text["targets"]["buy"]
    text["publish"] = {
        "exports": {
            "sales": EXPORTS["sales"] | {"columns": {"S__c": "buy.score", "C__c": "close.score"}}
        }
    }
    company.write_text(yaml.safe_dump(text, sort_keys=False))
    project = load_project(company)
    store = publish(project, 1, {})
    deliver_exports(NightContext(project, store, None, Runner()))
    assert sold(company) == []
    only_close(project, store)
    deliver_exports(NightContext(project, store, None, Runner()))
    assert sold(company) == [("L1", "#N/A", "3")]
    publish(project, 3, {"L1": (8, "A", "")})
    deliver_exports(NightContext(project, store, None, Runner()))
    assert sold(company) == [("L1", "8", "3")]


def only_close(project, store):
    scores, run = a_night(MONDAY + timedelta(days=2), {"L1": (3, "D", "")}, run_id="c")
    for place, name, value in ((0, "project", "tiny"), (1, "target", "close")):
        scores = scores.set_column(place, scores.field(name), [[value]])
    run = type(run)(**vars(run) | {"project": "tiny", "models": {"close": "7"}})
    store.start(run)
    store.publish(scores, run.run_id, LATER)
