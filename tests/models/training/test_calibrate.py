"""Calibration of folds: by rows, on outcomes known at a fold's start, as the scorer is."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from configs.learning import EvaluationConfig
from features.contracts import INSTANT, LABELS
from features.tools.instants import US_PER_DAY
from models.calibration import fit_calibrator, to_probability
from models.evaluation.metrics import evaluate_rows
from models.learners.lightgbm import LightGbm
from models.training import calibrate
from models.training.calibrate import fit_fold_calibration, select_calibration_rows
from models.training.fit import predict_held_out
from models.training.folds import plan_folds, split_rolling_origin
from models.training.predict import predict_folds
from models.training.settings import TrainingSettings
from models.training.training_rows import TrainingTable

HORIZON = timedelta(days=7)
SETTINGS = TrainingSettings("close", HORIZON, EvaluationConfig(), learners=(LightGbm,))


def growing_company(rows: int, noise: int, signal: float, seed: int) -> TrainingTable:
    """Return one row a lead over a year; from three fifths of it on, volume is tenfold."""
    random = np.random.default_rng(seed)
    place = random.random(rows) * (0.6 + 10 * 0.4)
    share = np.sort(np.where(place < 0.6, place, 0.6 + (place - 0.6) / 10))
    x = random.normal(size=(rows, noise))
    odds = -1.5 + signal * (x[:, 0] + 0.6 * x[:, 1] * (x[:, 2] > 0))
    label = (random.random(rows) < to_probability(odds)).astype(np.int8)
    cutoff = pa.array((share * 365 * US_PER_DAY).astype(np.int64), INSTANT)
    spine = {"entity_id": [f"lead-{i}" for i in range(rows)], "cutoff": cutoff}
    labels = {"mature": np.ones(rows, bool), "label": label, "outcome_at": pa.nulls(rows, INSTANT)}
    matrix = pa.table({**spine, **{f"x{i}": x[:, i] for i in range(noise)}})
    return TrainingTable.from_tables(matrix, pa.table({**spine, **labels}).cast(LABELS))


@pytest.mark.slow
def test_growing_volume_is_calibrated_by_rows(monkeypatch):
    """By time span, the inner model has a quarter of the rows and its calibrator is far off."""
    settings = TrainingSettings(
        "close", HORIZON, EvaluationConfig(folds=1, share=0.2), learners=(LightGbm,)
    )
    table = growing_company(12_000, 80, 0.45, seed=0)
    fold = plan_folds(table, settings)[0]
    raw, _ = predict_held_out(table, fold, {"lightgbm"}, settings)
    label = table.label[fold.test]

    def measure() -> tuple[float, float, float]:
        calibration = fit_fold_calibration(table, fold.train, settings)
        probability = to_probability(calibration.apply(raw)["lightgbm"])
        metrics = evaluate_rows(label, probability, np.arange(len(label)), replicates=1)
        slope, loss = metrics["calibration_slope"].value, metrics["log_loss"].value
        return calibration.calibrators["lightgbm"].slope, slope, loss

    by_rows = measure()
    monkeypatch.setattr(calibrate, "split_latest_rows", split_rolling_origin)
    by_span = measure()
    assert by_span[1] > 1.35
    assert 0.75 < by_rows[1] < 1.25
    assert by_rows[2] < by_span[2]


def test_fold_is_calibrated_on_earlier_folds_whose_outcomes_were_known():
    table = growing_company(4000, 3, 2.0, 0)
    folds = plan_folds(table, SETTINGS)
    predictions = predict_folds(table, folds, SETTINGS)
    number, cutoff = predictions.fold, predictions.rows.cutoff
    for k in (1, 2, 3):
        start = cutoff[number == k].min()
        known = (number < k) & (cutoff + SETTINGS.horizon_us <= start)
        rows = select_calibration_rows(predictions.rows, number, k, SETTINGS)
        assert rows.tolist() == np.flatnonzero(known).tolist()
        assert predictions.as_shipped[number == k].all() == (k > 1)
        if k > 1:
            raw = predictions.raw["lightgbm"]
            again = fit_calibrator(
                raw[known],
                predictions.rows.label[known],
                cutoff[known],
                predictions.rows.entity_id[known],
            )
            expected = again.apply(raw[number == k])
            assert predictions.calibrated["lightgbm"][number == k] == pytest.approx(expected)
    assert (predictions.raw["base_rate"] == predictions.calibrated["base_rate"]).all()


def test_fold_without_known_outcomes_of_others_is_calibrated_inside_its_train_rows():
    """A horizon as long as a window leaves no earlier fold whose outcomes were known."""
    settings = TrainingSettings(
        "close", timedelta(days=75), EvaluationConfig(folds=2), learners=(LightGbm,)
    )
    table = growing_company(4000, 3, 2.0, 0)
    predictions = predict_folds(table, plan_folds(table, settings), settings)
    assert not predictions.as_shipped.any()


def test_folds_without_an_order_are_calibrated_on_all_others():
    settings = TrainingSettings(
        "close", timedelta(0), EvaluationConfig(), ordered=False, learners=(LightGbm,)
    )
    table = growing_company(1500, 3, 2.0, 0)
    predictions = predict_folds(table, plan_folds(table, settings), settings)
    assert predictions.as_shipped.all()
    for k in (1, 2, 3):
        rows = select_calibration_rows(predictions.rows, predictions.fold, k, settings)
        assert rows.tolist() == np.flatnonzero(predictions.fold != k).tolist()
