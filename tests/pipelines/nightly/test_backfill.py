"""Backfill of missed nights: each has the data and the model of its day."""

import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from configs.errors import ConfigError
from configs.night import Publish
from configs.schema import load_project
from models.learners import lightgbm
from models.registry.registry import Registry
from pipelines.nightly.backfill import _list_as_ofs, backfill_nights
from pipelines.nightly.export import export_from_store
from pipelines.nightly.night import score_night
from pipelines.runner import Runner
from pipelines.training.train import train_targets
from pipelines.workspace import open_store
from tests.pipelines import tiny

EARLY = "2024-11-15"


def leadscore(folder, *arguments):
    command = [sys.executable, "-m", "pipelines.cli", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A company with two models, the second trained later; both passed the gate."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(lightgbm, "ROUNDS", 15)
        project = load_project(tiny.write(folder, **tiny.LITTLE).name)
        for as_of in (EARLY, "2024-12-10"):
            (result,) = train_targets(project, as_of, ["buy"], Runner())
            assert result.version, result.error
    return folder


@pytest.fixture
def company(trained, tmp_path, monkeypatch):
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True, symlinks=True)
    monkeypatch.chdir(tmp_path)
    return load_project("company.yaml")


def rows(project, night):
    table = open_store(project).scores(project.project, project.parse_instant(night))
    return table.drop_columns(["run_id", "scored_at"]).to_pylist()


def test_backfill_reproduces_each_night_of_its_day(company):
    nights = [f"2024-12-{day:02}" for day in (8, 9, 10, 11)]
    done = backfill_nights(company, nights[0], nights[-1], Runner())
    assert [night.as_of for night in done] == [company.parse_instant(night) for night in nights]
    found = [rows(company, night) for night in nights]
    assert [{row["model_version"] for row in night} for night in found] == [
        {"1"},
        {"1"},
        {"2"},
        {"2"},
    ]
    export = (company.workspace_path / "exports" / "current" / "scores.csv").read_bytes()
    shutil.rmtree(company.workspace_path / "exports")
    for path in company.workspace_path.glob("scores.db*"):
        path.unlink()
    registry = Registry(company.workspace_path, company.project)
    for night, version in zip(
        nights, (1, 1, 2, 2), strict=True
    ):  # what a scheduler and a person would have done
        registry.promote("buy", version)
        score_night(company, night, Runner())
    assert [rows(company, night) for night in nights] == found
    assert (company.workspace_path / "exports" / "current" / "scores.csv").read_bytes() == export


def test_backfill_refuses_only_the_nights_before_any_model(company):
    done = backfill_nights(company, "2024-11-13", "2024-11-16", Runner())
    assert [night.published is not None for night in done] == [False, False, True, True]
    ledger = open_store(company).runs("tiny").to_pylist()
    assert [row["status"] for row in ledger] == ["refused", "refused", "published", "published"]
    path = company.workspace_path / "exports" / "current" / "manifest.json"
    manifest = json.loads(path.read_text())
    assert manifest["as_of"] == "2024-11-15T23:00:00Z"


def test_night_uses_the_last_champions_while_the_registry_is_unreachable(company, monkeypatch):
    before = score_night(company, "2024-12-11", Runner())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    after = score_night(company, "2024-12-11", Runner())
    own = ["run_id", "scored_at"]
    scores = after.published.scores.drop_columns(own)
    assert scores.equals(before.published.scores.drop_columns(own))
    new_checks = [c for c in after.published.checks if c not in before.published.checks]
    assert [(check.check, check.verdict) for check in new_checks] == [("champion", "warn")]


def test_export_is_the_same_from_scores_in_hand_and_from_the_table(company):
    night = score_night(company, "2024-12-11", Runner())
    in_hand = night.export.file.read_bytes()
    exported = export_from_store(company, None, "csv", lambda line: None)
    assert exported.file.read_bytes() == in_hand
    assert night.export.file.read_bytes() == in_hand


def test_scores_are_kept_as_long_as_the_config_says(company):
    short = company.model_copy(update={"publish": Publish(keep="22d")})
    for night in ("2024-11-20", "2024-12-11", "2024-12-13"):
        score_night(short, night, Runner())
    assert rows(company, "2024-11-20") == []
    assert rows(company, "2024-12-11") and rows(company, "2024-12-13")


def test_backfill_days_are_local_days_of_any_length(company):
    found = _list_as_ofs(company, "2024-10-26", "2024-10-28")
    assert found == [
        datetime(2024, 10, day, hour, tzinfo=UTC) for day, hour in ((25, 22), (26, 22), (27, 23))
    ]


def test_backfill_rejects_an_interval_that_ends_before_it_begins(company):
    with pytest.raises(ConfigError, match="ends before it begins"):
        backfill_nights(company, "2024-12-02", "2024-12-01", Runner())


def test_backfill_command_reports_each_night(company, tmp_path):
    done = leadscore(
        tmp_path,
        "score",
        "company.yaml",
        "--as-of",
        "2024-11-14",
        "--until",
        "2024-11-15",
        "--json",
    )
    assert done.returncode == 5, done.stderr
    first, second = json.loads(done.stdout)["nights"]
    assert (first["status"], second["status"]) == ("not published", "published")
    assert leadscore(tmp_path, "score", "company.yaml", "--until", "2024-11-15").returncode == 2


def test_night_in_the_future_is_refused(company, monkeypatch):
    noon = company.parse_instant("2024-12-09T12:00")
    for module in ("backfill", "night"):
        monkeypatch.setattr(f"pipelines.nightly.{module}.read_clock", lambda: noon)
    score_night(company, "2024-12-10", Runner())
    with pytest.raises(ConfigError, match="in the future"):
        score_night(company, "2024-12-11", Runner())
    (first, second) = backfill_nights(company, "2024-12-10", "2024-12-11", Runner())
    assert first.published and "in the future" in str(second.error)
