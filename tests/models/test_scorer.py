"""Scorer: same result for a row alone, among others, and after storage."""

import json
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import DataError
from features.contracts import INSTANT, SPINE
from models.calibration import AffineCalibrator, ProbabilityBand, to_log_odds, to_probability
from models.encoding import Encoding
from models.learners import lightgbm
from models.learners.amount_model import AmountModel, AmountRows
from models.learners.hazard import Hazard
from models.learners.kinds import MODELS_BY_NAME
from models.scorer import PREDICTIONS, Scorer, ScoreScale
from models.scorer_metadata import ScorerMetadata
from tests.models import samples

WITH_TIMING = {"blend", "hazard", "lightgbm"}
"""Learners that are tested with a timing model and an amount model; the others without."""


def matrix(rows: int, seed: int = 0) -> pa.Table:
    random = np.random.default_rng(seed)
    return pa.table(
        {
            "entity_id": [f"e{i}" for i in range(rows)],
            "cutoff": pa.array(np.arange(rows) * 10**9, INSTANT),
            "visits": random.poisson(2, rows).astype(float),
            "age": pa.array(random.normal(size=rows), mask=random.random(rows) < 0.2),
            "source": pa.array(
                random.choice(["web", "fair", "ёлка"], rows), mask=random.random(rows) < 0.1
            ),
        }
    )


def scorer(learner: str) -> Scorer:
    table = matrix(1200)
    encoding = Encoding.fit(table, ["visits", "age", "source"])
    x = encoding.encode(table)
    y = (np.random.default_rng(7).random(1200) < to_probability(x[:, 0] - 3)).astype(np.int64)
    model = samples.fitted(MODELS_BY_NAME[learner], x, y, encoding.categorical)
    timing = samples.fitted(Hazard, x, y, encoding.categorical) if learner in WITH_TIMING else None
    calibrator = AffineCalibrator(0.9, 0.1)
    chance = to_probability(calibrator.apply(model.margin(x)))
    band = ProbabilityBand.fit(chance, y, np.arange(1200), np.full(1200, 0.2))
    metadata = ScorerMetadata.from_json({"horizon": "30d", "ё": [1, None]})
    amount_model = (
        AmountModel.fit(amount_rows(x), encoding.categorical) if learner in WITH_TIMING else None
    )
    scale = ScoreScale.fit(chance)
    return Scorer("close", model, encoding, calibrator, band, scale, metadata, timing, amount_model)


def amount_rows(x: np.ndarray) -> AmountRows:
    """Return rows whose amount grows with the visits: one row per entity, one an hour."""
    amount = 100 * (1 + x[:, 0]) * np.random.default_rng(9).random(len(x))
    return AmountRows(x, amount, np.arange(len(x)).astype(str), np.arange(len(x)))


@pytest.fixture(scope="module", params=sorted(MODELS_BY_NAME))
def fitted(request):
    return scorer(request.param)


