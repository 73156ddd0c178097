"""The funnel of a night: equal in database, files and command, and never in the way of scores."""

import csv
import json
import shutil
import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from configs.schema import load_project
from pipelines import cli
from pipelines.funnel import night as night_module
from pipelines.funnel.funnel import summarize_funnel
from pipelines.orchestration.watch import read_status
from pipelines.runner import read_clock
from serve.night_tables import select_group
from serve.page import build
from tests.pipelines import guarded, tiny

CURRENT = "workspace/exports/current"
TABLES = select_group("funnel")
NAMES = [table.name for table in TABLES]
AT = pa.timestamp("us", "UTC")
# Only the funnel: forecast and fit have tests of their own.
BY = {"funnel_by": ["country", "channel"], "forecast": False, "fit": False, "page": False}


@pytest.fixture(scope="module")
def company(guarded_company, tmp_path_factory):
    """Return a folder with a champion, of whose leads nobody objects yet."""
    folder = tmp_path_factory.mktemp("tables") / "company"
    return shutil.copytree(guarded_company, folder, symlinks=True)


@pytest.fixture
def run(company, monkeypatch, capfd):
    """Run one command in the company's folder; return exit code, stdout and stderr."""
    monkeypatch.chdir(company)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    monkeypatch.setattr(build, "bundle_chart_library", lambda workspace: "")
    guarded.rewrite(company, guarded.PRIVACY, publish=BY)

    def one(*arguments):
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["leadscore", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        printed = capfd.readouterr()
        return stop.value.code or 0, printed.out, printed.err

    yield one
    guarded.suppress(company)


def score(run):
    code, out, err = run("score", "company.yaml", "--direct", "--json", "--as-of", tiny.END)
    return code, json.loads(out), err


def read_rows(query):
    with closing(sqlite3.connect("workspace/scores.db")) as db:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute(query)]


def read_manifest():
    return json.loads(Path(CURRENT, "manifest.json").read_text(encoding="utf-8"))


def verify(run):
    code, out, _ = run("verify", "company.yaml", "--json")
    return code, {c["check"] for c in json.loads(out)["checks"] if c["problems"]}


def test_database_files_and_command_have_the_same_rows(run):
    code, found, _ = score(run)
    assert code == 0 and found["table_problems"] == {}
    arguments = ["--by", "country", "--by", "channel", "--as-of", tiny.END, "--json"]
    printed = json.loads(run("funnel", "company.yaml", *arguments)[1])
    assert {row["segment_by"] for row in printed["funnel"]} == {"all", "country", "channel"}
    assert found["tables"] == {name: len(printed[name]) for name in NAMES}
    manifest = read_manifest()
    for table in TABLES:
        name = table.name
        stored = read_rows(f"SELECT * FROM {name} ORDER BY position")
        assert [row["position"] for row in stored] == list(range(1, len(stored) + 1))
        assert {(row["project"], row["run_id"]) for row in stored} <= {("tiny", found["run_id"])}
        own = [n for n, kind in zip(table.rows.names, table.rows.types, strict=True) if kind != AT]
        assert [{n: row[n] for n in own} for row in stored] == [
            {n: row[n] for n in own} for row in printed[name]
        ]
        written = pq.read_table(f"{CURRENT}/{name}.parquet")
        assert written.schema.names == table.exported.names
        assert written.select(own).to_pylist() == [{n: row[n] for n in own} for row in stored]
        with Path(CURRENT, f"{name}.csv").open(newline="", encoding="utf-8") as file:
            header, *lines = csv.reader(file)
        assert (header, len(lines)) == (table.exported.names, len(stored))
        assert manifest["tables"][name]["rows"] == len(stored)
        assert {f"{name}.csv", f"{name}.parquet"} < manifest["files"].keys()
    assert verify(run) == (0, set())


def test_night_scored_again_and_export_write_the_same_files(run):
    def read_hashes():
        return {name: file["sha256"] for name, file in read_manifest()["files"].items()}

    first = score(run)[1]
    before = read_hashes()
    second = score(run)[1]
    assert first["run_id"] != second["run_id"]
    for name in NAMES:
        runs = {row["run_id"] for row in read_rows(f"SELECT DISTINCT run_id FROM {name}")}
        assert runs <= {second["run_id"]}
    assert read_hashes() == before
    assert run("export", "company.yaml")[0] == 0
    assert read_hashes() == before


def test_rows_that_the_database_would_refuse_keep_no_scores_back(run, monkeypatch):
    def repeat_rows(*arguments):
        result = summarize_funnel(*arguments)
        stuck = pa.concat_tables([result.tables.stuck] * 2)
        return replace(result, tables=replace(result.tables, stuck=stuck))

    with monkeypatch.context() as patch:
        patch.setattr(night_module, "summarize_funnel", repeat_rows)
        code, found, _ = score(run)
    assert code == 0 and found["rows"] > 0 and found["tables"] == {}
    assert found["table_problems"] == {"funnel": "data error: rows have the same key"}


