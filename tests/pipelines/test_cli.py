"""The command line as a script sees it: exit codes, two-line errors, JSON and files."""

import csv
import hashlib
import json
import math
import re
import shutil
import sqlite3
import subprocess
import sys

import jsonschema
import pytest
import yaml

from models.learners import lightgbm
from pipelines import cli
from pipelines.json_output.commands import build_output_schema
from pipelines.json_output.nightly import ErrorOutput
from serve.night_tables import NIGHT_TABLES
from serve.store.tables import TABLES
from tests.pipelines import tiny


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run one command in tmp_path; return its exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["leadscore", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        printed = capsys.readouterr()
        return stop.value.code or 0, printed.out, printed.err

    return call


@pytest.fixture
def few_rounds(monkeypatch):
    """Trees enough to learn something, few enough to be quick."""
    monkeypatch.setattr(lightgbm, "ROUNDS", 15)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a folder with a small company whose target has a champion."""
    folder = tmp_path_factory.mktemp("trained")
    tiny.write(folder)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pipelines.cli",
            "train",
            "company.yaml",
            "--as-of",
            tiny.END,
            "--direct",
            "--json",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


def exports(folder):
    current = folder / "workspace" / "exports" / "current"
    return (current / "scores.csv").read_bytes(), json.loads(
        (current / "manifest.json").read_text()
    )


def without_page(export):
    """Return an export without the sign of its page, which only in a night has events of leads."""
    scores, manifest = export
    signs = {name: sign for name, sign in manifest["files"].items() if name != "index.html"}
    return scores, manifest | {"files": signs}


def test_training_prints_metrics_baselines_and_the_gate(trained):
    _, printed = trained
    target = printed["targets"]["buy"]
    assert set(target["metrics"]["roc_auc"]) == {"value", "low", "high", "n"}
    assert 0.6 < target["metrics"]["roc_auc"]["value"] < 0.99
    assert (
        target["metrics"]["log_loss"]["value"]
        < target["baselines"]["base_rate"]["log_loss"]["value"]
    )
    assert target["gate"]["passed"] and len(target["gate"]["tests"]) >= 4
    assert target["rows"]["mature"] + target["rows"]["immature"] == target["rows"]["rows"]


def test_scoring_twice_leaves_one_set_of_rows_and_the_same_file(run, trained, monkeypatch):
    folder, _ = trained
    monkeypatch.chdir(folder)
    code, out, _ = run_in(
        run, folder, monkeypatch, "score", "company.yaml", "--as-of", tiny.END, "--direct", "--json"
    )
    assert code == 0
    first = json.loads(out)
    before, manifest = exports(folder)
    code, out, _ = run_in(
        run, folder, monkeypatch, "score", "company.yaml", "--as-of", tiny.END, "--direct", "--json"
    )
    second = json.loads(out)
    after, again = exports(folder)
    assert (
        code == 0
        and first["status"] == second["status"] == "published"
        and first["run_id"] != second["run_id"]
    )
    assert before == after and hashlib.sha256(after).hexdigest() == again["sha256"]
    changing = {"run_id", "scored_at"}
    assert {k: v for k, v in manifest.items() if k not in changing} == {
        k: v for k, v in again.items() if k not in changing
    }
    with sqlite3.connect(folder / "workspace" / "scores.db") as db:
        rows, keys = db.execute("select count(*), count(distinct entity_id) from scores").fetchone()
        statuses = {row[0] for row in db.execute("select status from score_runs")}
        firms = db.execute(
            "select count(distinct account_id) from scores where account_id is not null"
        ).fetchone()[0]
        known = db.execute("select count(*), sum(entities) from current_account_scores").fetchone()
    assert rows == keys == first["rows"] == len(list(csv.DictReader(after.decode().splitlines())))
    assert (
        first["accounts"] == firms == known[0] == manifest["account_rows"] > 0 and known[1] == rows
    )
    assert statuses == {"published"}


def test_export_of_a_night_equals_its_table(run, trained, monkeypatch):
    """It is written while the table is; an export on request is written from the table."""
    folder, _ = trained
    current = folder / "workspace" / "exports" / "current"
    score = ("score", "company.yaml", "--as-of", tiny.END, "--direct", "--format", "jsonl")
    assert run_in(run, folder, monkeypatch, *score)[0] == 0
    night = read_export(current)
    assert run_in(run, folder, monkeypatch, "export", "company.yaml", "--format", "jsonl")[0] == 0
    # Not compared as a whole: the difference of two pages would take minutes to show.
    again = read_export(current)
    # The company hands no leads over, maps no titles, and has none of the others.
    absent = ("qualification", "buying_group", "customers", "visitors", "channels", "touches")
    absent = (*absent, "uplift")
    tables = [table for table in NIGHT_TABLES if table.group not in absent]
    assert [name for name in night if again[name] != night[name]] == []
    assert (
        set(again)
        == set(night)
        == {
            "manifest.json",
            *(f"{name}.{form}" for name in ("scores", "accounts") for form in ("csv", "jsonl")),
            *(f"{table.name}.{form}" for table in tables for form in ("csv", "parquet")),
        }
    )


def read_export(current):
    """Return the files of an export but its page, which has events of leads in a night alone."""
    files = {path.name: path.read_bytes() for path in current.iterdir()}
    assert b"<!doctype html>" in files.pop("index.html")[:20]
    manifest = json.loads(files["manifest.json"])
    del manifest["files"]["index.html"]
    return files | {"manifest.json": manifest}


def test_older_night_never_replaces_the_newest_export(run, trained, monkeypatch):
    folder, _ = trained
    assert (
        run_in(run, folder, monkeypatch, "score", "company.yaml", "--as-of", tiny.END, "--direct")[
            0
        ]
        == 0
    )
    newest, _ = exports(folder)
    assert (
        run_in(
            run, folder, monkeypatch, "score", "company.yaml", "--as-of", "2024-12-20", "--direct"
        )[0]
        == 0
    )
    assert exports(folder)[0] == newest
    assert (
        run_in(run, folder, monkeypatch, "export", "company.yaml", "--as-of", "2024-12-20")[0] == 0
    )
    assert exports(folder)[1]["as_of"].startswith("2024-12-19T23:00")


def test_unknown_format_is_refused_before_anything_is_published(run, trained, monkeypatch):
    folder, _ = trained
    with sqlite3.connect(folder / "workspace" / "scores.db") as db:
        before = db.execute("select count(*) from score_runs").fetchone()
    code, _, err = run_in(
        run,
        folder,
        monkeypatch,
        "score",
        "company.yaml",
        "--as-of",
        tiny.END,
        "--format",
        "pdf",
        "--direct",
    )
    with sqlite3.connect(folder / "workspace" / "scores.db") as db:
        assert db.execute("select count(*) from score_runs").fetchone() == before
    assert code == 2 and "pdf" in err


def test_night_delivers_every_export_of_the_config(run, trained, monkeypatch):
    folder, _ = trained
    text = yaml.safe_load((folder / "company.yaml").read_text())
    sales = {
        "format": "salesforce",
        "key": "Id__c",
        "columns": {"S__c": "buy.score"},
        "delta": True,
    }
    text["publish"] = {"exports": {"sales": sales, "lake": {"format": "parquet"}}}
    (folder / "crm.yaml").write_text(yaml.safe_dump(text, sort_keys=False))
    night = ("score", "crm.yaml", "--as-of", tiny.END, "--direct", "--json")
    code, out, _ = run_in(run, folder, monkeypatch, *night)
    told = json.loads(out)
    assert code == 0 and [(one["name"], one["rows"]) for one in told["deliveries"]] == [
        ("sales", told["rows"]),
        ("lake", told["rows"]),
    ]
    sold = (folder / told["deliveries"][0]["folder"] / "part-0001.csv").read_text().splitlines()[1:]
    scores = csv.DictReader(exports(folder)[0].decode().splitlines())
    assert sold == [f"{row['entity_id']},{row['score']}" for row in scores]
    shutil.rmtree(folder / "workspace" / "exports" / "sales")
    (folder / "workspace" / "exports" / "sales").write_text("in the way")
    code, _, err = run_in(run, folder, monkeypatch, *night)
    assert code == 1 and "the scores are published, but not delivered to every CRM" in err
    code, out, _ = run_in(run, folder, monkeypatch, "export", "crm.yaml", "--deliveries", "--json")
    states = [row["status"] for row in json.loads(out)["deliveries"] if row["name"] == "sales"]
    assert code == 0 and states[0] == "delivered" and set(states[1:]) == {"failed"}


def test_export_missing_after_a_killed_run_is_written_by_the_next(run, trained, monkeypatch):
    """A run may die between commit and export: the next one, even a failing one, exports."""
    folder, _ = trained
    assert (
        run_in(run, folder, monkeypatch, "score", "company.yaml", "--as-of", tiny.END, "--direct")[
            0
        ]
        == 0
    )
    published = exports(folder)
    assert run_in(run, folder, monkeypatch, "export", "company.yaml", "--as-of", "2024-12-20")[
        0
    ] in (0, 2)
    manifest = folder / "workspace" / "exports" / "current" / "manifest.json"
    manifest.write_text(json.dumps({"run_id": "an older night"}))
    code, _, err = run_in(
        run, folder, monkeypatch, "score", "company.yaml", "--as-of", "2026-01-01", "--direct"
    )
    assert code == 3 and "killed before its export" in err
    assert without_page(exports(folder)) == without_page(published)


def test_version_that_the_gate_refused_cannot_be_promoted(run, tmp_path):
    """Where the outcome is chance the gate and promote refuse, and nothing is scored."""
    tiny.write(tmp_path, signal=False)
    code, out, err = run("train", "company.yaml", "--as-of", tiny.END, "--direct")
    assert code == 4 and "refused by the gate" in out and "needs" in err
    assert "Downloading" not in err and "it/s" not in err
    code, _, err = run("promote", "company.yaml", "--target", "buy")
    assert code == 4 and "did not pass" in err
    assert run("score", "company.yaml", "--as-of", tiny.END, "--direct")[0] == 5


def test_check_fails_where_a_target_cannot_be_trained(run, tmp_path):
    edit(tmp_path, put("targets", "buy", "horizon", "5000d"))
    code, out, _ = run("check", "company.yaml", "--as-of", tiny.END)
    assert code == 3 and "no rows are mature" in out


def test_failure_with_json_is_an_object_too(run, tmp_path):
    tiny.write(tmp_path)
    code, out, _ = run("score", "company.yaml", "--as-of", tiny.END, "--direct", "--json")
    assert code == 5 and json.loads(out)["exit_code"] == 5


def run_in(run, folder, monkeypatch, *arguments):
    monkeypatch.chdir(folder)
    return run(*arguments)


def test_explain_shows_the_published_scores(run, trained, monkeypatch):
    folder, _ = trained
    run_in(run, folder, monkeypatch, "score", "company.yaml", "--as-of", tiny.END, "--direct")
    row = next(csv.DictReader(exports(folder)[0].decode().splitlines()))
    code, out, _ = run_in(
        run, folder, monkeypatch, "explain", "company.yaml", row["entity_id"], "--json"
    )
    found = json.loads(out)["now"][0]
    assert code == 0 and f"{found['probability']:.9f}" == f"{float(row['probability']):.9f}"
    assert any(reason["sentence"] == row["reason_1"] for reason in found["reasons"])
    half, most = (math.ceil(float(row[f"outcome_days_{share}"])) for share in (50, 80))
    assert 1 <= half <= most <= 21
    code, told, _ = run_in(run, folder, monkeypatch, "explain", "company.yaml", row["entity_id"])
    when = (
        f"if it happens within 21 days, half of such cases have by day {half}, "
        f"eight of ten by day {most}"
    )
    assert (
        code == 0
        and when in " ".join(told.split())
        and json.loads(out)["when"]["buy"].startswith(when)
    )
    code, _, err = run_in(run, folder, monkeypatch, "explain", "company.yaml", "nobody")
    assert code == 2 and "'nobody'" in err


def test_rollback_without_a_predecessor_says_so(run, trained, monkeypatch):
    folder, _ = trained
    code, _, err = run_in(run, folder, monkeypatch, "rollback", "company.yaml", "--target", "buy")
    assert code == 2 and "buy" in err


def test_check_counts_add_up(run, tmp_path):
    tiny.write(tmp_path)
    code, out, _ = run("check", "company.yaml", "--as-of", tiny.END, "--json")
    found = json.loads(out)
    assert code == 0
    for count in found["counts"]:
        assert count["rows_in"] == count["used"] + count["skipped"] + sum(
            count["quarantined"].values()
        )
    assert (
        found["targets"]["buy"]["base_rate"]
        == found["targets"]["buy"]["positive"] / found["targets"]["buy"]["mature"]
    )
    code, out, _ = run("check", "company.yaml", "--as-of", tiny.END)
    assert code == 0 and "bought" in out and "base rate" in out


def test_features_writes_the_matrix_by_the_catalogues_names(run, tmp_path):
    import pyarrow.parquet as pq

    tiny.write(tmp_path)
    code, out, _ = run("features", "company.yaml", "--as-of", tiny.END, "--list")
    assert code == 0 and "visit_count_7d" in out
    assert run("features", "company.yaml", "--as-of", tiny.END, "--out", "m.parquet")[0] == 0
    matrix = pq.read_table(tmp_path / "m.parquet")
    assert matrix.num_rows == 900 and {"visit_count_7d", "stage_now", "country"} <= set(
        matrix.column_names
    )
    assert run("features", "company.yaml", "--out", "m.xls")[0] == 2


def test_features_ablation_measures_each_family_and_writes_nothing(run, tmp_path, few_rounds):
    tiny.write(
        tmp_path, features=tiny.CONFIG["features"] | {"families": ["counts", "lead"]}, leads=400
    )
    code, out, err = run("features", "company.yaml", "--as-of", tiny.END, "--ablation", "--json")
    assert code == 0 and "buy: 5 of 5: only lead" in err
    found = json.loads(out)["targets"]["buy"]
    parts = [["without", "counts"], ["without", "lead"], ["only", "counts"], ["only", "lead"]]
    assert [[t["kept"], t["family"]] for t in found["trials"]] == [
        ["all", None],
        *parts,
        ["none", None],
    ]
    whole, *parts, base = found["trials"]
    assert whole["features"] == sum(t["features"] for t in parts if t["kept"] == "only")
    assert base["difference"]["low"] > 0 and whole["roc_auc"]["low"] > 0.55
    assert {path.name for path in (tmp_path / "workspace").iterdir()} == {"quarantine"}


def test_ablation_table_explains_how_to_read_it(run, tmp_path, few_rounds):
    tiny.write(tmp_path, features=tiny.CONFIG["features"] | {"families": ["counts"]}, leads=300)
    code, out, _ = run(
        "features", "company.yaml", "--as-of", tiny.END, "--ablation", "--target", "buy"
    )
    assert (
        code == 0 and "without counts" in out and "only counts" in out and "+ is worse than" in out
    )


@pytest.mark.parametrize(
    "options", [["--json"], ["--ablation", "--target", "bye"], ["--ablation", "--list"]]
)
def test_options_that_do_not_go_together_are_refused(run, tmp_path, options):
    tiny.write(tmp_path, leads=30)
    code, _, err = run("features", "company.yaml", *options)
    assert code == 2 and "fix: " in err


def edit(tmp_path, change, **options):
    """Write the small company with a changed config."""
    path = tiny.write(tmp_path, **options)
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(config)
    path.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")


def put(*keys_and_value):
    """Return a change that sets a value deep inside the config."""
    *keys, last, value = keys_and_value

    def change(config):
        for key in keys:
            config = config[key]
        config[last] = value

    return change


BAD_CONFIGS = {
    "a key of the top level misspelt": (
        lambda config: config.update(target=config.pop("targets")),
        2,
        "targets",
    ),
    "missing file": (put("sources", "leads", "path", "gone.csv"), 3, "gone.csv"),
    "missing column": (put("sources", "leads", "created_at", "creatd"), (2, 3), "created"),
    "unknown key": (put("targets", "buy", "horizn", "3d"), 2, "horizon"),
    "bad duration": (put("targets", "buy", "horizon", "3 moons"), 2, "3 moons"),
    "an outcome that never occurs": (
        put("targets", "buy", "outcome", "bougt"),
        2,
        "did you mean bought?",
    ),
    "an entry that never occurs": (
        put("targets", "buy", "population", "after", "mett"),
        2,
        "did you mean met?",
    ),
    "bad zone": (put("timezone", "Europe/Berlino"), 2, "Berlino"),
    "all immature": (put("targets", "buy", "horizon", "5000d"), 3, "0 of"),
    "unset variable": (
        put("sources", "leads", "path", "${NO_SUCH_PLACE}/x.csv"),
        2,
        "NO_SUCH_PLACE",
    ),
}


@pytest.mark.parametrize("name", BAD_CONFIGS)
def test_config_error_is_printed_in_two_lines_with_its_fix(run, tmp_path, name):
    change, codes, words = BAD_CONFIGS[name]
    edit(tmp_path, change)
    code, out, err = run("train", "company.yaml", "--as-of", tiny.END, "--direct")
    assert code in (codes if isinstance(codes, tuple) else (codes,)), err
    assert words in out + err and "fix: " in out + err
    assert "Traceback" not in err


def test_typo_in_a_target_suggests_the_right_one(run, tmp_path):
    tiny.write(tmp_path)
    code, _, err = run("train", "company.yaml", "--target", "bye", "--direct")
    assert code == 2 and "did you mean buy?" in err


@pytest.mark.parametrize(
    ("as_of", "code", "words"),
    [
        ("2023-01-01", 3, "the first row became known"),
        ("2026-01-01", 3, "the data is too old"),
        ("yesterday", 2, "'yesterday'"),
    ],
)
def test_impossible_as_of_is_refused(run, tmp_path, as_of, code, words):
    tiny.write(tmp_path)
    found, _, err = run("train", "company.yaml", "--as-of", as_of, "--direct")
    assert found == code and words in err and err.count("\n") <= 5


def test_empty_log_one_row_file_and_single_class_are_refused_with_numbers(run, tmp_path):
    tiny.write(tmp_path)
    lines = (tmp_path / "events.csv").read_text().splitlines()
    (tmp_path / "events.csv").write_text(lines[0] + "\n")
    code, _, err = run("train", "company.yaml", "--as-of", tiny.END, "--direct")
    assert code == 2 and "no event at all" in err
    only = [line for line in lines if "bought" not in line][:400]
    first_bought = next(line for line in lines if "bought" in line)
    (tmp_path / "events.csv").write_text("\n".join([*only, first_bought]) + "\n")
    code, out, err = run("train", "company.yaml", "--as-of", tiny.END, "--direct")
    assert code == 3 and re.search(r"\d", out + err)
    (tmp_path / "leads.csv").write_text("id,created,firm,country,size\nL0001,2024-05-01,F0,DE,1\n")
    code, out, err = run("check", "company.yaml", "--json")
    assert code in (0, 3)


def test_scoring_without_a_champion_publishes_nothing(run, tmp_path):
    tiny.write(tmp_path)
    code, _, err = run("score", "company.yaml", "--as-of", tiny.END, "--direct")
    assert code == 5 and "leadscore train company.yaml" in err
    assert not (tmp_path / "workspace" / "exports").exists()
    with sqlite3.connect(tmp_path / "workspace" / "scores.db") as db:
        assert db.execute("select status, model_version from score_runs").fetchall() == [
            ("refused", None)
        ]


def test_failed_night_is_in_the_ledger_and_leaves_the_export(run, trained, monkeypatch):
    folder, _ = trained
    run_in(run, folder, monkeypatch, "score", "company.yaml", "--as-of", tiny.END, "--direct")
    before = exports(folder)
    code, _, _ = run_in(
        run, folder, monkeypatch, "score", "company.yaml", "--as-of", "2026-01-01", "--direct"
    )
    assert code == 3 and exports(folder) == before
    with sqlite3.connect(folder / "workspace" / "scores.db") as db:
        status, message = db.execute(
            "select status, message from score_runs where as_of like '2025-12-31%'"
        ).fetchone()
    assert status == "failed" and "too old" in message


def test_hostile_text_survives_the_whole_line(run, tmp_path):
    """Ids that look like numbers, Cyrillic, emoji, formulas and a NUL byte, from file to export."""
    tiny.write(tmp_path)
    names = {
        "L0000": "007",
        "L0001": "1234567890123456789",
        "L0002": "Лид №1",
        "L0003": "😀",
        "L0004": "=1+1",
    }
    for name in ("leads.csv", "events.csv"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        for old, new in names.items():
            text = text.replace(f"{old},", f"{new},")
        (tmp_path / name).write_text(text, encoding="utf-8")
    with (tmp_path / "leads.csv").open("ab") as file:
        file.write(b"bad\x00id,2024-12-30,F1,DE,1\n")
    assert run("train", "company.yaml", "--as-of", tiny.END, "--direct")[0] == 0
    assert run("score", "company.yaml", "--as-of", "2024-12-25", "--direct")[0] == 0
    written = {
        row["entity_id"] for row in csv.DictReader(exports(tmp_path)[0].decode().splitlines())
    }
    with sqlite3.connect(tmp_path / "workspace" / "scores.db") as db:
        stored = {row[0] for row in db.execute("select entity_id from scores")}
    assert {name.replace("=1+1", "'=1+1") for name in stored} == written
    assert not any("\x00" in name for name in stored)


def test_second_run_is_refused_while_the_first_runs(run, tmp_path):
    from serve.lock import lock_workspace

    tiny.write(tmp_path)
    with lock_workspace(tmp_path / "workspace"):
        code, _, err = run("score", "company.yaml", "--as-of", tiny.END, "--direct")
    assert code == 6 and "pid" in err


def test_workspace_cannot_be_shared_by_two_projects(run, tmp_path, monkeypatch):
    tiny.write(tmp_path)
    (tmp_path / "workspace").mkdir()
    (tmp_path / "workspace" / "project.txt").write_text("other")
    code, _, err = run("score", "company.yaml", "--as-of", tiny.END, "--direct")
    assert code == 2 and "'other'" in err


def test_help_is_light():
    """No heavy library is imported to print the help."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "pipelines.cli", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    heavy = {
        "pandas",
        "numpy",
        "pyarrow",
        "mlflow",
        "prefect",
        "numba",
        "sklearn",
        "lightgbm",
        "duckdb",
        "matplotlib",
    }
    assert not loaded & heavy
    assert "score" in done.stdout


