"""Buying groups of a night: in the database, the files and the page, and never titles."""

import csv
import json
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from models.buying_roles import BUYING_ROLES
from pipelines import cli
from serve.page import build
from tests.pipelines import guarded, tiny

CURRENT = Path("workspace/exports/current")
ROLES = {"title": "job", "roles": {"finance": ["treasurer"], "technology": ["engineer"]}}
JOBS = ("Chief Treasurer", "Lead Engineer", "Assistant", "")
PUBLISH = {"funnel": False, "forecast": False, "fit": False}
PRIVACY = guarded.PRIVACY | {"personal": ["email", "phone", "job"]}


@pytest.fixture(scope="module")
def company(guarded_company, tmp_path_factory):
    """Return a folder with a champion, whose leads have titles and say when they were entered."""
    folder = tmp_path_factory.mktemp("groups") / "company"
    shutil.copytree(guarded_company, folder, symlinks=True)
    path = folder / "leads.csv"
    with path.open(newline="", encoding="utf-8") as file:
        names, *rows = csv.reader(file)
    created = names.index("created")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*names, "entered", "job"])
        for at, row in enumerate(rows):
            known = row[created] if len(row) == len(names) else ""
            writer.writerow([*row, known, JOBS[at % 4]])
    base = yaml.safe_load((folder / "base.yaml").read_text())
    leads = base["sources"]["leads"] | {"known_at": "entered"}
    guarded.rewrite(
        folder,
        PRIVACY,
        sources=base["sources"] | {"leads": leads},
        accounts=ROLES,
        publish=PUBLISH,
    )
    return folder


@pytest.fixture
def scored(company, monkeypatch, capfd):
    """Score a night in the company's folder; return what it prints."""
    monkeypatch.chdir(company)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    monkeypatch.setattr(build, "bundle_chart_library", lambda workspace: "")
    arguments = ["score", "company.yaml", "--direct", "--json", "--as-of", tiny.END]
    monkeypatch.setattr(sys, "argv", ["leadscore", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    printed = capfd.readouterr()
    assert not stop.value.code, printed.err
    return json.loads(printed.out)


def read_rows(query):
    with closing(sqlite3.connect("workspace/scores.db")) as db:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute(query)]


def test_night_publishes_the_comparison_and_the_groups(scored):
    assert scored["table_problems"] == {} and scored["tables"] == {"buying_roles": 2}
    stored = read_rows("SELECT * FROM buying_roles ORDER BY position")
    assert [row["role"] for row in stored] == [*ROLES["roles"]]
    assert all(row["rows"] > 0 and row["run_id"] == scored["run_id"] for row in stored)
    written = pq.read_table(CURRENT / "buying_roles.parquet").select(BUYING_ROLES.names)
    numbers = [name for name in BUYING_ROLES.names if name != "proven"]
    assert written.select(numbers).to_pylist() == [{n: row[n] for n in numbers} for row in stored]
    with (CURRENT / "accounts.csv").open(newline="", encoding="utf-8") as file:
        accounts = list(csv.DictReader(file))
    assert {row["roles_present"] for row in accounts} > {"finance, technology"}
    by_roles = {row["account_id"]: row["roles_present"] or None for row in accounts}
    kept = read_rows("SELECT account_id, roles_present FROM current_account_scores")
    assert {row["account_id"]: row["roles_present"] for row in kept} == by_roles
    page = (CURRENT / "index.html").read_text(encoding="utf-8")
    assert "Who is missing at the accounts?" in page
    # Titles go no further than the reader.
    texts = [p.read_bytes() for p in CURRENT.iterdir()] + [Path("workspace/scores.db").read_bytes()]
    assert not any(title in text for text in texts for title in (b"Treasurer", b"Engineer"))
