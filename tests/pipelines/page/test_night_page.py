"""The page of a night and of ``leadscore report``: equal, of one night, and never in its way."""

import json
import shutil
import sqlite3
import stat
import sys

import pytest

from features.score_tables import SCORES
from pipelines import cli
from pipelines.commands import report as report_command
from serve.page import build
from serve.page.blocks import read_page_texts
from tests.pipelines import guarded, tiny

CURRENT = "workspace/exports/current"


@pytest.fixture(scope="module")
def scored(guarded_company, tmp_path_factory):
    """Return a folder with a champion and two published nights, the newest the later one."""
    folder = tmp_path_factory.mktemp("paged") / "company"
    shutil.copytree(guarded_company, folder, symlinks=True)
    with pytest.MonkeyPatch.context() as patch:
        stub_library(patch)
        for night in (tiny.END, "2025-01-02"):
            assert call(folder, patch, "score", "company.yaml", "--direct", "--as-of", night) == 0
    return folder


def stub_library(patch):
    """Leave the chart library out, which takes a second to put together."""
    patch.setattr(build, "bundle_chart_library", lambda workspace: "")


def call(folder, patch, *arguments):
    patch.chdir(folder)
    patch.delenv("LEADSCORE_WORKSPACE", raising=False)
    patch.setattr(sys, "argv", ["leadscore", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code or 0


@pytest.fixture
def run(scored, monkeypatch, capfd):
    """Run one command in the company's folder; return exit code, stdout and stderr."""
    stub_library(monkeypatch)

    def one(*arguments):
        capfd.readouterr()
        code = call(scored, monkeypatch, *arguments)
        printed = capfd.readouterr()
        return code, printed.out, printed.err

    yield one
    guarded.rewrite(scored, guarded.PRIVACY)


def score(run, night="2025-01-02"):
    code, out, err = run("score", "company.yaml", "--direct", "--json", "--as-of", night)
    return code, json.loads(out), err


def page_of(folder):
    return (folder / CURRENT / "index.html").read_bytes()


def texts_of(page):
    return [text for texts in read_page_texts(page) for text in texts]


def test_night_report_and_export_write_the_same_page(run, scored):
    code, found, _ = score(run)
    assert code == 0 and (found["page"], found["page_problem"]) == (f"{CURRENT}/index.html", None)
    night = page_of(scored)
    manifest = json.loads((scored / CURRENT / "manifest.json").read_text())
    assert manifest["files"]["index.html"]["bytes"] == len(night)
    code, out, err = run("report", "company.yaml")
    assert (code, out) == (0, "workspace/reports/index.html\n"), err
    assert "leads, scored for buy as of 2025-01-01T23:00:00+00:00" in err
    assert (scored / "workspace/reports/index.html").read_bytes() == night
    # An export reads no source, so its page lacks what only these have.
    assert run("export", "company.yaml")[0] == 0
    assert run("report", "company.yaml", "--published")[0] == 0
    assert (scored / "workspace/reports/index.html").read_bytes() == page_of(scored)
    assert score(run)[0] == 0
    assert page_of(scored) == night
    assert run("verify", "company.yaml")[0] == 0


def test_page_has_nothing_of_the_clock_or_the_run(run, scored):
    shown = "\n".join(texts_of(page_of(scored)))
    with sqlite3.connect(scored / "workspace/scores.db") as db:
        rows = db.execute("SELECT DISTINCT run_id, started_at FROM score_runs").fetchall()
    assert len(rows) >= 2
    for run_id, started_at in rows:
        assert run_id not in shown and started_at[:16] not in shown


def test_report_of_an_older_night_is_of_that_night(run, scored):
    code, out, _ = run("report", "company.yaml", "--as-of", tiny.END, "--out", "old.html", "--json")
    found = json.loads(out)
    assert (code, found["page"], found["as_of"]) == (0, "old.html", "2024-12-31T23:00:00+00:00")
    page = (scored / "old.html").read_bytes()
    assert found["bytes"] == len(page) and page != page_of(scored)
    assert b"2025-01-01 00:00" in page
    assert stat.S_IMODE((scored / "old.html").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("out", "problem"),
    [
        ("workspace/exports/page.html", "only a night writes into exports/"),
        (f"{CURRENT}/index.html", "only a night writes into exports/"),
        ("linked/page.html", "only a night writes into exports/"),
        ("workspace/scores.db", "a page is no such file"),
        ("leads.csv", "a page is no such file"),
        ("missing/page.html", "no such folder"),
        (f"{252 * 'x'}.html", "the name is too long"),
    ],
)
def test_report_refuses_files_that_no_page_can_be(run, scored, out, problem):
    link = scored / "linked"
    if not link.exists():
        link.symlink_to("workspace/exports/current", target_is_directory=True)
    before = sorted(path for path in scored.rglob("*"))
    code, _, err = run("report", "company.yaml", "--out", out)
    assert code == 2 and problem in err
    assert sorted(path for path in scored.rglob("*")) == before


def test_open_names_the_page_where_there_is_no_desktop(run, scored, monkeypatch):
    opened = []
    monkeypatch.setattr(report_command.webbrowser, "open", lambda url: opened.append(url) or True)
    monkeypatch.setattr(report_command.sys, "platform", "linux")
    for name in report_command.DESKTOP_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    code, _, err = run("report", "company.yaml", "--open")
    page = scored / "workspace/reports/index.html"
    assert code == 0 and f"there is no desktop here; open {page} in a browser" in err
    assert opened == []
    monkeypatch.setenv("DISPLAY", ":0")
    assert run("report", "company.yaml", "--open")[0] == 0
    assert opened == [page.as_uri()]


def test_failed_section_keeps_no_scores_back(run, scored, monkeypatch):
    def build_broken(data):
        raise KeyError(data.scores["entity_id"][0].as_py())

    with monkeypatch.context() as patch:
        patch.setattr(build, "SECTIONS", (*build.SECTIONS, build_broken))
        code, found, err = score(run)
    assert code == 0 and found["page"] is None
    assert found["page_problem"].startswith("KeyError in ")
    assert "(serve/page/build.py:" in found["page_problem"]
    assert f"warn: the export is current, but without its page: {found['page_problem']}" in err
    assert found["rows"] > 0 and not (scored / CURRENT / "index.html").exists()
    manifest = json.loads((scored / CURRENT / "manifest.json").read_text())
    assert (manifest["run_id"], manifest["page"]) == (found["run_id"], None)
    assert run("verify", "company.yaml")[0] == 0
    code, out, _ = run("export", "company.yaml", "--json")
    assert (code, json.loads(out)["page"]) == (0, f"{CURRENT}/index.html")


def test_config_without_page_leaves_no_page(run, scored):
    guarded.rewrite(scored, guarded.PRIVACY, publish={"page": False})
    code, found, err = score(run)
    assert (code, found["page"], found["page_problem"]) == (0, None, None)
    assert "without its page" not in err
    assert not (scored / CURRENT / "index.html").exists()
    # On request it is built all the same.
    assert run("report", "company.yaml")[0] == 0


def test_suppressed_and_personal_values_are_not_in_the_page(run, scored):
    with sqlite3.connect(scored / "workspace/scores.db") as db:
        leads = [row[0] for row in db.execute("SELECT DISTINCT entity_id FROM current_scores")]
    lead = sorted(leads)[7]
    try:
        assert score(run)[0] == 0
        assert lead in texts_of(page_of(scored))
        guarded.suppress(scored, lead)
        assert run("export", "company.yaml")[0] == 0
        assert run("report", "company.yaml")[0] == 0
    finally:
        guarded.suppress(scored)
    for path in (f"{CURRENT}/index.html", "workspace/reports/index.html"):
        texts = texts_of((scored / path).read_bytes())
        assert len(texts) > 500 and lead not in texts
        assert not any(guarded.CANARY in text for text in texts)


def test_personal_ids_are_named_by_target_and_rank(run, scored):
    privacy = guarded.PRIVACY | {"personal": [*guarded.PRIVACY["personal"], "id", "firm"]}
    guarded.rewrite(scored, privacy)
    assert score(run)[0] == 0
    texts = texts_of(page_of(scored))
    with sqlite3.connect(scored / "workspace/scores.db") as db:
        rows = db.execute("SELECT entity_id, account_id, target, rank FROM current_scores")
        rows = rows.fetchall()
    shown, all_text = set(texts), "\n".join(texts)
    assert {f"{target} no. {rank}" for _, _, target, rank in rows} <= shown
    assert not [entity for entity, *_ in rows if entity in all_text]
    assert not [account for _, account, *_ in rows if account in shown]
    assert any("Ids of leads are personal" in text for text in texts)
    # A page without ids may be of anybody, so that an erasure removes it.
    assert run("report", "company.yaml")[0] == 0
    night = page_of(scored)
    assert (scored / "workspace/reports/index.html").read_bytes() == night
    found = json.loads(run("forget", "company.yaml", rows[0][0], "--json")[1])
    assert found["erased"]["reports/index.html (removed)"] == 1
    assert not (scored / "workspace/reports/index.html").exists()
    assert page_of(scored) != night


def test_contract_of_scores_has_the_columns_that_are_left_out():
    assert {"run_id", "scored_at"} <= set(SCORES.names)