def test_help_lists_each_command_on_one_uncut_line(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for arguments in (["--help"], ["-h"], []):
        code, out, _ = run(*arguments)
        assert code == 0
        for group, commands in cli.COMMANDS.items():
            lines = out[out.index(f"{group}:") :].splitlines()[1 : len(commands) + 1]
            assert [line.split()[0] for line in lines] == [c.__name__ for c in commands]
            assert all(line.endswith(".") and not line.endswith("...") for line in lines)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian", "c.yaml"], "Did you mean 'train'"),
        (["train", "c.yaml", "--taget", "x"], "--target"),
        (["train"], "Missing argument"),
        (["check", "none.yaml"], "config file not found"),
        (["check", "none.yaml", "-q", "-v"], "exclude each other"),
        (["score", "none.yaml", "--direct", "-q"], "config file not found"),
    ],
)
def test_failure_is_said_and_is_json_if_asked_for(run, arguments, words):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "") and words in err
    code, out, err = run(*arguments, "--json")
    failure = json.loads(out)
    jsonschema.validate(failure, ErrorOutput.model_json_schema())
    assert code == failure["exit_code"] == 2
    assert words in err and words in failure["error"] and failure["what"]


def test_verbose_command_says_versions_files_and_seconds(run, tmp_path):
    tiny.write(tmp_path, leads=60)
    _, usual, plain = run("check", "company.yaml", "--as-of", tiny.END)
    _, out, err = run("check", "company.yaml", "--as-of", tiny.END, "-v")
    assert out == usual and plain == ""
    for words in ("leadscore ", "pyarrow ", "reading leads.csv", "reading events.csv", "MiB"):
        assert words in err
    assert all(re.match(r"\[ +\d+\.\d\d s \+\d+\.\d\d\] ", line) for line in err.splitlines())
    # The next command of the process is as quiet as ever.
    assert run("check", "company.yaml", "--as-of", tiny.END)[2] == ""


