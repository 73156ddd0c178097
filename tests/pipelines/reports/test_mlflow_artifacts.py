"""The record of a training holds config, rows, metrics and gate, and no personal data."""

import csv
import json

import pytest

from configs.schema import load_project
from models.accounts import WithinAccountDependence
from models.evaluation.gate import judge_challenger
from models.leakage.suspects import Suspect
from models.learners import lightgbm
from pipelines.reports.mlflow_artifacts import write_training_record
from pipelines.runner import read_clock
from pipelines.training.evaluate import evaluate_predictions
from pipelines.training.train import AuditedRows, train_challenger
from pipelines.training_data import build_training_rows, load_snapshot
from tests.pipelines import tiny

SUSPECTS = [Suspect("buy", "rating", "filled only after the outcome: 40 of 40 rows")]


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    """Return a small company's training and its record."""
    folder = tmp_path_factory.mktemp("record")
    features = tiny.CONFIG["features"] | {"families": ["counts", "journey", "lead"]}
    tiny.write(
        folder,
        leads=500,
        evaluation={"folds": 2, "share": 0.5, "segments": ["country"]},
        features=features,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("LEADSCORE_WORKSPACE", raising=False)
        patch.setattr(lightgbm, "ROUNDS", 15)
        now = load_snapshot(load_project("company.yaml"), tiny.END, read_clock())
        rows = build_training_rows(now, "buy")
        trained = train_challenger(now, "buy", AuditedRows(rows, tuple(SUSPECTS)), lambda _: None)
        found, verdict = (
            evaluate_predictions(now, "buy", rows, trained),
            judge_challenger(trained.out_of_time),
        )
        yield (
            now,
            trained,
            found,
            verdict,
            write_training_record(folder / "record", now, rows, trained, found, verdict, SUSPECTS),
        )


def table(record, name):
    return list(csv.DictReader(record.texts[f"tables/{name}.csv"].splitlines()))


def test_parameters_describe_the_training(training):
    now, trained, _, _, kept = training
    expected = {
        "target": "buy",
        "horizon": "21d",
        "config_hash": now.project.config_hash,
        "data_fingerprint": now.dataset.fingerprint,
        "learner": trained.scorer.learner,
        "features": len(trained.scorer.encoding.names),
        "folds": 2,
        "capacity": 20,
    }
    assert expected.items() <= kept.params.items()
    assert kept.params["catalogue"] == len(json.loads(kept.texts["features.json"]))
    assert kept.params["rows"] == kept.params["mature"] + kept.params["immature"]


def test_metrics_include_intervals_baselines_and_unseen_entities(training):
    _, _, found, _, kept = training
    auc = found.metrics["roc_auc"]
    assert [kept.metrics[f"roc_auc{end}"] for end in ("", "_low", "_high")] == [
        auc.value,
        auc.low,
        auc.high,
    ]
    assert kept.metrics["base_rate/log_loss"] == found.baselines["base_rate"]["log_loss"].value
    assert (
        kept.metrics["unseen_entities/log_loss"]
        == found.unseen["entities"].estimates["log_loss"].value
    )


def test_report_has_all_sections(training):
    _, trained, found, verdict, kept = training
    report = kept.texts["report.md"]
    assert next(iter(kept.texts)) == "report.md"
    titles = [line[3:] for line in report.splitlines() if line.startswith("## ")]
    assert titles == [
        "Model",
        "Rows",
        "Metrics",
        "Scores of accounts",
        "Gate",
        "Importance",
        "Columns that seem to leak the outcome",
        "Next steps",
        "Files",
    ]
    together = WithinAccountDependence.from_json(trained.scorer.metadata.within_account)
    assert (
        f"at the same time {together.groups:,} times" in report
        and f"the outcome {together.observed:,} times" in report
    )
    assert all(test.sentence in report for test in verdict.tests)
    assert f"{found.metrics['roc_auc'].value:.3f}" in report and "`rating`" in report
    assert all(f"{fold['train']['rows']:,}" in report for fold in trained.folds)
    assert ("leadscore rollback CONFIG --target buy" in report) == verdict.passed


def test_tables_match_the_report(training):
    _, trained, found, verdict, kept = training
    parts = {(row["by"], row["part"]): row for row in table(kept, "parts")}
    assert {
        ("fold", "1"),
        ("fold", "2"),
        ("country", "DE"),
        ("new to its fold", "accounts"),
    } <= set(parts)
    row, part = parts["country", "DE"], found.segments["country"]["DE"]
    assert (int(row["rows"]), float(row["log_loss"])) == (
        part.rows,
        part.estimates["log_loss"].value,
    )
    assert [row["sentence"] for row in table(kept, "gate")] == [
        test.sentence for test in verdict.tests
    ]
    weights = [float(row["mean_absolute_log_odds"]) for row in table(kept, "importance")]
    assert weights == sorted(weights, reverse=True) and len(weights) == len(
        trained.scorer.encoding.names
    )
    assert table(kept, "leakage") == [
        {"column": "rating", "allowed": "False", "evidence": SUSPECTS[0].evidence}
    ]
    assert [float(row["share_of_outcomes"]) for row in table(kept, "gain")][-1] == 1


def test_plots_and_scorer_are_in_the_folder(training):
    *_, kept = training
    names = {path.name for path in kept.plots.iterdir()}
    assert names == {
        f"{name}.png" for name in ("reliability", "distribution", "gain", "origins", "importance")
    }
    assert (kept.scorer / "scorer.json").is_file()


def test_record_holds_no_personal_data(training):
    now, *_, kept = training
    scorer = "".join(path.read_text(encoding="utf-8") for path in kept.scorer.iterdir())
    texts = "\n".join(
        [*kept.texts.values(), json.dumps(kept.params), json.dumps(kept.tags), scorer]
    )
    entities, accounts = (
        set(now.dataset.leads[name].to_pylist()) for name in ("entity_id", "account_id")
    )
    assert not [entity for entity in entities if entity in texts]
    assert not [a for a in accounts if f"{a}," in texts or f'"{a}"' in texts]
