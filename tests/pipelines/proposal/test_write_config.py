"""A config is written with what the files and databases need, and checked."""

import csv
import sqlite3
from datetime import datetime, timedelta

import pytest
import yaml

from configs.errors import ConfigError
from pipelines.proposal.questions import Answers, Interview
from pipelines.proposal.write_config import propose_from_files, write_proposal
from tests.pipelines.proposal.layouts import END, simulate_leads, stamp, write_csv, write_stripe


def propose(*files):
    """Return the proposal for some files; every proposal is taken."""
    return propose_from_files(files, Answers(), Interview(None), lambda _: None)


def write_database(folder):
    """Write the files of a system into one SQLite file, a table for each."""
    write_stripe(folder, simulate_leads(200, 5))
    with sqlite3.connect(folder / "crm.db") as database:
        for name in ("customers", "unified_payments"):
            with (folder / f"{name}.csv").open(encoding="utf-8") as file:
                head, *rows = csv.reader(file)
            columns = ",".join(f'"{column}" text' for column in head)
            database.execute(f"CREATE TABLE {name} ({columns})")
            marks = ",".join("?" * len(head))
            database.executemany(f"INSERT INTO {name} VALUES ({marks})", rows)


def test_tables_of_a_database_are_sources(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    write_database(tmp_path)
    proposal = propose("sqlite:///crm.db")
    path = tmp_path / "conf" / "company.yaml"
    done = write_proposal(proposal, path, Interview(None), lambda _: None)
    assert (done.problem, done.exit_code) == ("", 0)
    leads = yaml.safe_load(done.text)["sources"]["leads"]
    assert leads["database"] == "sqlite:///../crm.db"
    assert leads["query"] == 'SELECT * FROM "customers"'


def test_password_of_a_database_is_never_written():
    with pytest.raises(ConfigError, match="DB_PASSWORD") as error:
        propose("postgresql://reader:geheim@localhost/crm")
    assert "geheim" not in str(error.value)


def test_open_deals_with_planned_dates_have_no_outcome_yet(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    rows = []
    for lead in simulate_leads(300, 9):
        stage = "Closed Won" if lead.won else "Closed Lost" if lead.lost else "Prospecting"
        planned = lead.closed or lead.created + timedelta(days=40)
        rows.append(
            {
                "deal_id": lead.number,
                "created": stamp(lead.created),
                "stage": stage,
                "close_date": stamp(planned),
                "source": lead.source,
                # The same word is a value of its own in another column.
                "first_touch": ("Prospecting", "Event", "Web")[lead.number % 3],
            }
        )
    write_csv(tmp_path / "deals.csv", rows)
    proposal = propose("deals.csv")
    done = write_proposal(proposal, tmp_path / "c.yaml", Interview(None), lambda _: None)
    assert done.exit_code == 0, done.problem
    config = yaml.safe_load(done.text)
    assert config["sources"]["leads"]["missing"] == {"stage": ["Prospecting"]}
    assert config["targets"]["stage"]["outcome"]["equals"] == "Closed Won"
    # A planned date is no event: the data does not end in the future.
    assert "events" not in config["sources"]
    assert done.check.as_of.replace(tzinfo=None) <= END + timedelta(days=1)
    assert isinstance(done.check.as_of, datetime)
