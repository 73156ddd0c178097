"""The forecast of a night: published with the scores, and never in their way."""

import csv
import json
import shutil

import pyarrow.parquet as pq
import pytest
import yaml

from configs.errors import ConfigError, DataError
from configs.schema import load_project
from pipelines.forecast import night
from pipelines.forecast.forecast import compute_forecast
from pipelines.nightly.night import score_night
from pipelines.runner import Runner, read_clock
from pipelines.training_data import load_snapshot
from pipelines.workspace import open_store
from serve.page.blocks import read_page_texts
from tests.pipelines import tiny

NIGHT = "2024-12-20"
NAMES = ("forecast", "deals", "forecast_changes", "forecast_track", "forecast_basis")


@pytest.fixture
def company(guarded_company, tmp_path, monkeypatch):
    """Return a function that sets keys of the config of a company with a champion."""
    folder = tmp_path / "company"
    shutil.copytree(guarded_company, folder)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)

    def change(**keys):
        config = yaml.safe_load((folder / "company.yaml").read_text()) | keys
        (folder / "company.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
        return load_project("company.yaml")

    return change


@pytest.mark.slow
def test_night_publishes_what_the_command_shows(company, tmp_path):
    project = company(goals={"goal": 15, "by": "country", "segments": {"DE": 8}})
    result = score_night(project, NIGHT, Runner())
    expected = compute_forecast(project, NIGHT)
    folder = tmp_path / "company/workspace/exports/current"
    store = open_store(project)
    stored = store.night_tables(store.last_published_run("tiny"))
    assert {name: result.published.tables[name] for name in NAMES} == {
        name: stored[name].num_rows for name in NAMES
    }
    for name, rows in expected.by_name().items():
        own = [column for column in rows.column_names if column != "as_of"]
        assert stored[name].select(own).to_pylist() == rows.select(own).to_pylist()
        assert (
            pq.read_table(folder / f"{name}.parquet").select(own).equals(stored[name].select(own))
        )
    with (folder / "forecast.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {(row["segment"], row["goal"]) for row in rows if row["period"] == "month"} == {
        ("all", "15"),
        ("DE", "8"),
        ("FR", ""),
    }
    texts = {
        text for block in read_page_texts((folder / "index.html").read_bytes()) for text in block
    }
    headline = expected.select_headline()
    assert "Will we make the goal?" in texts
    assert f"{round(headline['total_mean']):,}" in texts
    assert any(text.startswith("December 2024 by country") for text in texts)


@pytest.mark.slow
def test_failure_keeps_no_scores_back(company, monkeypatch, tmp_path):
    project = company()

    def fail(*arguments):
        raise ZeroDivisionError("secret@example.com")

    monkeypatch.setattr(night, "build_forecast", fail)
    lines = []
    published = score_night(project, NIGHT, Runner(log=lines.append)).published
    assert published.rows["buy"] > 0
    assert not set(NAMES) & {name for name, rows in published.tables.items() if rows}
    (warning,) = [line for line in lines if line.startswith("warn: no forecast")]
    assert "ZeroDivisionError" in warning
    assert "secret" not in "".join(lines)
    manifest = json.loads(
        (tmp_path / "company/workspace/exports/current/manifest.json").read_text()
    )
    assert "ZeroDivisionError" in manifest["table_problems"]["forecast"]
    assert "funnel" in manifest["tables"]


def take_snapshot(folder, monkeypatch, **keys):
    tiny.write(folder, 60, **keys)
    monkeypatch.chdir(folder)
    return load_snapshot(load_project("company.yaml"), NIGHT, read_clock())


def test_switched_off_forecast_is_not_computed(tmp_path, monkeypatch):
    snapshot = take_snapshot(tmp_path, monkeypatch, publish={"forecast": False})
    monkeypatch.setattr(night, "build_forecast", pytest.fail)
    assert night.compute_night_forecast(snapshot, None) == night.NightForecast()


def test_forecast_needs_no_published_funnel(tmp_path, monkeypatch):
    snapshot = take_snapshot(tmp_path, monkeypatch, publish={"funnel": False})
    computed = night.compute_night_forecast(snapshot, None)
    assert (computed.reason, computed.problem) == (None, None)
    assert computed.result.forecast.num_rows == 3


def test_too_little_data_is_a_reason_and_a_wrong_column_a_problem(tmp_path, monkeypatch):
    snapshot = take_snapshot(tmp_path, monkeypatch, goals={"by": "planet"})
    computed = night.compute_night_forecast(snapshot, None)
    assert computed.problem == "config error: cannot segment by the column planet"
    for error, name in ((DataError("too few deals"), "reason"), (ConfigError("odd"), "problem")):

        def fail(*arguments, error=error):
            raise error

        monkeypatch.setattr(night, "build_forecast", fail)
        computed = night.compute_night_forecast(snapshot, None)
        assert getattr(computed, name).endswith(error.what)
        assert computed.result is None
