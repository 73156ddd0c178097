"""Training: no leakage in time, deterministic, and errors with counts."""

import hashlib
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from configs.errors import DataError
from configs.learning import EvaluationConfig
from features.contracts import INSTANT, LABELS, SPINE
from features.tools.instants import US_PER_DAY
from models.calibration import fit_calibrator, to_log_odds, to_probability
from models.learners import lightgbm
from models.scorer import Scorer
from models.scorer_metadata import ScorerMetadata
from models.training.predict import OutOfTimePredictions
from models.training.results import OUT_OF_TIME
from models.training.settings import TrainingSettings
from models.training.train import predict_out_of_time, train_scorer
from tests.models.samples import OBSERVED, TWO_WEEKS, change_later_outcomes, followed_company

SETTINGS = TrainingSettings(
    "close", timedelta(days=14), EvaluationConfig(), metadata=ScorerMetadata(horizon="14d")
)
FOLLOWED = TrainingSettings(
    "close",
    timedelta(days=14),
    EvaluationConfig(embargo=timedelta(days=2)),
    observed_through=OBSERVED,
)


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch):
    """Fit few trees, so that the tests are fast."""
    monkeypatch.setattr(lightgbm, "ROUNDS", 15)


def company(
    leads: int = 200, weeks: int = 12, seed: int = 0, kind: str = "smooth"
) -> tuple[pa.Table, pa.Table]:
    """Return weekly rows of leads, two numbers and a category; the last two weeks are immature."""
    random = np.random.default_rng(seed)
    entity = np.tile([f"lead-{i}" for i in range(leads)], weeks)
    week = np.repeat(np.arange(weeks), leads)
    one, two = random.normal(size=(2, leads * weeks))
    source = random.choice(["web", "fair", "call"], leads * weeks)
    odds = {"smooth": one - 1 + (source == "fair"), "crossed": 4 * np.sign(one * two)}[kind]
    label = (random.random(leads * weeks) < to_probability(odds)).astype(float)
    mature = week < weeks - 2
    cutoff = pa.array(week * 7 * US_PER_DAY, INSTANT)
    spine = {"entity_id": pa.array(entity), "cutoff": cutoff}
    features = {
        "one": one,
        "two": pa.array(two, mask=random.random(len(two)) < 0.1),
        "source": source,
    }
    labels = {"mature": mature, "label": pa.array(label, pa.int8(), mask=~mature)}
    labels["outcome_at"] = pa.nulls(len(label), INSTANT)
    return pa.table({**spine, **features}), pa.table({**spine, **labels}).cast(LABELS)


def relabel(labels: pa.Table, change) -> pa.Table:
    values = labels["label"].to_pylist()
    return labels.set_column(3, LABELS.field("label"), [pa.array(change(values), pa.int8())])


