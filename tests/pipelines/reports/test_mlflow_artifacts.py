"""The record of a training holds config, rows, metrics and gate, and no personal data."""

import csv
import json
from dataclasses import asdict, replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from configs.schema import load_project
from features.tools.key_hash import hash_key, read_salt
from models.accounts import WithinAccountDependence
from models.evaluation.gate import judge_challenger
from models.evaluation.metrics import PredictedRows, evaluate_slices
from models.evaluation.record import EVALUATION_FILE, read_evaluation
from models.leakage.suspects import Suspect
from models.learners import lightgbm
from pipelines.reports.mlflow_artifacts import write_training_record
from pipelines.results.predictions import (
    PREDICTIONS_FILE,
    build_predictions,
    write_predictions,
)
from pipelines.runner import read_clock
from pipelines.training.evaluate import evaluate_predictions
from pipelines.training.train import AuditedRows, train_challenger
from pipelines.training_data import build_training_rows, load_snapshot
from tests.pipelines import tiny
from tests.serve.page.pages import read_texts

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


def test_metrics_are_the_main_ones_with_those_of_each_baseline(training):
    _, trained, found, _, kept = training
    for key in ("roc_auc", "log_loss", "precision_at_capacity"):
        estimate = found.metrics[key]
        assert [kept.metrics[f"{key}{end}"] for end in ("", "_low", "_high")] == [
            estimate.value,
            estimate.low,
            estimate.high,
        ]
    others = {name for name in kept.metrics if "/" in name}
    assert others == {
        f"{name}/{key}"
        for name in found.baselines
        if name != trained.learner
        for key in ("roc_auc", "log_loss")
    }
    assert kept.metrics["base_rate/log_loss"] == found.baselines["base_rate"]["log_loss"].value
    assert 20 <= len(kept.metrics) <= 30
    # The others stay in the tables.
    figures = {(row["learner"], row["figure"]) for row in table(kept, "figures")}
    assert {("challenger", "brier"), ("logistic", "calibration_slope")} <= figures
    parts = {(row["by"], row["part"]): row for row in table(kept, "parts")}
    expected = found.unseen["entities"].estimates["log_loss"].value
    assert float(parts["new to its fold", "entities"]["log_loss"]) == expected


def test_report_has_all_sections(training):
    _, trained, found, verdict, kept = training
    report = kept.texts["report.md"]
    assert next(iter(kept.texts)) == "report.md"
    assert "<!doctype html>" in kept.texts["report.html"]
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
    pages = {"report.html": read_texts(kept.texts["report.html"])}
    written = {**kept.texts, **pages}.values()
    texts = "\n".join([*written, json.dumps(kept.params), json.dumps(kept.tags), scorer])
    entities, accounts = (
        set(now.dataset.leads[name].to_pylist()) for name in ("entity_id", "account_id")
    )
    assert not [entity for entity in entities if entity in texts]
    assert not [a for a in accounts if f"{a}," in texts or f'"{a}"' in texts]


def test_metrics_can_be_recomputed_from_the_kept_predictions(training):
    now, trained, found, _, kept = training
    rows = pq.read_table(kept.files / PREDICTIONS_FILE)
    about = json.loads(rows.schema.metadata[b"leadscore"])
    assert about["learner"] == trained.scorer.learner and about["entity_id"] == "as in the data"
    assert set(rows["entity_id"].to_pylist()) <= set(now.dataset.leads["entity_id"].to_pylist())
    label, fold = (rows[name].to_numpy() for name in ("label", "fold"))
    report = kept.texts["report.md"]
    for model, metrics in {"probability": found.metrics, **found.baselines}.items():
        chance = rows[model].to_numpy()
        auc, loss = (
            pair_auc(label, chance, fold),
            -np.mean(np.log(np.where(label == 1, chance, 1 - chance))),
        )
        assert metrics["roc_auc"].value == pytest.approx(auc, abs=1e-12)
        assert metrics["log_loss"].value == pytest.approx(loss, abs=1e-12)
        assert f"{auc:.3f}" in report and f"{loss:.3f}" in report
    again = evaluate_slices(
        PredictedRows(
            label,
            rows["probability"].to_numpy(),
            rows["cluster"].to_numpy(),
            fold,
            rows["batch"].to_numpy(),
            about["capacity_of_a_batch"],
        ),
        {"all": np.ones(len(label), bool)},
    )["all"]
    # With the same clusters, the intervals are the same to the bit, too.
    assert {name: again[name].to_json() for name in again} == {
        name: found.metrics[name].to_json() for name in again
    }


def pair_auc(label, chance, fold):
    """Return the share of pairs of one fold that are in the right order; a tie counts half."""
    right = pairs = 0
    for number in np.unique(fold):
        won, lost = (chance[(fold == number) & (label == value)] for value in (1, 0))
        right += (won[:, None] > lost).sum() + 0.5 * (won[:, None] == lost).sum()
        pairs += len(won) * len(lost)
    return right / pairs


def test_personal_ids_are_kept_as_hashes(training, tmp_path):
    now, trained, found, _, _ = training
    privacy = now.project.privacy.model_copy(update={"personal": ("id",)})
    changes = {"privacy": privacy, "workspace": str(tmp_path)}
    project = now.project.model_copy(update=changes)
    predictions = build_predictions("buy", trained.out_of_time, found.rows)
    path = tmp_path / "files" / PREDICTIONS_FILE
    write_predictions(path, project, "buy", "blend", predictions, found.rows)
    keys = pq.read_table(path)["entity_id"].to_pylist()
    salt = read_salt(project.workspace_path)
    assert keys == [hash_key(i, salt) for i in trained.out_of_time["entity_id"].to_pylist()]
    assert not any(i.encode() in path.read_bytes() for i in predictions["entity_id"].to_pylist())