@pytest.fixture(autouse=True, scope="module")
def few_rounds():
    """Fit few trees, so that the tests are fast."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lightgbm, "ROUNDS", 20)
        yield


def test_predictions_follow_their_contract(fitted):
    table = matrix(50, seed=1)
    found = fitted.predict(table)
    assert found.schema == PREDICTIONS
    assert found.select(SPINE.names).equals(table.select(SPINE.names).cast(SPINE))
    low, chance, high = (
        found[n].to_numpy() for n in ("probability_low", "probability", "probability_high")
    )
    assert ((low > 0) & (low <= chance) & (chance <= high) & (high < 1)).all()


def test_outcome_days_are_those_of_the_timing_model(fitted):
    table = matrix(50, seed=8)
    half, most = (fitted.predict(table)[name] for name in ("outcome_days_50", "outcome_days_80"))
    if fitted.timing is None:
        assert half.null_count == most.null_count == 50
        return
    x = fitted.encoding.encode(table)
    log_relative = fitted.timing.log_relative_hazard(x)
    assert half.to_pylist() == fitted.timing.days_to_share(log_relative, 0.5).tolist()
    assert most.to_pylist() == fitted.timing.days_to_share(log_relative, 0.8).tolist()
    assert all(
        0 < earlier < later < samples.HORIZON
        for earlier, later in zip(half.to_pylist(), most.to_pylist(), strict=True)
    )


def test_amount_is_that_of_the_amount_model(fitted):
    table = matrix(50, seed=8)
    found = fitted.predict(table)["amount"]
    if fitted.amount_model is None:
        assert found.null_count == 50
        return
    assert fitted.amount_model.trees is not None
    x = fitted.encoding.encode(table)
    assert found.to_pylist() == fitted.amount_model.predict_amounts(x).tolist()


def test_scorer_stored_before_amounts_has_no_amount_model(tmp_path):
    scorer("lightgbm").save(tmp_path)
    path = tmp_path / "scorer.json"
    older = {key: value for key, value in json.loads(path.read_text()).items() if key != "worth"}
    path.write_text(json.dumps(older))
    assert Scorer.load(tmp_path).amount_model is None


def test_predictions_are_independent_of_other_rows(fitted):
    table = matrix(60, seed=2)
    together = fitted.predict(table)
    alone = pa.concat_tables([fitted.predict(table.slice(i, 1)) for i in range(60)])
    backwards = fitted.predict(table.take(np.arange(60)[::-1])).take(np.arange(60)[::-1])
    assert together.equals(alone)
    assert together.equals(backwards)


def test_predictions_ignore_column_order_and_extra_columns(fitted):
    table = matrix(20, seed=3)
    other = table.select(["source", "cutoff", "age", "entity_id", "visits"]).append_column(
        "new", [["x"] * 20]
    )
    assert fitted.predict(other).equals(fitted.predict(table))


def test_explanations_sum_to_the_calibrated_log_odds(fitted):
    table = matrix(80, seed=4)
    chance = fitted.predict(table)["probability"].to_numpy()
    parts = fitted.explain(table)
    assert parts.shape == (80, len(fitted.encoding.names) + 1)
    np.testing.assert_allclose(parts.sum(axis=1), to_log_odds(chance), atol=1e-8)


def test_predictions_of_an_empty_matrix_are_empty(fitted):
    assert fitted.predict(matrix(1).slice(0, 0)).num_rows == 0


def test_saved_scorer_is_reproducible_and_loads_equal(fitted, tmp_path):
    fitted.save(tmp_path / "a")
    again = Scorer.load(tmp_path / "a")
    again.save(tmp_path / "b")
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == sorted([fitted.model.file, "scorer.json"])
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert again == fitted
    assert again.predict(matrix(40, seed=5)).equals(fitted.predict(matrix(40, seed=5)))


def test_predictions_are_identical_in_another_process(tmp_path):
    fitted = scorer("lightgbm")
    fitted.save(tmp_path)
    code = (
        "import sys, pathlib, pyarrow.feather as f; from models.scorer import Scorer;"
        "d = pathlib.Path(sys.argv[1]);"
        "found = Scorer.load(d).predict(f.read_table(d / 'in'));"
        "f.write_feather(found, d / 'out', compression='uncompressed')"
    )
    feather = pytest.importorskip("pyarrow.feather")
    feather.write_feather(matrix(100, seed=6), tmp_path / "in", compression="uncompressed")
    done = [sys.executable, "-c", code, str(tmp_path)]
    subprocess.run(done, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert feather.read_table(tmp_path / "out").equals(fitted.predict(matrix(100, seed=6)))


@pytest.mark.parametrize("lost", ["scorer.json", "model.txt"])
def test_absent_file_is_named(lost, tmp_path):
    scorer("lightgbm").save(tmp_path)
    (tmp_path / lost).unlink()
    with pytest.raises(DataError, match=lost):
        Scorer.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 1}, "format 1, this version reads 2"),
        ({"learner": "pickle"}, "pickle"),
        ({"band": 3}, "cannot read the stored model"),
        ({"timing": {"trees": "none"}}, "cannot read the stored model"),
        ({"worth": {"level": 1.0}}, "cannot read the stored model"),
        (
            {"worth": {"level": 1, "trees": None, "entities": 1, "mean": 1, "trial": {"a": 1}}},
            "cannot read the stored",
        ),
        ({"model_sha256": "0"}, "changed or mixed"),
    ],
)
def test_unknown_or_changed_scorer_is_refused(change, message, tmp_path):
    scorer("logistic").save(tmp_path)
    path = tmp_path / "scorer.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(DataError, match=message):
        Scorer.load(tmp_path)


def test_model_of_another_scorer_is_refused(tmp_path):
    scorer("logistic").save(tmp_path)
    path = tmp_path / "logistic.json"
    path.write_text(path.read_text().replace('"bias": ', '"bias": 1'))
    with pytest.raises(DataError, match="changed or mixed"):
        Scorer.load(tmp_path)


def test_matrix_without_a_feature_is_refused(fitted):
    with pytest.raises(DataError, match="cutoff"):
        fitted.predict(matrix(3).drop_columns(["cutoff"]))
    if fitted.encoding.names:
        with pytest.raises(DataError, match="visits"):
            fitted.predict(matrix(3).drop_columns(["visits"]))


def test_grades_split_a_smooth_distribution_as_documented():
    chance = np.random.default_rng(0).beta(1, 8, 20_000)
    scale = ScoreScale.fit(chance)
    later = np.random.default_rng(1).beta(1, 8, 20_000)
    share = {g: np.mean(np.array(scale.grade(later)) == g) for g in "ABCD"}
    assert share == pytest.approx({"A": 0.1, "B": 0.2, "C": 0.3, "D": 0.4}, abs=0.015)
    assert np.bincount(scale.score(later), minlength=101)[1:].min() > 120


CHANCES = st.lists(st.floats(1e-9, 1 - 1e-9), min_size=1, max_size=80)


@settings(max_examples=50)
@given(CHANCES, CHANCES)
def test_scores_rise_with_the_probability_and_grades_with_the_score(fit_on, asked):
    scale = ScoreScale.fit(np.array(fit_on))
    ranked = np.sort(np.array(asked))
    score, grade = scale.score(ranked), scale.grade(ranked)
    assert (np.diff(score) >= 0).all()
    assert score.min() >= 1 and score.max() <= 100
    assert grade == sorted(grade, reverse=True)
    assert [scale.grade(np.array([p]))[0] for p in ranked] == grade


def test_grade_of_a_constant_model_is_c():
    assert set(ScoreScale.fit(np.full(100, 0.1)).grade(np.full(5, 0.1))) == {"C"}
