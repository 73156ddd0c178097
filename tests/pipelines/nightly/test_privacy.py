"""Nights without suppressed leads, and commands that show nothing personal."""

import csv
import json
import shutil
import sqlite3
import sys

import pytest
import yaml

from pipelines import cli
from tests.pipelines import guarded, tiny

NEXT = "2025-01-02"


@pytest.fixture(scope="module")
def company(guarded_company, tmp_path_factory):
    """Return a folder with a champion; of its leads nobody objects yet."""
    return shutil.copytree(
        guarded_company, tmp_path_factory.mktemp("guarded") / "company", symlinks=True
    )


@pytest.fixture
def run(company, monkeypatch, capfd):
    """Run one command in the company's folder; return exit code, stdout and stderr."""

    def one(*arguments):
        capfd.readouterr()
        code, _ = call(company, monkeypatch, *arguments)
        printed = capfd.readouterr()
        return code, printed.out, printed.err

    yield one
    guarded.rewrite(company, guarded.PRIVACY)
    guarded.suppress(company)


def call(folder, patch, *arguments):
    patch.chdir(folder)
    patch.delenv("LEADSCORE_WORKSPACE", raising=False)
    patch.setattr(sys, "argv", ["leadscore", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code or 0, None


def rows_of(folder, name):
    with (folder / f"workspace/exports/current/{name}.csv").open(
        newline="", encoding="utf-8"
    ) as file:
        return list(csv.DictReader(file))


def exported(folder):
    return {row["entity_id"] for row in rows_of(folder, "scores")}


def table(folder, query):
    with sqlite3.connect(folder / "workspace/scores.db") as db:
        return db.execute(query).fetchall()


def score(run, as_of=tiny.END):
    return run("score", "company.yaml", "--as-of", as_of, "--direct", "--json")


def test_suppressed_lead_has_no_score_leaves_the_export_and_is_counted(run, company):
    assert score(run)[0] == 0
    before = exported(company)
    listed, opted = sorted(before)[:2], sorted(before)[2]
    guarded.suppress(company, *listed, "nobody")
    leads = (company / "leads.csv").read_text()
    try:
        (company / "leads.csv").write_text(
            leads.replace(f"CANARY-{opted},no", f"CANARY-{opted},yes")
        )
        code, out, err = score(run, NEXT)
        assert code == 0, err
        check = json.loads(run("check", "company.yaml", "--as-of", NEXT, "--json")[1])
    finally:
        (company / "leads.csv").write_text(leads)
    found = json.loads(out)
    by = {"privacy.suppress": 2, "privacy.suppress_where": 1}
    unknown = {"privacy.suppress": 1, "privacy.suppress_where": 0}
    assert (
        found["suppressed"] == {"entities": 3, "by": by, "unknown": unknown} == check["suppressed"]
    )
    said = (
        "suppressed: 3 left out (privacy.suppress 2, privacy.suppress_where 1); "
        "listed and not in the data: 1"
    )
    assert said in err
    after = exported(company)
    assert not after & {*listed, opted} and len(after) == found["rows"]
    rows = table(
        company, "SELECT entity_id, reason, first_as_of, first_run_id FROM suppressions ORDER BY 1"
    )
    assert [row[:2] for row in rows] == sorted(
        [
            (listed[0], "privacy.suppress"),
            (listed[1], "privacy.suppress"),
            (opted, "privacy.suppress_where"),
        ]
    )
    assert {row[2:] for row in rows} == {("2025-01-01T23:00:00.000000Z", found["run_id"])}
    for count in check["counts"]:
        parts = (
            count["used"],
            count["skipped"],
            count["suppressed"],
            *count["quarantined"].values(),
        )
        assert sum(parts) == count["rows_in"]
    code, out, _ = run("explain", "company.yaml", listed[0])
    assert code == 0 and f"{listed[0]} is suppressed by privacy.suppress: no score since" in out
    # Once the objection is withdrawn the lead is scored again, and no longer called suppressed.
    guarded.rewrite(company, guarded.PRIVACY, checks={"suppressed": {"stop": 1}})
    guarded.suppress(company)
    assert score(run, "2025-01-03")[0] == 0
    assert (
        listed[0] in exported(company)
        and "suppressed" not in run("explain", "company.yaml", listed[0])[1]
    )


def test_lead_suppressed_since_the_last_night_is_not_replayed(run, company):
    assert score(run)[0] == 0
    lead = sorted(exported(company))[3]
    guarded.suppress(company, lead)
    code, out, _ = run("explain", "company.yaml", lead)
    assert (
        code == 0
        and "missing: the lead is suppressed, so nothing is computed for it" in out
        and "replayed" not in out
    )


def test_backfilled_nights_leave_out_leads_suppressed_today(run, company):
    assert score(run)[0] == 0
    lead = sorted(exported(company))[4]
    guarded.suppress(company, lead)
    code, _, err = run("score", "company.yaml", "--as-of", tiny.END, "--until", "2025-01-02")
    assert code == 0, err
    nights = "FROM scores WHERE as_of < '2025-01-02'"
    assert len(table(company, f"SELECT DISTINCT as_of {nights}")) == 2
    assert table(company, f"SELECT as_of {nights} AND entity_id = '{lead}'") == []


def test_older_night_removes_newly_suppressed_leads_from_the_newest_export(run, company):
    """By the list or by the column."""
    guarded.suppress(company, "L0242")
    assert score(run, NEXT)[0] == 0
    lead, opted = sorted(exported(company))[6:8]
    firms = {
        row["account_id"] for row in rows_of(company, "scores") if row["entity_id"] in (lead, opted)
    }
    guarded.suppress(company, "L0242", lead)
    leads = (company / "leads.csv").read_text()
    try:
        (company / "leads.csv").write_text(
            leads.replace(f"CANARY-{opted},no", f"CANARY-{opted},yes")
        )
        code, _, err = score(run, tiny.END)
    finally:
        (company / "leads.csv").write_text(leads)
    assert code == 0, err
    assert exported(company) and not exported(company) & {lead, opted}
    left = {row["account_id"] for row in rows_of(company, "accounts")}
    assert firms and left and not left & firms
    shown = table(company, "SELECT account_id FROM current_account_scores")
    assert {row[0] for row in shown} == left
    rows = table(
        company, f"SELECT entity_id FROM current_scores WHERE entity_id IN ('{lead}', '{opted}')"
    )
    assert rows == []


def test_same_night_again_gives_the_same_file(run, company):
    guarded.suppress(company, "L0240", "L0241")
    assert score(run, "2025-01-04")[0] == 0
    once = (company / "workspace/exports/current/scores.csv").read_bytes()
    assert score(run, "2025-01-04")[0] == 0
    assert (company / "workspace/exports/current/scores.csv").read_bytes() == once


@pytest.mark.parametrize("break_it", [lambda path: path.unlink(), lambda path: path.write_text("")])
def test_night_without_its_suppression_list_publishes_nothing(run, company, break_it):
    before = table(company, "SELECT count(*) FROM scores")
    break_it(company / "objections.csv")
    code, out, err = score(run, "2025-01-06")
    assert code == 3 and "objections.csv" in err and "objections.csv" in json.loads(out)["error"]
    assert table(company, "SELECT count(*) FROM scores") == before


def test_list_that_lost_most_of_its_ids_stops_the_night(run, company):
    guarded.suppress(company, *(f"L{number:04}" for number in range(10)))
    assert score(run, "2025-01-05")[0] == 0
    guarded.suppress(company, "L0000")
    code, _, err = score(run, "2025-01-06")
    assert code == 5 and "the check suppressed stops [privacy.suppress]" in err
    guarded.rewrite(company, {"personal": ["email", "phone", "opt_out"]})
    assert score(run, "2025-01-06")[0] == 5


def test_check_reports_names_of_the_privacy_section_without_matches(run, company):
    guarded.rewrite(company, guarded.PRIVACY | {"personal": ["email", "phone", "fax_number"]})
    out = run("check", "company.yaml", "--as-of", tiny.END)[1]
    assert "privacy.suppress: it suppresses none of the leads" in " ".join(out.split())
    assert "suppressed: 0 left out" in out


def test_commands_print_and_write_nothing_personal(run, company):
    """Canaries in leads, events and a history, in good rows and in bad ones, turn up nowhere."""
    as_of = ("--as-of", tiny.END)
    said = [score(run)]
    lead = sorted(exported(company))[0]
    for command in (
        ("check", "company.yaml", *as_of),
        ("audit", "company.yaml", *as_of),
        ("backtest", "company.yaml", *as_of, "--out", "workspace/tested.csv"),
        ("features", "company.yaml", *as_of, "--out", "workspace/features.csv"),
        ("features", "company.yaml", *as_of, "--list"),
        ("explain", "company.yaml", lead, "--all"),
        ("outcomes", "company.yaml", *as_of),
        ("export", "company.yaml", "--format", "jsonl"),
    ):
        said.append(run(*command))
    assert [code for code, _, _ in said] == [0] * len(said)
    guarded.rewrite(company, guarded.PRIVACY, sources=strict(company))
    said.append(score(run))
    assert said[-1][0] == 3 and "too many bad rows" in said[-1][2]
    assert not [text for _, *texts in said for text in texts if guarded.CANARY in text]
    files = [path for path in (company / "workspace").rglob("*") if path.is_file()]
    assert {"mlflow.db", "scores.db", "leads.csv", "report.md", "outcomes.json", "tested.csv"} <= {
        p.name for p in files
    }
    assert not [str(path) for path in files if guarded.CANARY.encode() in path.read_bytes()]
    assert guarded.CANARY in (company / "leads.csv").read_text()


def strict(company):
    return yaml.safe_load((company / "company.yaml").read_text())["sources"] | {"max_quarantine": 0}
