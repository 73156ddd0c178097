import csv
import errno
import hashlib
import io
import json
import os
import sys
import unicodedata
from datetime import timedelta
from functools import partial

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import ConfigError, LeadscoreError
from features.score_tables import QUALIFICATION_COLUMNS
from serve.export import atomic_folders, export, page_file
from serve.export.export import ACCOUNTS_SCHEMA, EXPORT_SCHEMA, KEPT_FOLDERS, write_export
from tests.serve.samples import LATER, MONDAY, TUESDAY, a_reason, a_run, some_accounts, some_scores

COLUMNS = [
    *("project", "target", "entity_id", "account_id", "as_of", "cutoff", "probability"),
    *("probability_low", "probability_high", "score", "grade", "rank", "percentile"),
    *("amount", "expected_value"),
    *("outcome_days_50", "outcome_days_80", "fit", "engagement", "evidence"),
    *(
        "previous_score",
        "previous_grade",
        "falling_since",
        "trend",
        "trend_7d",
        "trend_30d",
        "owner",
        "listed",
        "review_at",
        "stage",
        "stage_age",
        "stuck",
        "expected_close_p20",
        "expected_close_p50",
        "expected_close_p80",
        "overdue",
        *QUALIFICATION_COLUMNS,
    ),
    *("reason_1", "reason_2", "reason_3", "against_1", "against_2", "against_3", "model_version"),
]


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def complete(root):
    """Return the manifest of the current export after checking its files against it."""
    folder = (root / "exports" / "current").resolve(strict=True)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    for name, file in manifest["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == file["sha256"]
    assert len(read(folder / "scores.csv")) == manifest["rows"]
    assert {path.name for path in folder.iterdir()} == {"manifest.json", *manifest["files"]}
    assert (manifest["page"] == "index.html") == ("index.html" in manifest["files"])
    if manifest["page"]:
        assert (folder / "index.html").read_bytes() == page_of_id(manifest["run_id"])
    return manifest


def page_of_id(run_id):
    return f"the page of {run_id}\n".encode() * 1000


def page_of(run):
    """Return a builder of the page of a run."""
    return lambda: page_of_id(run.run_id)


def test_csv_has_columns_rows_and_number_formats(tmp_path):
    run = a_run(as_of=MONDAY.replace(microsecond=0), targets=("propensity", "close"))
    scores = some_scores(
        run,
        ids=["b", "a"],
        probability=[0.5, 1 / 3, 1e-7, 0.1 + 0.2],
        expected_value=[None, -1.5, 1234567.891, 2e15],
        trend=[None, -3, 0, 4],
        rank=[2, 1, 1, 2],
    )
    rows = read(write_export(scores, tmp_path, run).file)
    assert list(rows[0]) == COLUMNS == EXPORT_SCHEMA.names
    assert [(row["target"], row["rank"], row["entity_id"]) for row in rows] == [
        ("close", "1", "b"),
        ("close", "2", "a"),
        ("propensity", "1", "a"),
        ("propensity", "2", "b"),
    ]
    assert [row["probability"] for row in rows] == ["0.0000001", "0.3", "0.333333333333", "0.5"]
    assert [row["expected_value"] for row in rows] == [
        "1234567.891",
        "2000000000000000",
        "-1.5",
        "",
    ]
    assert [row["trend"] for row in rows] == ["0", "4", "-3", ""]
    assert [row["outcome_days_80"] for row in rows] == ["9.5", "", "", "7.5"]
    assert {row["as_of"] for row in rows} == {"2025-07-07T04:30:00Z"}
    # By target and rank these are rows 2, 3, 1, 0 of the sample, whose cutoffs are as many hours
    # before the night.
    assert [row["cutoff"] for row in rows] == [f"2025-07-07T0{4 - i}:30:00Z" for i in (2, 3, 1, 0)]


def test_reasons_become_columns(tmp_path):
    sentences = [a_reason(c, f"s{c}") for c in (0.9, 0.8, 0.7, 0.6, -0.5, -0.4)]
    run = a_run()
    path = write_export(
        some_scores(run, reasons=[json.dumps(sentences), "[]", json.dumps(sentences[4:])]),
        tmp_path,
        run,
    ).file
    sides = [
        [row[f"{side}_{place}"] for side in ("reason", "against") for place in (1, 2, 3)]
        for row in read(path)
    ]
    assert sides == [
        ["s0.9", "s0.8", "s0.7", "s-0.5", "s-0.4", ""],
        [""] * 6,
        [""] * 3 + ["s-0.5", "s-0.4", ""],
    ]


def test_csv_follows_rfc_4180(tmp_path):
    run = a_run()
    content = write_export(
        some_scores(run, ids=['say "hi", you', "é😀", "0012"]), tmp_path, run
    ).file.read_bytes()
    assert content.startswith(b"project,target,")
    assert content.count(b"\r\n") == content.count(b"\n") == content.count(b"\r") == 4
    assert content.endswith(b"\r\n")
    assert b'"say ""hi"", you"' in content
    assert b",0012," in content


def test_manifest_describes_export(tmp_path):
    run = a_run(targets=("close", "propensity", "empty"))
    scores = some_scores(a_run(targets=("close", "propensity")))
    path = write_export(scores, tmp_path, run).file
    manifest = json.loads((path.parent / "manifest.json").read_text())
    assert [column["name"] for column in manifest.pop("columns")] == COLUMNS
    files = manifest.pop("files")
    assert manifest == {
        "schema_version": 2,
        "project": "acme",
        "as_of": "2025-07-07T04:30:00.123456Z",
        "rows": 6,
        "rows_by_target": {"close": 3, "propensity": 3, "empty": 0},
        "model_versions": {"close": "7", "propensity": "7", "empty": "7"},
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "bytes": path.stat().st_size,
        "run_id": "r1",
        "scored_at": "2025-08-01T02:03:04.000005Z",
        "config_hash": "c0ffee",
        "data_fingerprint": "f00d",
        "code_version": "0.1.0",
        "page": None,
        "page_problem": None,
        "tables": {},
        "table_problems": {},
    }
    assert files == {"scores.csv": {"sha256": manifest["sha256"], "bytes": manifest["bytes"]}}


def test_export_without_scores_is_a_header(tmp_path):
    run = a_run()
    path = write_export(some_scores(run, ids=[]), tmp_path, run).file
    assert path.read_bytes() == ",".join(COLUMNS).encode() + b"\r\n"
    assert complete(tmp_path)["scored_at"] is None


def test_runs_of_same_as_of_write_same_file(tmp_path):
    first, second = a_run("r1"), a_run("r2")
    content = write_export(some_scores(first), tmp_path, first).file.read_bytes()
    rows = some_scores(second, scored_at=[LATER + timedelta(days=1)] * 3)
    assert write_export(rows.take([2, 0, 1]), tmp_path, second).file.read_bytes() == content
    assert complete(tmp_path)["run_id"] == "r2"


def test_export_replaces_edited_file(tmp_path):
    run = a_run()
    path = write_export(some_scores(run), tmp_path, run).file
    path.write_text("saved by a spreadsheet")
    write_export(some_scores(run), tmp_path, run)
    assert complete(tmp_path)["rows"] == 3


def test_other_formats_are_written_next_to_csv(tmp_path):
    run = a_run()
    hostile = some_scores(run, ids=["=1+1", "a\nb", "c"])
    lines = (
        write_export(hostile, tmp_path, run, "jsonl").file.read_text(encoding="utf-8").splitlines()
    )
    rows = [json.loads(line) for line in lines]
    assert list(rows[0]) == COLUMNS
    assert [row["entity_id"] for row in rows] == ["=1+1", "a\nb", "c"]
    assert [row["probability"] for row in rows] == hostile["probability"].to_pylist()
    assert [row["cutoff"] for row in rows] == [
        f"2025-07-07T0{hour}:30:00.123456Z" for hour in (4, 3, 2)
    ]
    assert set(complete(tmp_path)["files"]) == {"scores.csv", "scores.jsonl"}
    table = pq.read_table(write_export(hostile, tmp_path, run, "parquet").file)
    assert table.schema == EXPORT_SCHEMA
    assert table["entity_id"].to_pylist() == ["=1+1", "a\nb", "c"]
    assert set(complete(tmp_path)["files"]) == {"scores.csv", "scores.parquet"}


def test_unknown_format_is_a_config_error(tmp_path):
    with pytest.raises(ConfigError, match="xlsx"):
        write_export(some_scores(a_run()), tmp_path, a_run(), "xlsx")
    assert not (tmp_path / "exports").exists()


@pytest.mark.parametrize("stranger", [a_run(as_of=TUESDAY), a_run(project="zeta")])
def test_export_rejects_scores_of_other_as_of_or_project(tmp_path, stranger):
    with pytest.raises(ValueError, match="3 scores do not belong to project"):
        write_export(some_scores(stranger), tmp_path, a_run())


def test_export_keeps_newest_former_exports(tmp_path):
    (tmp_path / "exports" / "mine").mkdir(parents=True)
    runs = [a_run(as_of=MONDAY - timedelta(days=i)) for i in range(KEPT_FOLDERS + 3)]
    for i, run in enumerate(runs):
        path = write_export(some_scores(run), tmp_path, run).file.resolve()
        os.utime(path.parent, ns=(i * 10**9, i * 10**9))
    names = sorted(
        path.name
        for path in (tmp_path / "exports").iterdir()
        if path.name not in ("current", "mine")
    )
    days = {name[:8] for name in names}
    assert days == {f"{run.as_of:%Y%m%d}" for run in runs[-KEPT_FOLDERS - 1 :]}
    assert len(names) == KEPT_FOLDERS + 1
    assert (tmp_path / "exports" / "mine").is_dir()
    assert complete(tmp_path)["as_of"].startswith(f"{runs[-1].as_of:%Y-%m-%d}")


hostile_text = st.one_of(
    st.text(max_size=12),
    st.text(
        st.sampled_from("=+-@\t\r\n\0\x85\u2028\u2029 ',;\"\\|aЖ😀\ufeff0N"), min_size=1, max_size=8
    ),
    st.sampled_from(
        ["=cmd|' /C calc'!A0", "@SUM(1)", "NULL", "NaN", "0012", "1e5", "+49 30 1", "'", '"', " =1"]
    ),
)


def neutral(text):
    """Return the expected text by the documented rule, with Python's own character table."""
    unsafe = [unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in text]
    mark = "'" if text and (text[0] in "=+-@" or unsafe[0]) else ""
    return mark + "".join(" " if bad else c for c, bad in zip(text, unsafe, strict=True))


@given(st.lists(st.tuples(hostile_text, hostile_text, hostile_text), min_size=6, max_size=12))
@settings(max_examples=15, deadline=None)
def test_hostile_text_is_neutralised_and_nothing_else_changes(tmp_path_factory, texts):
    root, run = tmp_path_factory.mktemp("hostile"), a_run()
    ids, accounts, sentences = zip(*texts, strict=True)
    reasons = [
        json.dumps([a_reason(0.5, s), a_reason(-0.5, s)], ensure_ascii=False) for s in sentences
    ]
    scores = some_scores(run, ids=ids, account_id=accounts, reasons=reasons)
    path = write_export(scores, root, run).file
    names = ["entity_id", "account_id", "reason_1", "against_1"]
    expected = [[neutral(i), neutral(a), neutral(s), neutral(s)] for i, a, s in texts]
    assert [[row[name] for name in names] for row in read(path)] == expected
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    assert frame[names].to_numpy().tolist() == expected
    options = "header=true, all_varchar=true, delim=',', quote='\"', escape='\"'"
    query = f"SELECT {', '.join(names)} FROM read_csv(?, {options})"
    cells = duckdb.connect().execute(query, [str(path)]).fetchall()
    assert [[cell or "" for cell in row] for row in cells] == expected
    assert [float(row["probability"]) for row in read(path)] == pytest.approx(
        scores["probability"].to_pylist(), rel=1e-11
    )


STEPS = [(os, "fsync"), (os, "replace"), (os, "mkdir"), (os, "symlink"), (io, "open"), (os, "open")]


def failing_at(monkeypatch, step):
    """Make the step-th call that writes to disk fail, as a full disk would."""
    calls = []
    for home, name in STEPS:
        real = getattr(home, name)

        def trap(*args, real=real, **kwargs):
            calls.append(real)
            if len(calls) == step:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(*args, **kwargs)

        monkeypatch.setattr(home, name, trap)


def test_full_disk_at_any_step_leaves_consistent_export(tmp_path, monkeypatch):
    old, new = a_run("old"), a_run("new", TUESDAY)
    write_export(some_scores(old), tmp_path, old, build_page=page_of(old))
    without_page = 0
    for step in range(1, 100):
        with monkeypatch.context() as patch:
            failing_at(patch, step)
            try:
                written = write_export(some_scores(new), tmp_path, new, build_page=page_of(new))
            except LeadscoreError as error:
                assert "No space left on device" in str(error)
            else:
                if written.page:
                    break
                without_page += 1
                assert written.page_problem == "No space left on device"
        complete(tmp_path)
    # A page that cannot be flushed is left out.
    assert step > 10 and without_page
    assert complete(tmp_path)["run_id"] == "new"
    assert not [path for path in (tmp_path / "exports").iterdir() if path.name.startswith(".")]


DISK_WORK = {"write_export", "_write_staging", "switch_current", "write_page"}
DISK_FILES = {export.__file__, atomic_folders.__file__, page_file.__file__}


def in_a_fork(work):
    """Start work in a forked process, which never returns into the tests; return its id."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(2)
    return child


def dying_export(root, run, line):
    """Export, and exit at the line-th line of the functions that order the disk writes."""
    left = [line]

    def trace(frame, event, _):
        if frame.f_code.co_filename not in DISK_FILES or frame.f_code.co_name not in DISK_WORK:
            return None
        left[0] -= event == "line"
        if left[0] < 0:
            os._exit(1)
        return trace

    scores = some_scores(run, ids=["only"])
    sys.settrace(trace)
    write_export(scores, root, run, build_page=page_of(run))


def test_kill_at_any_line_leaves_consistent_export(tmp_path):
    old, new = a_run("old"), a_run("new", TUESDAY)
    write_export(some_scores(old), tmp_path, old, build_page=page_of(old))
    seen = []
    for line in range(200):
        _, status = os.waitpid(in_a_fork(partial(dying_export, tmp_path, new, line)), 0)
        seen.append(complete(tmp_path)["run_id"])
        if os.waitstatus_to_exitcode(status) != 1:
            break
    assert os.waitstatus_to_exitcode(status) == 0
    assert len(seen) > 10
    assert set(seen) == {"old", "new"}
    assert seen == sorted(seen, reverse=True), "once current, the new pair stays"


def test_reader_sees_only_complete_exports(tmp_path):
    runs = [a_run(f"r{i}", MONDAY + timedelta(days=i)) for i in range(30)]
    write_export(some_scores(runs[0]), tmp_path, runs[0])

    def publish_all():
        for i, run in enumerate(runs):
            write_export(some_scores(run, ids=[f"id{j}" for j in range(i + 1)]), tmp_path, run)

    child = in_a_fork(publish_all)
    seen = set()
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        seen.add(complete(tmp_path)["rows"])
    assert len(seen) > 3, "the reader met too few exports to prove anything"


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_accounts_are_written_next_to_scores(tmp_path, form):
    run = a_run(targets=("close", "propensity"))
    write_export(some_scores(run), tmp_path, run, form, some_accounts(run, ("=Acme", "Beta")))
    manifest = complete_files(tmp_path)
    folder = (tmp_path / "exports" / "current").resolve()
    rows = read(folder / "accounts.csv")
    assert (
        list(rows[0])
        == [column["name"] for column in manifest["account_columns"]]
        == ACCOUNTS_SCHEMA.names
    )
    assert [(row["target"], row["account_id"], row["main_contact"]) for row in rows] == [
        *(("close", "'=Acme", "e0"), ("close", "Beta", "e1")),
        *(("propensity", "'=Acme", "e0"), ("propensity", "Beta", "e1")),
    ]
    assert manifest["account_rows"] == 4 and f"accounts.{form}" in manifest["files"]
    write_export(some_scores(run), tmp_path, run, form, some_accounts(run, ()))
    assert "account_rows" not in complete_files(tmp_path)
    with pytest.raises(ValueError, match="not belong to project"):
        write_export(some_scores(run), tmp_path, run, form, some_accounts(a_run(as_of=TUESDAY)))


def complete_files(root):
    """Return the manifest of the current export after checking that it lists exactly its files."""
    folder = (root / "exports" / "current").resolve(strict=True)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert {path.name for path in folder.iterdir()} == {"manifest.json", *manifest["files"]}
    for name, file in manifest["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == file["sha256"]
    return manifest
