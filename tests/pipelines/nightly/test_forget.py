"""``leadscore forget`` on a workspace with nights, exports, quarantine and models."""

import csv
import json
import shutil
import sqlite3
import sys

import pyarrow.parquet as pq
import pytest

from pipelines import cli
from pipelines.nightly import forget
from serve.lock import lock_workspace
from serve.page.blocks import read_page_texts
from tests.pipelines import tiny


@pytest.fixture(scope="module")
def scored(guarded_company, tmp_path_factory):
    """Return a folder with a champion, two published nights, and bad rows."""
    folder = shutil.copytree(
        guarded_company, tmp_path_factory.mktemp("forgotten") / "company", symlinks=True
    )
    with pytest.MonkeyPatch.context() as patch:
        for night in ((tiny.END, "--format", "jsonl"), ("2025-01-02",)):
            assert call(folder, patch, "score", "company.yaml", "--direct", "--as-of", *night) == 0
    return folder


def call(folder, patch, *arguments):
    patch.chdir(folder)
    patch.delenv("LEADSCORE_WORKSPACE", raising=False)
    patch.setattr(sys, "argv", ["leadscore", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code or 0


@pytest.fixture
def run(scored, monkeypatch, capfd):
    def one(*arguments):
        capfd.readouterr()
        code = call(scored, monkeypatch, *arguments)
        printed = capfd.readouterr()
        return code, printed.out, printed.err

    return one


def everybody(folder):
    with sqlite3.connect(folder / "workspace/scores.db") as db:
        return sorted({row[0] for row in db.execute("SELECT entity_id FROM scores")})


def holding(folder, entity):
    files = [
        path
        for path in (folder / "workspace").rglob("*")
        if path.is_file() and path.name != ".lock"
    ]
    return [str(path.relative_to(folder)) for path in files if entity in all_text(path)]


def all_text(path):
    """Return the text of a file, of a page with that of its packed data."""
    content = path.read_bytes()
    packed = read_page_texts(content) if path.suffix == ".html" else []
    return "\n".join([content.decode("latin-1"), *(text for texts in packed for text in texts)])


def test_entity_is_erased_everywhere_and_a_second_call_finds_nothing(run, scored):
    lead, other = everybody(scored)[:2]
    assert run("report", "company.yaml")[0] == 0
    pages = {"workspace/exports/current/index.html", "workspace/reports/index.html"}
    assert pages <= {name for name in holding(scored, lead) if "/2" not in name} | {
        f"workspace/exports/current/{path.name}"
        for path in (scored / "workspace/exports/current").iterdir()
        if lead in all_text(path)
    }
    assert {"workspace/scores.db", "workspace/exports/current/scores.csv"} & set(
        holding(scored, lead)
    )
    current = scored / "workspace/exports/current"
    named = [
        row
        for path in current.glob("*.csv")
        for row in csv.reader(path.open(newline=""))
        if lead in row
    ]
    # Stuck leads and deals are in a second file each.
    for name in ("stuck", "deals"):
        own = [("entity_id", "=", lead)]
        named += pq.read_table(current / f"{name}.parquet", filters=own).to_pylist()
    rows = csv.DictReader((current / "scores.csv").open(newline=""))
    firm = next(row["account_id"] for row in rows if row["entity_id"] == lead)
    code, out, err = run("forget", "company.yaml", lead)
    assert code == 0, err
    lines = dict(line.rsplit(": ", 1) for line in out.splitlines())
    assert (lines["scores"], lines["exports/current"]) == ("2", str(len(named))) and named
    assert lines["models, reports and all other files of the workspace"] == "nothing found"
    assert lines["exports, former (removed)"] == "2" and lines["suppressions"] == "nothing found"
    assert "not erased: the sources" in err and "not erased: the CRM" in err
    assert lines["reports/index.html (removed)"] == "1"
    assert not (scored / "workspace/reports/index.html").exists()
    assert other in all_text(scored / "workspace/exports/current/index.html")
    assert holding(scored, lead) == [] and holding(scored, other) != []
    manifest = json.loads((scored / "workspace/exports/current/manifest.json").read_text())
    assert (
        manifest["rows"]
        == len((scored / "workspace/exports/current/scores.csv").read_text().splitlines()) - 1
    )
    accounts = (scored / "workspace/exports/current/accounts.csv").read_text().splitlines()
    assert manifest["account_rows"] == len(accounts) - 1 > 0
    assert lines["account_scores"] == "2" and not [line for line in accounts if f",{firm}," in line]
    code, out, _ = run("forget", "company.yaml", lead)
    assert code == 0 and {line.rsplit(": ", 1)[1] for line in out.splitlines()} == {"nothing found"}
    assert run("explain", "company.yaml", lead, "--published")[0] == 2


def test_bad_rows_of_an_entity_are_erased_from_the_quarantine(run, scored):
    assert "L9998" in (scored / "workspace/quarantine/leads.csv").read_text()
    found = json.loads(run("forget", "company.yaml", "L9998", "--json")[1])
    assert found["erased"]["quarantine/leads.csv"] == 1
    assert holding(scored, "L9998") == []


def test_entity_that_is_suppressed_too_is_never_scored_again(run, scored):
    lead = everybody(scored)[0]
    code, _, err = run("forget", "company.yaml", lead, "--and-suppress")
    assert code == 0 and "suppressed.csv: the id alone, kept to go on suppressing it" in err
    assert run("forget", "company.yaml", lead, "--and-suppress")[0] == 0
    assert (scored / "workspace/suppressed.csv").read_text() == f'"entity_id"\n"{lead}"\n'
    code, _, err = run("explain", "company.yaml", lead)
    assert code == 2 and "it is on a list of leads that must not be scored" in err
    code, _, err = run("score", "company.yaml", "--as-of", "2025-01-03", "--direct")
    assert (
        code == 0
        and "suppressed: 1 left out (privacy.suppress 0, forget 1, privacy.suppress_where 0)" in err
    )
    assert lead not in everybody(scored) and holding(scored, lead) == [
        "workspace/suppressed.csv",
        "workspace/scores.db",
    ]
    assert f"{lead} is suppressed by forget" in run("explain", "company.yaml", lead)[1]


@pytest.mark.parametrize(
    "step",
    [
        *("erase_export", "erase_deliveries", "erase_page", "erase_quarantine"),
        "find_remaining_mentions",
    ],
)
def test_erasure_killed_at_a_step_is_finished_by_a_second_call(run, scored, monkeypatch, step):
    lead = everybody(scored)[5]
    run("score", "company.yaml", "--as-of", "2025-01-04", "--direct")
    assert run("report", "company.yaml")[0] == 0

    def dies(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(forget, step, dies)
        assert run("forget", "company.yaml", lead)[0] == 130
    assert run("forget", "company.yaml", lead)[0] == 0
    assert holding(scored, lead) == []


def test_id_with_a_line_break_is_refused_in_a_list_and_an_empty_id_always(run):
    assert run("forget", "company.yaml", "a\nb", "--and-suppress")[0] == 3
    assert run("forget", "company.yaml", " ")[0] == 2


def test_erasure_does_not_wait_for_a_run_that_holds_the_workspace(run, scored):
    with lock_workspace(scored / "workspace"):
        code, _, err = run("forget", "company.yaml", "L0001")
    assert code == 6 and "another run holds this workspace" in err