def hash_saved(scorer: Scorer, directory: Path) -> str:
    scorer.save(directory)
    digest = hashlib.sha256()
    for path in sorted(directory.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def select_fold(trained, fold: int) -> dict:
    return trained.out_of_time.filter(
        pa.compute.equal(trained.out_of_time["fold"], fold)
    ).to_pydict()


def test_out_of_time_rows_are_the_test_rows_with_their_labels():
    matrix, labels = company()
    trained = train_scorer(matrix, labels, SETTINGS)
    found = trained.out_of_time
    assert found.select(OUT_OF_TIME.names).schema == OUT_OF_TIME
    assert found.column_names[len(OUT_OF_TIME) :] == [
        "lightgbm",
        "logistic",
        "blend",
        "naive_bayes",
        "base_rate",
    ]
    known = {(r["entity_id"], r["cutoff"]): r["label"] for r in labels.to_pylist() if r["mature"]}
    keys = [(r["entity_id"], r["cutoff"]) for r in found.to_pylist()]
    assert [known[key] for key in keys] == found["label"].to_pylist()
    assert len(set(keys)) == len(keys) == sum(f["test"]["rows"] for f in trained.folds)
    for fold in trained.folds:
        rows = select_fold(trained, fold["fold"])
        assert min(rows["cutoff"]).isoformat() == fold["test"]["from"]
        last = max(c for (_, c) in known if c.isoformat() <= fold["train"]["to"])
        assert last + SETTINGS.horizon <= min(rows["cutoff"])
        assert fold["test"]["outcomes"] == sum(rows["label"])


def test_probability_is_that_of_the_chosen_learner():
    trained = train_scorer(*company(), SETTINGS)
    found = trained.out_of_time
    assert found["probability"].equals(found[trained.scorer.learner])
    assert len(set(found["base_rate"].to_pylist())) == len(trained.folds)


def test_predictions_ignore_their_own_and_later_outcomes():
    matrix, labels = company()
    reference = train_scorer(matrix, labels, SETTINGS)
    for fold in reference.folds:
        start = fold["test"]["from"]
        late = [c.isoformat() >= start for c in labels["cutoff"].to_pylist()]

        def flip(values, late=late):
            return [
                v if v is None or not is_late else 1 - v
                for v, is_late in zip(values, late, strict=True)
            ]

        other = train_scorer(matrix, relabel(labels, flip), SETTINGS)
        for name in ("lightgbm", "logistic", "base_rate"):
            assert (
                select_fold(other, fold["fold"])[name] == select_fold(reference, fold["fold"])[name]
            )
        assert (
            select_fold(other, fold["fold"])["label"]
            != select_fold(reference, fold["fold"])["label"]
        )


def test_immature_rows_are_ignored_where_outcomes_have_no_times(tmp_path):
    matrix, labels = company()
    mature = np.flatnonzero(labels["mature"].to_numpy())
    all_rows = train_scorer(matrix, labels, SETTINGS)
    mature_rows = train_scorer(matrix.take(mature), labels.take(mature), SETTINGS)
    assert all_rows.out_of_time.equals(mature_rows.out_of_time)
    assert hash_saved(all_rows.scorer, tmp_path / "a") == hash_saved(
        mature_rows.scorer, tmp_path / "b"
    )


def margin_bytes(predictions: OutOfTimePredictions, fold: int) -> dict[str, bytes]:
    """Return each model's log-odds of a fold's test rows, as they are and calibrated."""
    rows = predictions.fold == fold
    return {
        name: predictions.raw[name][rows].tobytes() + predictions.calibrated[name][rows].tobytes()
        for name in predictions.calibrated
    }


def change_later_features(matrix: pa.Table, end: int, tested: np.ndarray) -> pa.Table:
    """Return the matrix with other features in the rows from ``end`` on that are not tested."""
    cutoff = matrix["cutoff"].cast(pa.int64()).to_numpy()
    later = (cutoff >= end) & ~tested
    one = np.where(later, -9 * matrix["one"].to_numpy(), matrix["one"].to_numpy())
    source = np.where(later, "none", matrix["source"].to_numpy(zero_copy_only=False))
    return matrix.set_column(2, "one", pa.array(one)).set_column(
        4, "source", pa.array(source, pa.string())
    )


def test_folds_ignore_everything_after_their_start():
    matrix, labels = followed_company()
    reference = predict_out_of_time(matrix, labels, FOLLOWED)
    assert "hazard" in reference.raw and len(set(reference.fold)) == 3
    for fold in (1, 2, 3):
        tested = reference.rows.row_number[reference.fold == fold]
        end = int(reference.rows.cutoff[reference.fold == fold].min()) - 2 * US_PER_DAY
        changed = change_later_features(matrix, end, np.isin(np.arange(matrix.num_rows), tested))
        other = predict_out_of_time(changed, change_later_outcomes(labels, end), FOLLOWED)
        assert margin_bytes(other, fold) == margin_bytes(reference, fold)
        if fold < 3:
            assert margin_bytes(other, 3)["hazard"] != margin_bytes(reference, 3)["hazard"]


def test_censored_rows_are_used_as_far_as_followed_up():
    """Outcomes after the last mature day change the hazard model alone."""
    matrix, labels = followed_company()
    reference = predict_out_of_time(matrix, labels, FOLLOWED)
    end = int(reference.rows.cutoff[reference.fold == 3].min()) - 2 * US_PER_DAY
    at, cutoff = (labels[name].cast(pa.int64()).to_pylist() for name in ("outcome_at", "cutoff"))
    sooner = [
        when and (start + 1 if start > end - TWO_WEEKS and when < end else when)
        for when, start in zip(at, cutoff, strict=True)
    ]
    other = predict_out_of_time(
        matrix, labels.set_column(4, LABELS[4], pa.array(sooner, INSTANT)), FOLLOWED
    )
    found, before = margin_bytes(other, 3), margin_bytes(reference, 3)
    assert {name for name in before if found[name] != before[name]} >= {"hazard"}
    assert all(
        found[name] == before[name] for name in ("lightgbm", "logistic", "naive_bayes", "base_rate")
    )


def test_scorer_has_a_timing_model_where_outcomes_have_times():
    matrix, labels = followed_company()
    trained = train_scorer(matrix, labels, FOLLOWED)
    assert "hazard" in trained.out_of_time.column_names
    days = trained.scorer.predict(matrix).select(["outcome_days_50", "outcome_days_80"]).to_pandas()
    assert days.notna().all(axis=None) and (days["outcome_days_50"] < days["outcome_days_80"]).all()
    assert train_scorer(*company(), SETTINGS).scorer.timing is None


def test_final_calibrator_scale_and_band_come_from_the_predictions_predictions():
    trained = train_scorer(*company(), SETTINGS)
    found = trained.out_of_time
    raw = to_log_odds(found["uncalibrated"].to_numpy())
    order = found["cutoff"].cast(pa.int64()).to_numpy()
    again = fit_calibrator(raw, found["label"].to_numpy(), order, found["entity_id"].to_numpy())
    scorer = trained.scorer
    assert scorer.calibrator.slope == pytest.approx(again.slope, rel=1e-5)
    chance = to_probability(scorer.calibrator.apply(raw))
    assert np.mean(np.array(scorer.scale.grade(chance)) == "A") == pytest.approx(0.1, abs=0.02)
    low, high = scorer.band.interval(np.array([np.median(chance)]))
    middle = np.abs(chance - np.median(chance)) < 0.02
    assert low[0] <= found["label"].to_numpy()[middle].mean() <= high[0]


def test_choice_is_trees_for_interactions_and_logistic_for_few_rows():
    assert train_scorer(*company(kind="crossed"), SETTINGS).scorer.learner == "lightgbm"
    assert train_scorer(*company(leads=60), SETTINGS).scorer.learner == "logistic"


def test_default_stays_unless_another_is_better_beyond_noise():
    matrix, labels = company()
    noise = relabel(labels, lambda v: [x and int(i % 3 == 0) for i, x in enumerate(v)])
    shuffled = matrix.select(SPINE.names).append_column(
        "one", [np.tile([0.0, 1.0], matrix.num_rows // 2)]
    )
    assert train_scorer(shuffled, noise, SETTINGS).scorer.learner == "lightgbm"


def test_scorer_is_identical_twice_and_with_one_thread(tmp_path):
    code = (
        "import sys, pathlib; from models.learners import lightgbm; lightgbm.ROUNDS = 15;"
        "from tests.models.training.test_train import *;"
        "print(hash_saved(train_scorer(*company(), SETTINGS).scorer, pathlib.Path(sys.argv[1])))"
    )
    first = hash_saved(train_scorer(*company(), SETTINGS).scorer, tmp_path / "a")
    assert hash_saved(train_scorer(*company(), SETTINGS).scorer, tmp_path / "b") == first
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "c")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.stdout.strip() == first


def test_unordered_rows_are_each_tested_once_by_other_entities():
    matrix, labels = company(weeks=5)
    settings = TrainingSettings("close", timedelta(0), EvaluationConfig(folds=4), ordered=False)
    trained = train_scorer(matrix, labels, settings)
    found = trained.out_of_time
    mature = labels.filter(labels["mature"])
    assert sorted(zip(*found.select(SPINE.names).to_pydict().values(), strict=True)) == sorted(
        zip(*mature.select(SPINE.names).to_pydict().values(), strict=True)
    )
    folds: dict[str, set[int]] = {}
    for row in found.to_pylist():
        folds.setdefault(row["entity_id"], set()).add(row["fold"])
    assert {len(seen) for seen in folds.values()} == {1}
    assert len(trained.folds) == 4


def test_folds_before_the_first_outcome_are_left_out():
    matrix, labels = company()
    late = [c.isoformat() >= "1970-02-01" for c in labels["cutoff"].to_pylist()]
    none_yet = relabel(
        labels, lambda v: [x if late[i] or x is None else 0 for i, x in enumerate(v)]
    )
    trained = train_scorer(matrix, none_yet, SETTINGS)
    assert len(trained.folds) < 3
    assert all(fold["train"]["outcomes"] >= 2 for fold in trained.folds)


def test_progress_is_logged():
    steps: list[str] = []
    settings = TrainingSettings("close", timedelta(days=14), EvaluationConfig(), log=steps.append)
    trained = train_scorer(*company(), settings)
    assert len(steps) == len(trained.folds) + 1
    assert "fold 1 of" in steps[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: [None] * len(v), "no rows are mature.*0 of 2400 rows"),
        (
            lambda v: [x and 0 for x in v],
            "2000 of 2400 rows are mature, 0 of them with the outcome",
        ),
        (lambda v: [None if x is None else 1 for x in v], "nearly every row has the outcome"),
        (
            lambda v: [
                None if x is None else int(i < 1 or 1900 < i < 1910) for i, x in enumerate(v)
            ],
            "too few outcomes before.*10 outcomes in all.*at most 1 train row",
        ),
    ],
)
def test_too_few_outcomes_are_an_error_with_counts(change, message):
    matrix, labels = company()
    with pytest.raises(DataError, match=f"(?s){message}"):
        train_scorer(matrix, relabel(labels, change), SETTINGS)


def test_horizon_longer_than_the_history_is_an_error_with_counts():
    settings = TrainingSettings("close", timedelta(days=365), EvaluationConfig())
    with pytest.raises(DataError, match=r"span 63\.0 days; horizon 365 days"):
        train_scorer(*company(), settings)


def test_tables_of_different_rows_are_refused():
    matrix, labels = company()
    with pytest.raises(DataError, match="have different rows"):
        train_scorer(matrix.slice(1), labels.slice(0, labels.num_rows - 1), SETTINGS)
    with pytest.raises(DataError, match="2400 rows of features, 2399"):
        train_scorer(matrix, labels.slice(1), SETTINGS)


def test_matrix_without_features_is_refused():
    matrix, labels = company()
    with pytest.raises(DataError, match="no feature varies"):
        train_scorer(matrix.select(SPINE.names), labels, SETTINGS)
