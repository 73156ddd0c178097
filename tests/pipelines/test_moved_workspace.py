"""A project folder that is moved after a training goes on as if it had always been there."""

import csv
import json
import shutil
import sys
from pathlib import Path

import pytest

from models.learners import lightgbm
from pipelines import cli
from pipelines.results.predictions import PREDICTIONS_FILE
from tests.pipelines import tiny


@pytest.fixture
def leadscore(monkeypatch, capsys):
    """Run one command in the current folder; return its JSON."""
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    monkeypatch.setattr(lightgbm, "ROUNDS", 15)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["leadscore", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        printed = capsys.readouterr()
        assert not stop.value.code, printed.err
        return json.loads(printed.out) if "--json" in arguments else printed.err

    return call


def test_moved_project_scores_trains_explains_and_rolls_back(
    leadscore, guarded_company, tmp_path, monkeypatch
):
    # The copy is the first move: its champion was trained in the folder of the fixture.
    shutil.copytree(guarded_company, tmp_path / "a")
    monkeypatch.chdir(tmp_path / "a")
    train = ("train", "company.yaml", "--as-of", tiny.END, "--direct", "--json")
    assert leadscore(*train)["targets"]["buy"]["version"] == 2
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    monkeypatch.chdir(tmp_path / "b")
    score = ("score", "company.yaml", "--as-of", tiny.END, "--direct", "--json")
    night = leadscore(*score)
    assert night["status"] == "published" and night["rows"] > 0
    third = leadscore(*train)["targets"]["buy"]
    report = Path(third["report"])
    assert third["version"] == 3 and report.is_relative_to(tmp_path / "b" / "workspace")
    assert report.read_text(encoding="utf-8").startswith("# ")
    assert third["mlflow_run_id"] in report.parts and report.with_name(PREDICTIONS_FILE).exists()
    with Path("workspace/exports/current/scores.csv").open(encoding="utf-8") as file:
        entity = next(csv.DictReader(file))["entity_id"]
    explained = leadscore("explain", "company.yaml", entity, "--json")
    assert explained["now"][0]["model_version"] == "2"
    assert "version 2 is the champion again" in leadscore(
        "rollback", "company.yaml", "--target", "buy"
    )
    assert leadscore(*score)["rows"] == night["rows"]
    assert not (tmp_path / "a").exists()
