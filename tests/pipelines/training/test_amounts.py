"""Amounts of outcomes against loops over the files; none is used before it is known."""

import csv
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import yaml

from configs.schema import load_project
from features.contracts import SPINE
from features.spine import build_scoring_spine
from models.evaluation.gate import judge_challenger
from models.learners import lightgbm
from models.learners.amount_model import NO_AMOUNTS
from models.training.results import OUT_OF_TIME
from pipelines.monitoring.monitor import monitor_targets
from pipelines.reports.training_report import ReportInput, render_training_report
from pipelines.runner import Runner, read_clock
from pipelines.training.amounts import (
    compute_realised_amounts,
    fit_amount_model,
    predict_fold_amounts,
)
from pipelines.training.evaluate import evaluate_predictions
from pipelines.training.train import AuditedRows, train_challenger
from pipelines.training_data import build_training_rows, count_training_rows, load_snapshot
from pipelines.workspace import open_store
from serve.monitoring import realised
from serve.monitoring.realised import ALL_ROWS
from serve.scoring.scoring import ScoringRequest, build_scoring_matrix, score_matrix
from tests.pipelines import tiny
from tests.serve.samples import LATER, a_run, some_scores

HORIZON = timedelta(days=21)
FRENCH = 3.0


def write(folder, leads=1100):
    """Write the small company with amounts: three times as high for FR, and some missing."""
    events = [{**tiny.CONFIG["sources"]["events"][0], "value": "worth"}]
    targets = {"buy": tiny.CONFIG["targets"]["buy"] | {"amount": {"outcome": "value"}}}
    sources, late = (
        tiny.CONFIG["sources"] | {"events": events},
        {"evaluation": {"folds": 1, "share": 0.3}},
    )
    path = tiny.write(folder, leads, sources=sources, targets=targets, **tiny.LITTLE | late)
    rng = np.random.default_rng(2)
    with (folder / "leads.csv").open(encoding="utf-8") as file:
        country = {row["id"]: row["country"] for row in csv.DictReader(file)}
    with (folder / "events.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        bought = row["what"] == "bought" and rng.random() < 0.9
        amount = (
            100
            * (FRENCH if country[row["lead"]] == "FR" else 1.0)
            * np.exp(0.3 * rng.standard_normal())
        )
        row["worth"] = f"{amount:.2f}" if bought else ""
    with (folder / "events.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture(scope="module")
def trained_company(tmp_path_factory):
    """Yield snapshot, rows, training, log lines and folder of the small company."""
    folder = tmp_path_factory.mktemp("amounts")
    write(folder)
    lines = []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("LEADSCORE_WORKSPACE", raising=False)
        patch.setattr(lightgbm, "ROUNDS", 15)
        now = load_snapshot(load_project("company.yaml"), tiny.END, read_clock())
        rows = build_training_rows(now, "buy")
        yield (
            now,
            rows,
            train_challenger(now, "buy", AuditedRows(rows, ()), lines.append),
            lines,
            folder,
        )


@pytest.fixture(scope="module")
def evaluation(trained_company):
    """Return the evaluation of the chosen model alone."""
    now, rows, trained, *_ = trained_company
    chosen = trained.out_of_time.select([*OUT_OF_TIME.names, trained.learner])
    return evaluate_predictions(now, "buy", rows, replace(trained, out_of_time=chosen))


def bought(folder):
    """Return (instant, amount or None) of each lead's purchases, ascending, from the file."""
    purchases = defaultdict(list)
    with (folder / "events.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["what"] == "bought":
                at = (
                    datetime.fromisoformat(row["at"])
                    .replace(tzinfo=ZoneInfo("Europe/Berlin"))
                    .astimezone(UTC)
                )
                purchases[row["lead"]].append((at, float(row["worth"]) if row["worth"] else None))
    return {lead: sorted(rows) for lead, rows in purchases.items()}


def by_hand(folder, rows):
    """Yield the amount of each row's outcome: None if it has no amount, 0 without an outcome."""
    purchases = bought(folder)
    for row in rows.select(SPINE.names).to_pylist():
        later = [
            p
            for p in purchases.get(row["entity_id"], [])
            if row["cutoff"] <= p[0] < row["cutoff"] + HORIZON
        ]
        yield later[0][1] if later else 0.0


def test_realised_amounts_equal_the_file(trained_company):
    now, _, trained, _, folder = trained_company
    tested = trained.out_of_time
    amounts = compute_realised_amounts(now.dataset, now.project.target_config("buy"), tested)
    expected = [np.nan if amount is None else amount for amount in by_hand(folder, tested)]
    assert amounts == pytest.approx(expected, nan_ok=True)
    assert np.isnan(amounts).sum() > 3 and (amounts > 0).sum() > 30


def test_amount_model_weights_mature_outcomes_equally_by_entity(trained_company):
    _, rows, trained, lines, folder = trained_company
    votes = defaultdict(list)
    mature = pc.fill_null(rows.labels["label"], 0).to_pylist()
    for entity, amount, label in zip(
        rows.matrix["entity_id"].to_pylist(), by_hand(folder, rows.matrix), mature, strict=True
    ):
        if label == 1 and amount is not None:
            votes[entity].append(amount)
    model = trained.scorer.amount_model
    assert (model.entities, model.mean) == (
        len(votes),
        pytest.approx(np.mean([np.mean(v) for v in votes.values()])),
    )
    assert model.trees is not None and model.sentence in lines
    matrix = rows.matrix.take(pa.array(np.arange(0, rows.matrix.num_rows, 7)))
    expected = trained.scorer.predict(matrix)["amount"].to_numpy()
    french = np.array(matrix["country"].to_pylist()) == "FR"
    assert expected[french].mean() / expected[~french].mean() == pytest.approx(FRENCH, rel=0.2)


def test_expected_value_is_probability_times_amount(trained_company):
    now, _, trained, *_ = trained_company
    order = ScoringRequest(
        now.project.target_config("buy"),
        now.as_of,
        {"project": "tiny", "target": "buy", "model_version": "1"},
    )
    frame = score_matrix(
        now.dataset, trained.scorer, order, build_scoring_matrix(now.dataset, trained.scorer, order)
    ).to_pylist()
    assert len(frame) > 20 and all(row["amount"] > 0 for row in frame)
    assert all(row["expected_value"] == row["amount"] * row["probability"] for row in frame)


def test_fold_amounts_use_only_earlier_values(trained_company):
    """A value at or after the first test row of a fold has no influence on the expected amounts."""
    now, rows, trained, *_ = trained_company
    tested = trained.out_of_time
    amounts = predict_fold_amounts(now, "buy", rows, tested)
    assert np.isfinite(amounts).all() and len(np.unique(amounts)) > 1
    start, events = pc.min(tested["cutoff"]), now.dataset.events
    later = pc.greater_equal(events["event_time"], start)
    garbled = pc.if_else(later, pc.multiply(events["value"], 1000.0), events["value"])
    place = events.column_names.index("value")
    data = replace(now.dataset, events=events.set_column(place, "value", garbled))
    assert (predict_fold_amounts(replace(now, dataset=data), "buy", rows, tested) == amounts).all()
    earlier = pc.if_else(later, events["value"], pc.multiply(events["value"], 2.0))
    data = replace(now.dataset, events=events.set_column(place, "value", earlier))
    assert predict_fold_amounts(replace(now, dataset=data), "buy", rows, tested) == pytest.approx(
        2 * amounts
    )


def test_value_captured_ranks_by_expected_and_sums_realised_value(trained_company, evaluation):
    trained, tested = trained_company[2], evaluation.rows
    chance, label = (trained.out_of_time[name].to_numpy() for name in ("probability", "label"))
    captured = total = 0.0
    for batch in np.unique(tested.batch):
        mine = np.flatnonzero(tested.batch == batch)
        best = mine[np.argsort(-(chance * tested.expected)[mine], kind="stable")][: tested.capacity]
        worth = np.nan_to_num(tested.amount) * label
        captured, total = captured + worth[best].sum(), total + worth[mine].sum()
    assert evaluation.metrics["value_captured_at_capacity"].value == pytest.approx(captured / total)


def test_report_compares_expected_and_realised_amounts(trained_company, evaluation):
    now, rows, trained, *_ = trained_company
    text = render_training_report(
        ReportInput(
            now,
            trained,
            evaluation,
            judge_challenger(trained.out_of_time),
            count_training_rows(rows),
            [],
        )
    )
    trial = trained.scorer.amount_model.trial
    assert "## Amounts\n\nAn outcome is worth" in text
    assert f"For the {trial.entities:,} later entities it expected {trial.expected:,.2f}" in text


def test_amount_model_is_absent_without_values(trained_company, evaluation):
    now, rows, trained, *_ = trained_company
    bare = now.dataset.events.set_column(
        5, "value", pa.nulls(now.dataset.events.num_rows, pa.float64())
    )
    without = replace(now, dataset=replace(now.dataset, events=bare))
    assert fit_amount_model(without, "buy", rows, trained.scorer.encoding) is None
    assert np.isnan(predict_fold_amounts(without, "buy", rows, trained.out_of_time)).all()
    none = replace(trained, scorer=replace(trained.scorer, amount_model=None))
    assert NO_AMOUNTS[1:] in render_training_report(
        ReportInput(
            without,
            none,
            evaluation,
            judge_challenger(none.out_of_time),
            count_training_rows(rows),
            [],
        )
    )


def test_monitor_sums_the_values_of_realised_outcomes(trained_company, monkeypatch):
    monkeypatch.setattr(realised, "REPLICATES", 20)
    now, *_, folder = trained_company
    night = now.as_of - timedelta(days=90)
    spine = build_scoring_spine(now.dataset.cut_at(night), now.project.target_config("buy"), night)
    run, store = (
        replace(a_run("night", night, (), "tiny"), models={"buy": "1"}),
        open_store(now.project),
    )
    ids = spine["entity_id"].to_pylist()
    store.start(run)
    expected = {
        "expected_value": [10.0 + place for place in range(len(ids))],
        "cutoff": [night] * len(ids),
    }
    store.publish(some_scores(run, ids, **expected), run.run_id, LATER)
    (followed,) = monitor_targets(now.project, tiny.END, ["buy"], Runner())
    value = followed.parts[ALL_ROWS].value
    worth = list(by_hand(folder, spine))
    assert sum(amount or 0 for amount in worth) > 0
    assert value.rows == len(ids) - worth.count(None)
    assert value.actual == pytest.approx(sum(amount or 0 for amount in worth))
    assert value.expected == sum(
        10.0 + place for place, amount in enumerate(worth) if amount is not None
    )


def test_constant_or_attribute_amount_needs_no_model(trained_company):
    now, rows, trained, *_ = trained_company
    plain = yaml.safe_load(now.project.text)
    plain["targets"]["buy"]["amount"] = "size"
    project = type(now.project).model_validate(plain)
    other = replace(now, project=project)
    assert fit_amount_model(other, "buy", rows, trained.scorer.encoding) is None
    assert predict_fold_amounts(other, "buy", rows, trained.out_of_time) is None
    size = dict(
        zip(*(now.dataset.leads[name].to_pylist() for name in ("entity_id", "size")), strict=True)
    )
    tested = trained.out_of_time
    amounts = compute_realised_amounts(now.dataset, project.target_config("buy"), tested)
    assert amounts.tolist() == [size[entity] for entity in tested["entity_id"].to_pylist()]