def test_schema_is_json(run):
    code, out, _ = run("schema")
    assert code == 0 and json.loads(out)["title"] == "Project"


def test_schema_of_the_tables_has_each_of_them(run):
    code, out, _ = run("schema", "--tables")
    printed = json.loads(out)
    jsonschema.validate(printed, build_output_schema("schema --tables"))
    assert code == 0 and list(printed["tables"]) == [table.name for table in TABLES]
    stuck = printed["tables"]["stuck"]
    assert stuck["key"] == ["as_of", "project", "entity_id"]
    assert stuck["columns"][3] == {
        "name": "entity_id",
        "type": "text",
        "nullable": False,
        "meaning": "the lead",
    }


def test_leads_file_without_rows_is_named_in_the_error(run, tmp_path):
    tiny.write(tmp_path)
    (tmp_path / "leads.csv").write_text("id,created,firm,country,size\n")
    code, _, err = run("check", "company.yaml", "--as-of", tiny.END)
    assert code == 3 and "no usable lead" in err and "leads.csv" in err
    (tmp_path / "leads.csv").write_text("")
    code, _, err = run("check", "company.yaml", "--as-of", tiny.END)
    assert code == 3 and "at least a header" in err


def test_check_says_where_one_text_makes_a_number_a_category(run, tmp_path):
    tiny.write(tmp_path)
    text = (tmp_path / "leads.csv").read_text().splitlines()
    text[5] = text[5].rsplit(",", 1)[0] + ",many"
    (tmp_path / "leads.csv").write_text("\n".join(text))
    code, out, _ = run("check", "company.yaml", "--as-of", tiny.END, "--json")
    assert code == 0
    assert [w for w in json.loads(out)["warnings"] if "1 of 900 values" in w and "'many'" in w]


def test_lack_of_memory_is_named(monkeypatch, capsys):
    def run_out_of_memory():
        raise MemoryError

    monkeypatch.setattr(cli, "app", run_out_of_memory)
    monkeypatch.setattr(sys, "argv", ["leadscore", "score"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    err = capsys.readouterr().err
    assert stop.value.code == 1 and "not enough memory" in err and "unexpected" not in err
