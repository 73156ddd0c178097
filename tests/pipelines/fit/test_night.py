"""The fit of a night: published with the scores, and never in their way."""

import csv
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from configs.schema import load_project
from pipelines.fit import night
from pipelines.fit.fit import compute_account_fit
from pipelines.fit.night import NightFit, compute_night_fit
from pipelines.nightly.night import score_night
from pipelines.runner import Runner, read_clock
from pipelines.training_data import load_snapshot
from serve.night_tables import select_group
from tests.pipelines import guarded, tiny
from tests.pipelines.fit import company

NAMES = [table.name for table in select_group("fit")]


@pytest.fixture
def snapshot(tmp_path, monkeypatch):
    """Return a function that reads a small company at an as-of."""

    def take(as_of=company.AS_OF, **changes):
        company.write(tmp_path, 300, **changes)
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
        return load_snapshot(load_project("mills.yaml"), as_of, read_clock())

    return take


def test_night_has_the_fit_of_the_command(snapshot):
    computed = compute_night_fit(snapshot(), None)
    assert (computed.reason, computed.problem) == (None, None)
    expected = compute_account_fit(load_project("mills.yaml"), company.AS_OF)
    assert computed.result.to_json() == expected.to_json()


def test_switched_off_fit_is_not_computed(snapshot, monkeypatch):
    monkeypatch.setattr(night, "build_fit", pytest.fail)
    assert compute_night_fit(snapshot(publish={"fit": False}), None) == NightFit()


def test_young_company_is_a_reason_and_a_wrong_name_a_problem(snapshot, monkeypatch):
    young = compute_night_fit(snapshot("2024-03-01"), None)
    assert "followed for the whole horizon" in young.reason and young.problem is None
    wrong = compute_night_fit(snapshot(fit={"attributes": ["planet"]}), None)
    assert wrong.problem.startswith("config error: no attribute of the leads")

    def fail(*arguments):
        raise MemoryError("all of it, at lead L00001")

    monkeypatch.setattr(night, "build_fit", fail)
    failed = compute_night_fit(snapshot(), None)
    assert failed.problem.startswith("MemoryError") and "L00001" not in failed.problem


@pytest.mark.slow
def test_tables_are_published_and_exported(guarded_company, tmp_path, monkeypatch):
    folder = tmp_path / "company"
    shutil.copytree(guarded_company, folder)
    guarded.rewrite(folder, guarded.PRIVACY, publish={"funnel": False, "forecast": False})
    monkeypatch.chdir(folder)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    project = load_project("company.yaml")
    published = score_night(project, tiny.END, Runner()).published
    assert published.tables.keys() == set(NAMES)
    expected = compute_account_fit(project, tiny.END).tables.by_name()
    with closing(sqlite3.connect("workspace/scores.db")) as database:
        for name in NAMES:
            own = [
                (project_name, run_id)
                for project_name, run_id in database.execute(f"SELECT project, run_id FROM {name}")
            ]
            assert set(own) <= {("tiny", published.run_id)}
            assert len(own) == expected[name].num_rows
            text = Path(f"workspace/exports/current/{name}.csv").read_text(encoding="utf-8")
            rows = list(csv.DictReader(text.splitlines()))
            assert len(rows) == expected[name].num_rows
            assert {row["as_of"][:10] for row in rows} <= {"2024-12-31"}