def test_stored_evaluation_equals_the_results(training):
    now, trained, found, verdict, kept = training
    record = read_evaluation(kept.scorer)
    assert (record.target, record.learner, record.horizon) == ("buy", trained.learner, "21d")
    assert record.trained_as_of == now.as_of.isoformat()
    assert record.observation_date == now.observed.isoformat()
    for stored, metrics in (
        (record.metrics, found.metrics),
        *((record.baselines[name], part) for name, part in found.baselines.items()),
        *(
            (f.metrics, p.estimates)
            for f, p in zip(record.folds, found.folds.values(), strict=True)
        ),
    ):
        assert {name: asdict(part) for name, part in stored.items()} == {
            name: estimate.to_json() for name, estimate in metrics.items()
        }
    assert set(record.baselines) >= {"logistic", "naive_bayes", "base_rate"}
    assert [fold.label for fold in record.folds] == [f["test"]["from"][:10] for f in trained.folds]
    assert [asdict(cause) for cause in record.gate.causes] == [c.to_json() for c in verdict.causes]
    assert record.gate.passed == verdict.passed and [
        (test.name, test.passed, test.sentence) for test in record.gate.tests
    ] == [(test.name, test.passed, test.sentence) for test in verdict.tests]
    assert [asdict(suspect) for suspect in record.suspects] == [
        {"column": s.column, "allowed": s.allowed, "evidence": s.evidence} for s in SUSPECTS
    ]
    weights = {r["feature"]: float(r["mean_absolute_log_odds"]) for r in table(kept, "importance")}
    assert {part.feature: part.mean_absolute_log_odds for part in record.importance} == {
        name: weight for name, weight in weights.items() if weight
    }
    groups = {part.feature: part.group for part in record.importance}
    assert groups["visit_count_30d"] == "activity" and "attribute" in groups.values()
    assert record.used_features == len(weights) < record.offered_features


def test_stored_evaluation_can_be_recomputed_from_the_kept_predictions(training):
    now, trained, _, _, kept = training
    record, rows = read_evaluation(kept.scorer), pq.read_table(kept.files / PREDICTIONS_FILE)
    label, fold, chance, batch = (
        rows[name].to_numpy() for name in ("label", "fold", "probability", "batch")
    )
    labels = build_training_rows(now, "buy").labels
    assert record.rows == labels.num_rows == record.mature + record.immature
    mature = [label for label in labels["label"].to_pylist() if label is not None]
    assert (record.mature, record.positive) == (len(mature), sum(mature))
    assert record.outcome_rate == pytest.approx(np.mean(mature))
    assert record.metrics["roc_auc"].value == pytest.approx(pair_auc(label, chance, fold))
    assert record.metrics["mean_predicted"].value == pytest.approx(chance.mean())
    assert record.metrics["outcome_rate"].value == pytest.approx(label.mean())
    for number, part in enumerate(record.folds, 1):
        mask = fold == number
        loss = -np.mean(np.log(np.where(label == 1, chance, 1 - chance))[mask])
        assert (part.rows, part.outcomes) == (mask.sum(), label[mask].sum())
        assert part.metrics["log_loss"].value == pytest.approx(loss)
    assert sum(part.n for part in record.reliability) == len(label)
    expected = sum(part.n * part.observed for part in record.reliability)
    assert expected == pytest.approx(label.sum())
    weighted = sum(part.n * part.predicted for part in record.reliability)
    assert weighted == pytest.approx(chance.sum())
    assert (record.gain[0], record.gain[-1]) == ((0, 0), (1, 1)) and len(record.gain) <= 200
    worked = np.zeros(len(label))
    for week in np.unique(batch):
        (place,) = np.nonzero(batch == week)
        best = place[np.argsort(-chance[place], kind="stable")[: record.capacity]]
        worked[best] = 1
    share, gained = record.gain_at_capacity
    assert share == pytest.approx(worked.mean())
    # Rows of one probability share the places that are left.
    assert gained == pytest.approx((worked * label).sum() / label.sum(), abs=0.02)
    # The base value and the contributions of a row sum to its log-odds.
    matrix = build_training_rows(now, "buy").matrix.slice(0, 5)
    parts, odds = trained.scorer.explain(matrix), trained.scorer.predict(matrix)["probability"]
    log_odds = record.base_value + parts[:, :-1].sum(axis=1)
    assert 1 / (1 + np.exp(-log_odds)) == pytest.approx(odds.to_numpy())


def test_same_training_stores_the_same_evaluation(training, tmp_path):
    now, trained, found, verdict, kept = training
    rows = build_training_rows(now, "buy")
    again = write_training_record(tmp_path, now, rows, trained, found, verdict, SUSPECTS)
    one, other = ((record.scorer / EVALUATION_FILE).read_bytes() for record in (kept, again))
    assert one == other


def test_meanings_are_in_the_language_of_the_project(training, tmp_path):
    now, trained, found, verdict, _ = training
    publish = now.project.publish.model_copy(update={"language": "ru"})
    words = {"visit": ("визит", "визита", "визитов")}
    project = now.project.model_copy(update={"publish": publish, "words": words})
    rows = build_training_rows(now, "buy")
    russian = replace(now, project=project)
    kept = write_training_record(tmp_path, russian, rows, trained, found, verdict)
    record = read_evaluation(kept.scorer)
    meanings = {part.feature: part.meaning for part in record.importance}
    assert record.language == "ru" and "визит" in meanings["visit_count_30d"]
    english = {row["feature"]: row["what"] for row in table(kept, "importance")}
    assert "visit" in english["visit_count_30d"]