@pytest.mark.parametrize(
    ("publish", "problem"),
    [
        ({"funnel": False}, None),
        ({"funnel_by": ["contry"]}, "config error: cannot segment by the column contry"),
    ],
)
def test_config_without_a_funnel_publishes_the_scores_alone(run, company, publish, problem):
    guarded.rewrite(company, guarded.PRIVACY, publish=BY | publish)
    code, found, err = score(run)
    assert code == 0 and found["rows"] > 0 and found["tables"] == {}
    assert found["table_problems"] == ({"funnel": problem} if problem else {})
    assert ("no funnel" in err) == bool(problem)
    assert not any(path.name.startswith("funnel") for path in Path(CURRENT).iterdir())
    status = read_status(load_project("company.yaml"), read_clock() + timedelta(hours=2))
    assert any(str(problem) in line for line in status.findings.warnings) == bool(problem)


def test_changed_tables_and_files_are_found(run):
    def harm(statement):
        with closing(sqlite3.connect("workspace/scores.db")) as db, db:
            db.execute(statement)
        return verify(run)

    score(run)
    assert harm("UPDATE funnel SET open = open + 1 WHERE position = 2") == (5, {"export tables"})
    assert harm("UPDATE cycle SET run_id = 'other'") == (5, {"tables", "export tables"})
    score(run)
    assert harm("DELETE FROM paths WHERE position = 1") == (5, {"export tables"})
    assert harm("DELETE FROM funnel") == (5, {"tables", "export tables"})
    score(run)
    Path(CURRENT, "paths.csv").write_text("from,to\n", encoding="utf-8")
    assert verify(run) == (5, {"exports"})
    Path(CURRENT, "stuck.parquet").unlink()
    assert verify(run) == (5, {"exports", "export tables"})


def test_suppressed_and_forgotten_leads_are_not_among_the_stuck(run, company):
    score(run)
    out, later, gone = (row["entity_id"] for row in read_rows("SELECT * FROM stuck LIMIT 3"))

    def mentions(lead):
        files = [f"{CURRENT}/stuck.csv", f"{CURRENT}/stuck.parquet"]
        known = [{row["entity_id"] for row in read_rows("SELECT entity_id FROM stuck")}]
        lines = csv.reader(Path(files[0]).read_text(encoding="utf-8").splitlines())
        known += [{row[3] for row in lines}]
        known += [set(pq.read_table(files[1])["entity_id"].to_pylist())]
        return [lead in ids for ids in known]

    assert mentions(out) == mentions(later) == mentions(gone) == [True] * 3
    guarded.suppress(company, out)
    assert score(run)[0] == 0
    assert mentions(out) == [False] * 3
    # Who objects after the night leaves the export that is written then.
    guarded.suppress(company, out, later)
    assert run("export", "company.yaml")[0] == 0
    assert mentions(later) == [True, False, False]
    erased = json.loads(run("forget", "company.yaml", gone, "--json")[1])["erased"]
    assert erased["stuck"] == 1 and mentions(gone) == [False] * 3
    assert verify(run) == (0, set())
    guarded.suppress(company)


def test_failed_funnel_keeps_no_scores_back(run, monkeypatch):
    assert score(run)[1]["tables"]["funnel"] > 0

    def fail(snapshot, history, staged, by):
        raise KeyError(snapshot.dataset.leads["entity_id"][0].as_py())

    with monkeypatch.context() as patch:
        patch.setattr(night_module, "summarize_funnel", fail)
        code, found, err = score(run)
    problem = found["table_problems"]["funnel"]
    assert code == 0 and found["rows"] > 0 and found["tables"] == {}
    assert problem.startswith("KeyError in compute_night_funnel (pipelines/funnel/night.py:")
    assert f"warn: no funnel is published: {problem}" in err
    manifest = read_manifest()
    assert (manifest["tables"], manifest["table_problems"]) == ({}, {"funnel": problem})
    assert not {f"{name}.csv" for name in NAMES} & manifest["files"].keys()
    # Those of the run before were of other data.
    assert not any(read_rows(f"SELECT * FROM {name}") for name in NAMES)
    assert verify(run) == (0, set())
    # An export from the table is of the same night: it must not look complete.
    for _ in range(2):
        assert run("export", "company.yaml")[0] == 0
        assert read_manifest()["table_problems"] == {"funnel": problem}
    # A former export of the night says it too.
    damaged = Path(CURRENT).resolve()
    (damaged / "manifest.json").write_text("{", encoding="utf-8")
    assert run("export", "company.yaml")[0] == 0
    assert read_manifest()["table_problems"] == {"funnel": problem}
    (lead,) = read_rows("SELECT entity_id FROM scores ORDER BY entity_id LIMIT 1")
    shutil.rmtree(damaged)
    assert run("forget", "company.yaml", lead["entity_id"])[0] == 0
    assert read_manifest()["table_problems"] == {"funnel": problem}
    assert score(run)[1]["table_problems"] == {}
    assert run("export", "company.yaml")[0] == 0
    assert read_manifest()["table_problems"] == {}
