"""Metrics of a backtest are reproduced from its file by brute force; no model is registered."""

import csv
import json
import subprocess
import sys
from datetime import datetime, timedelta

import numpy as np
import pytest
import yaml
from sklearn.metrics import log_loss, roc_auc_score

from models.learners import lightgbm
from models.learners.kinds import MODELS_BY_NAME
from pipelines import cli
from tests.pipelines import tiny

HORIZON = timedelta(days=21)
EVALUATION = {"folds": 2, "share": 0.5, "segments": ["country"]}
FEW = tiny.CONFIG["features"] | {"families": ["counts", "journey", "lead"]}


def config(folder, **target):
    """Write the small company with amounts and a segment; ``target`` changes the target."""
    path = tiny.write(folder, leads=600, evaluation=EVALUATION, features=FEW)
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    values["targets"]["buy"] |= {"amount": "size", **target}
    path.write_text(yaml.safe_dump(values), encoding="utf-8")


@pytest.fixture(scope="module")
def backtested(tmp_path_factory):
    """Return the folder, the printed object, and every row of the file as texts."""
    folder = tmp_path_factory.mktemp("backtest")
    config(folder)
    command = ["backtest", "company.yaml", "--as-of", tiny.END, "--out", "rows.csv", "--json"]
    code = (
        "from models.learners import lightgbm; lightgbm.ROUNDS = 15; "
        "from pipelines.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with (folder / "rows.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return folder, json.loads(done.stdout)["targets"]["buy"], rows


def column(rows, name):
    return np.array([float(row[name]) for row in rows])


def value(part, name):
    return part["metrics"][name]["value"]


def same_loss(part, rows):
    expected = log_loss(column(rows, "label"), column(rows, "probability"), labels=[0, 1])
    return value(part, "log_loss") == pytest.approx(expected) and part["metrics"]["log_loss"][
        "n"
    ] == len(rows)


def test_printed_metrics_match_the_rows_of_the_file(backtested):
    _, printed, rows = backtested
    assert {row["target"] for row in rows} == {"buy"}
    assert same_loss(printed, rows)
    # Without a feature of many categories, and without segments, two learners are not tried.
    tried = set(MODELS_BY_NAME) - {"target_encoding", "segmented"}
    assert set(printed["baselines"]) == tried and tried <= set(rows[0])
    for learner, figures in printed["baselines"].items():
        expected = log_loss(column(rows, "label"), column(rows, learner))
        assert figures["log_loss"]["value"] == pytest.approx(expected)
    assert printed["gate"]["tests"] and isinstance(printed["gate"]["passed"], bool)


def test_fold_has_own_metrics_and_trains_only_on_earlier_rows(backtested):
    _, printed, rows = backtested
    assert [fold["fold"] for fold in printed["folds"]] == [1, 2]
    for fold in printed["folds"]:
        own = [row for row in rows if row["fold"] == str(fold["fold"])]
        assert fold["rows"] == fold["test"]["rows"] == len(own)
        assert fold["outcomes"] == sum(row["label"] == "1" for row in own)
        assert fold["entities"] == len({row["entity_id"] for row in own})
        assert same_loss(fold, own)
        assert value(fold, "roc_auc") == pytest.approx(
            roc_auc_score(column(own, "label"), column(own, "probability"))
        )
        last = datetime.fromisoformat(fold["train"]["to"]) + HORIZON
        assert last <= min(datetime.fromisoformat(row["cutoff"]) for row in own)


def read_training_rows(folder):
    """Return (entity, cutoff, whether mature) of all rows, and the firm of each lead."""
    from configs.schema import load_project
    from pipelines.runner import read_clock
    from pipelines.training_data import build_training_rows, load_snapshot

    project = load_project(folder / "company.yaml")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("LEADSCORE_WORKSPACE", raising=False)
        labels = build_training_rows(
            load_snapshot(project, tiny.END, read_clock()), "buy"
        ).labels.to_pylist()
        with (folder / "leads.csv").open(encoding="utf-8") as file:
            firms = {row["id"]: row["firm"] for row in csv.DictReader(file)}
    return [(row["entity_id"], row["cutoff"], row["mature"]) for row in labels], firms


def test_unseen_entities_and_accounts_have_no_train_row(backtested):
    folder, printed, rows = backtested
    known, firms = read_training_rows(folder)
    for fold in printed["folds"]:
        own = [row for row in rows if row["fold"] == str(fold["fold"])]
        first = min(datetime.fromisoformat(row["cutoff"]) for row in own)
        train = [entity for entity, cutoff, mature in known if mature and cutoff + HORIZON <= first]
        assert len(train) == fold["train"]["rows"] and len(set(train)) == fold["train"]["entities"]
        seen = {
            entity for entity, cutoff, _ in known if cutoff < first
        }  # younger rows as far as they were followed
        seen_firms = {firms[entity] for entity in seen}
        for row in own:
            assert (row["unseen_entities"] == "true") == (row["entity_id"] not in seen)
            assert (row["unseen_accounts"] == "true") == (firms[row["entity_id"]] not in seen_firms)
    for kind in ("entities", "accounts"):
        part, own = (
            printed["unseen"][kind],
            [row for row in rows if row[f"unseen_{kind}"] == "true"],
        )
        assert 0 < part["rows"] == len(own) < len(rows)
        assert same_loss(part, own)


def test_segments_and_stages_partition_the_rows(backtested):
    folder, printed, rows = backtested
    with (folder / "leads.csv").open(encoding="utf-8") as file:
        country = {row["id"]: row["country"] for row in csv.DictReader(file)}
    assert set(printed["segments"]) == {"country"} and set(printed["segments"]["country"]) == {
        "DE",
        "FR",
    }
    for name, part in printed["segments"]["country"].items():
        own = [row for row in rows if country[row["entity_id"]] == name]
        assert all(row["segment_country"] == name for row in own)
        assert same_loss(part, own)
    assert sum(part["rows"] for part in printed["stages"].values()) == len(rows)
    for name, part in printed["stages"].items():
        own = [row for row in rows if (row["stage_now"] or "(missing)") == name]
        assert part["rows"] == len(own)
        assert part["too_small"] or same_loss(part, own)


def test_stage_now_is_the_last_stage_before_the_cutoff(backtested):
    folder, _, rows = backtested
    with (folder / "events.csv").open(encoding="utf-8") as file:
        met = [
            (e["lead"], datetime.fromisoformat(e["at"]))
            for e in csv.DictReader(file)
            if e["what"] == "met"
        ]
    for row in rows[::25]:
        cutoff = datetime.fromisoformat(row["cutoff"]).replace(tzinfo=None)
        # Berlin is one or two hours ahead of UTC: visits this near to the cutoff are skipped.
        gaps = [
            cutoff - (at - timedelta(hours=1.5)) for lead, at in met if lead == row["entity_id"]
        ]
        if all(abs(gap) > timedelta(hours=1) for gap in gaps):
            assert row["stage_now"] == ("met" if any(gap > timedelta(0) for gap in gaps) else "")


def test_value_captured_is_of_the_best_expected_values_of_each_cutoff(backtested):
    folder, printed, rows = backtested
    with (folder / "leads.csv").open(encoding="utf-8") as file:
        size = {row["id"]: float(row["size"]) for row in csv.DictReader(file)}
    assert [size[row["entity_id"]] for row in rows] == column(rows, "amount").tolist()
    assert len({(row["batch"], row["cutoff"]) for row in rows}) == len(
        {row["batch"] for row in rows}
    )
    captured = 0.0
    for batch in {row["batch"] for row in rows}:
        own = [row for row in rows if row["batch"] == batch]
        own.sort(key=lambda row: -float(row["probability"]) * float(row["amount"]))
        captured += sum(
            float(row["amount"]) * int(row["label"]) for row in own[:40]
        )  # 20 a week, every 14 days
    total = (column(rows, "amount") * column(rows, "label")).sum()
    assert value(printed, "value_captured_at_capacity") == pytest.approx(
        captured / total, abs=0.01
    )  # but for ties


def test_reliability_has_equal_bins_of_all_rows(backtested):
    _, printed, rows = backtested
    bins = printed["reliability"]
    assert sum(b["observed"]["n"] for b in bins) == len(rows)
    predicted = np.average(
        [b["predicted"] for b in bins], weights=[b["observed"]["n"] for b in bins]
    )
    observed = np.average(
        [b["observed"]["value"] for b in bins], weights=[b["observed"]["n"] for b in bins]
    )
    assert predicted == pytest.approx(column(rows, "probability").mean())
    assert observed == pytest.approx(column(rows, "label").mean())


def test_backtest_registers_nothing_and_leaves_no_partial_file(backtested):
    folder, _, _ = backtested
    assert {path.name for path in (folder / "workspace").iterdir()} == {"quarantine"}
    assert not list(folder.glob(".*.part"))


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run one command in tmp_path; return its exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    monkeypatch.setattr(lightgbm, "ROUNDS", 15)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["leadscore", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        printed = capsys.readouterr()
        return stop.value.code or 0, printed.out, printed.err

    return call


def test_backtest_reports_a_refusal_of_the_gate(run, tmp_path):
    tiny.write(tmp_path, signal=False, leads=400, features=FEW)
    code, out, _ = run("backtest", "company.yaml", "--as-of", tiny.END)
    assert code == 0 and "the gate would refuse it" in out and "FAILED" in out


def test_failing_target_does_not_stop_the_others(run, tmp_path):
    targets = tiny.CONFIG["targets"]
    late = {"late": targets["buy"] | {"horizon": "5000d"}}
    tiny.write(tmp_path, targets=late | targets, leads=400, features=FEW)
    code, out, err = run(
        "backtest", "company.yaml", "--as-of", tiny.END, "--json", "--out", "rows.parquet"
    )
    targets = json.loads(out)["targets"]
    assert code == 3 and "no row is mature" in err
    assert (
        "no row is mature" in targets["late"]["error"]
        and targets["late"]["gate"]["passed"] is False
    )
    assert targets["buy"]["metrics"]["roc_auc"]["n"] > 0 and (tmp_path / "rows.parquet").is_file()


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({"evaluation": {"segments": ["contry"]}}, [], "did you mean country?"),
        ({"evaluation": {"segments": ["size"]}}, [], "'size'"),
        ({}, ["--out", "rows.xls"], "rows.xls"),
        ({}, ["--out", "nowhere/rows.csv"], "nowhere"),
    ],
)
def test_backtest_rejects_wrong_options_before_training(run, tmp_path, change, options, words):
    tiny.write(tmp_path, leads=40, **change)
    code, _, err = run("backtest", "company.yaml", "--as-of", tiny.END, *options)
    assert code == 2 and words in err and "fix: " in err and "rows and features" not in err
