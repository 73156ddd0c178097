"""The tables of a night next to ``scores.csv``: formulas, instants, and a night without them."""

import json

import pyarrow as pa
import pyarrow.parquet as pq

from serve.export.export import write_export
from serve.export.night_files import NightFiles, read_table_problems
from serve.night_tables import NIGHT_TABLES
from tests.serve.samples import MONDAY, a_run, some_scores, some_tables

FORMULA = "=HYPERLINK(1)"


def test_formulas_are_neutral_in_csv_and_kept_in_parquet(tmp_path):
    run = a_run()
    tables = some_tables(run, ids=(FORMULA, "+1", "plain"))
    folder = write_export(some_scores(run), tmp_path, run, extras=NightFiles(tables)).file.parent
    for table in NIGHT_TABLES:
        header, *lines = (folder / f"{table.name}.csv").read_text("utf-8").splitlines()
        assert header.split(",") == table.exported.names
        assert len(lines) == 3 and lines[0].startswith("acme,2025-07-07T04:30:00.123456Z,1,")
        written = pq.read_table(folder / f"{table.name}.parquet")
        assert written["as_of"].to_pylist() == [MONDAY] * 3
        has_text = pa.string() in table.rows.types
        assert ((FORMULA in str(written.to_pylist())) and (f"'{FORMULA}" in lines[0])) == has_text
        assert not any(cell[:1] in "=+" for line in lines for cell in line.split(",") if cell)


def test_night_without_tables_takes_the_former_files_away(tmp_path):
    first, second = a_run("r1"), a_run("r2")
    write_export(some_scores(first), tmp_path, first, extras=NightFiles(some_tables(first)))
    problems = {"funnel": "KeyError"}
    without = NightFiles({}, problems)
    folder = write_export(some_scores(second), tmp_path, second, extras=without).file.parent
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "scores.csv"]
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert (manifest["tables"], manifest["table_problems"]) == ({}, problems)


def test_problems_of_a_run_are_read_from_its_own_exports(tmp_path):
    for run_id, problems in (("r1", {"funnel": "KeyError"}), ("r2", {"forecast": "OSError"})):
        run = a_run(run_id)
        write_export(some_scores(run), tmp_path, run, extras=NightFiles({}, problems))
    assert read_table_problems(tmp_path, "r1") == {"funnel": "KeyError"}
    assert read_table_problems(tmp_path, "r2") == {"forecast": "OSError"}
    assert read_table_problems(tmp_path, "r3") == read_table_problems(tmp_path / "no", "r1") == {}
    # Neither damage nor what is no export is in the way.
    damaged = (tmp_path / "exports/current").resolve() / "manifest.json"
    for content in ("", "[]", '{"run_id": "r2"}', '{"run_id": "r2", "table_problems": [1]}'):
        damaged.write_text(content, "utf-8")
        assert read_table_problems(tmp_path, "r2") == {}
    assert read_table_problems(tmp_path, "r1") == {"funnel": "KeyError"}
