"""Models by segment from the config to the page, on a company of two opposite countries."""

import json
import sys
from datetime import datetime, timedelta

import numpy as np
import pytest
import yaml

from models.learners import lightgbm
from models.learners.logistic import Logistic
from pipelines import cli
from tests.pipelines import tiny

FEATURES = {"windows": ["30d"], "half_lives": ["14d"], "families": ["counts", "lead"]}
EVALUATION = {"folds": 3, "share": 0.6}
LEARNING = {"segment_by": "country", "segment_min_outcomes": 50}


def write_company(folder, leads=2_400, **changes):
    """Write a company: in DE large firms buy, in FR small ones, and IT has few leads."""
    random = np.random.default_rng(3)
    rows, events = [], []
    for number in range(leads):
        created = tiny.START + timedelta(days=float(random.uniform(0, 360)))
        country = str(random.choice(["DE", "FR", "IT"], p=[0.57, 0.4, 0.03]))
        size = float(random.normal())
        rate = 0.008 * np.exp((1.4 if country == "DE" else -1.4) * size)
        lead = f"L{number:04}"
        rows.append([lead, created.isoformat(" "), f"F{number}", country, round(size, 3)])
        events.append([lead, created.isoformat(" "), "visit", "web"])
        bought = created + timedelta(days=float(random.exponential(1 / rate)))
        if bought < min(datetime.fromisoformat(tiny.END), created + timedelta(days=90)):
            events.append([lead, bought.isoformat(" "), "bought", "web"])
    tiny._csv(folder / "leads.csv", ["id", "created", "firm", "country", "size"], rows)
    tiny._csv(folder / "events.csv", ["lead", "at", "what", "via"], events)
    values = tiny.CONFIG | {"features": FEATURES, "evaluation": EVALUATION, "learning": LEARNING}
    path = folder / "company.yaml"
    path.write_text(yaml.safe_dump(values | changes, sort_keys=False), encoding="utf-8")


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Return a function that runs a command in the company's folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lightgbm, "ROUNDS", 15)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["leadscore", *map(str, arguments)])
        try:
            cli.main()
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def test_opposite_countries_have_their_own_models_from_training_to_page(run, tmp_path, monkeypatch):
    write_company(tmp_path)
    # Trees would find most of the difference themselves; a line cannot.
    monkeypatch.setattr("models.training.train.choose_learner", lambda *rows: Logistic)
    code, out, err = run("train", "company.yaml", "--as-of", tiny.END, "--json")
    assert code == 0, err
    trained = json.loads(out)["targets"]["buy"]
    rows = {row["segment"]: row for row in trained["segment_models"]}
    assert list(rows) == ["DE", "FR", "IT", "(not in training)"]
    assert rows["FR"]["model"] in ("own", "recalibrated") and rows["FR"]["gain_low"] > 0
    assert (rows["IT"]["model"], rows["IT"]["why"]) == ("global", "too few outcomes")
    assert trained["baselines"]["segmented"] == trained["metrics"]
    assert (
        trained["metrics"]["log_loss"]["value"]
        < trained["baselines"]["logistic"]["log_loss"]["value"]
    )
    assert "by country: 2 segments compared; " in err

    code, out, err = run("train", "company.yaml", "--as-of", tiny.END)
    assert code == 0 and "by segment (chosen)" in out and "too few outcomes" in out
    report = next((tmp_path / "workspace").rglob("report.md")).read_text(encoding="utf-8")
    assert "## Models by segment" in report

    code, out, err = run("score", "company.yaml", "--as-of", tiny.END)
    assert code == 0 and "buy: models by country: " in err
    page = (tmp_path / "workspace/exports/current/index.html").read_text(encoding="utf-8")
    assert "Which model predicts which leads?" in page
    code, out, _ = run("verify", "company.yaml")
    assert code == 0


def test_absent_option_trains_without_segments(run, tmp_path):
    write_company(tmp_path, leads=600, learning={})
    _, out, _ = run("train", "company.yaml", "--as-of", tiny.END, "--json")
    trained = json.loads(out)["targets"]["buy"]
    assert trained["segment_models"] == [] and "segmented" not in trained["baselines"]


def test_backtest_chooses_as_a_training_does(run, tmp_path):
    write_company(tmp_path, leads=900)
    _, out, _ = run("train", "company.yaml", "--as-of", tiny.END, "--json")
    trained = json.loads(out)["targets"]["buy"]["segment_models"]
    _, out, _ = run("backtest", "company.yaml", "--as-of", tiny.END, "--json")
    assert json.loads(out)["targets"]["buy"]["segment_models"] == trained
    assert [row["segment"] for row in trained][:2] == ["DE", "FR"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"learning": {"segment_by": "contry"}}, "did you mean country?"),
        ({"learning": {"segment_by": "size"}}, "'size'; there are country, channel"),
        ({"learning": LEARNING, "evaluation": {"folds": 1}}, "evaluation.folds of at least 2"),
        ({"learning": LEARNING | {"segment_min_outcomes": 49}}, "segment_min_outcomes"),
        (
            {"features": FEATURES | {"exclude": ["country"]}},
            "'country' is in features.exclude",
        ),
    ],
)
@pytest.mark.parametrize("command", ["train", "backtest"])
def test_wrong_segment_is_refused_before_the_training(run, tmp_path, changes, words, command):
    write_company(tmp_path, leads=300, **changes)
    code, _, err = run(command, "company.yaml", "--as-of", tiny.END)
    assert code == 2 and words in err and "rows and features" not in err


def test_channel_is_that_of_the_first_event(run, tmp_path):
    write_company(tmp_path, leads=600, learning={"segment_by": "channel"})
    _, out, _ = run("backtest", "company.yaml", "--as-of", tiny.END, "--json")
    rows = json.loads(out)["targets"]["buy"]["segment_models"]
    assert {row["model"] for row in rows} == {"global"}
    assert rows[-1]["why"] in ("not in the training rows", "the column is not among the features")
