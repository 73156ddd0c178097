"""Models by segment: which wins in simulated companies, and that time and storage are honest."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from configs.learning import EvaluationConfig, Learning
from features.contracts import INSTANT, LABELS
from features.tools.instants import US_PER_DAY
from models.calibration import to_probability
from models.evaluation.metrics import log_loss_per_row
from models.learners.lightgbm import LightGbm
from models.learners.logistic import Logistic
from models.learners.segmented import Segmented
from models.scorer import Scorer
from models.segments.choice import GLOBAL, OWN, RECALIBRATED
from models.segments.segment_rows import UNSEEN
from models.training import fit
from models.training.settings import TrainingSettings
from models.training.train import backtest_learners, train_scorer

HORIZON = timedelta(days=14)
SETTINGS = TrainingSettings(
    "close",
    HORIZON,
    EvaluationConfig(folds=3, share=0.6),
    learning=Learning(segment_by="industry", segment_min_outcomes=60),
    learners=(Logistic,),
    segment_column="industry",
)
WEEKS = 30


def company(
    slopes: dict[str, float],
    seed: int = 0,
    leads: int = 240,
    rates: dict[str, float] | None = None,
    shares: list[float] | None = None,
) -> tuple[pa.Table, pa.Table]:
    """Return weekly rows of leads whose outcome depends on one number, by ``slopes`` of a segment.

    ``rates`` are log-odds of the segments, -1 without. The last two weeks are immature.
    """
    random = np.random.default_rng(seed)
    rows = leads * WEEKS
    week = np.repeat(np.arange(WEEKS), leads)
    industry = random.choice(list(slopes), rows, p=shares)
    one, two = random.normal(size=(2, rows))
    slope = np.vectorize(slopes.get)(industry)
    base = np.vectorize((rates or dict.fromkeys(slopes, -1.0)).get)(industry)
    label = (random.random(rows) < to_probability(base + slope * one)).astype(float)
    mature = week < WEEKS - 2
    spine = {
        "entity_id": pa.array([f"lead-{i}" for i in range(rows)]),
        "cutoff": pa.array(week * 7 * US_PER_DAY, INSTANT),
    }
    labels = {"mature": mature, "label": pa.array(label, pa.int8(), mask=~mature)}
    labels["outcome_at"] = pa.nulls(rows, INSTANT)
    matrix = pa.table({**spine, "one": one, "two": two, "industry": industry})
    return matrix, pa.table({**spine, **labels}).cast(LABELS)


def models_of(result) -> dict[str, str]:
    return {row.segment: row.model for row in result.segments}


OPPOSITE = {"bank": 1.5, "shop": 1.5, "farm": -1.5}


@pytest.fixture(scope="module")
def opposite():
    return train_scorer(*company(OPPOSITE), SETTINGS)


def test_opposite_effects_get_an_own_model(opposite):
    models = models_of(opposite)
    assert (list(models), models["farm"], models[UNSEEN]) == (
        ["shop", "bank", "farm", UNSEEN],
        OWN,
        GLOBAL,
    )
    assert opposite.learner == opposite.scorer.learner == Segmented.name
    farm = next(row for row in opposite.segments if row.segment == "farm")
    assert farm.gain.low > 0.05 and farm.test_gain.low > 0.05 and farm.reason == "better"
    table = opposite.out_of_time
    last = table["fold"].to_numpy() == 3
    assert table["probability"].equals(table["segmented"])
    label = table["label"].to_numpy()[last]
    loss = {
        name: log_loss_per_row(label, table[name].to_numpy()[last]).mean()
        for name in ("segmented", "logistic")
    }
    assert loss["segmented"] < loss["logistic"] - 0.05
    # Window 1 has no window before it to choose in, so all of its rows have the global model.
    first = table["fold"].to_numpy() == 1
    np.testing.assert_array_equal(
        table["segmented"].to_numpy()[first], table["logistic"].to_numpy()[first]
    )


def test_trees_are_composed_too(monkeypatch):
    monkeypatch.setattr("models.learners.lightgbm.ROUNDS", 40)
    settings = replace(SETTINGS, learners=(LightGbm,))
    few = company({"bank": 2.0, "farm": -2.0}, leads=150, shares=[0.85, 0.15])
    trained = train_scorer(*few, settings)
    assert trained.scorer.predict(few[0])["probability"].null_count == 0
    assert set(models_of(trained)) == {"bank", "farm", UNSEEN}


def test_another_slope_is_recalibrated():
    """A line repairs half of an effect as well as an own model does, so the simpler one wins."""
    trained = train_scorer(*company({"bank": 2.0, "shop": 2.0, "farm": 0.3}, leads=500), SETTINGS)
    assert models_of(trained)["farm"] == RECALIBRATED


def test_another_base_rate_needs_no_model():
    """The global model has the segment as a feature."""
    slopes, rates = dict.fromkeys(OPPOSITE, 1.0), {"bank": -2.0, "shop": -1.0, "farm": 0.5}
    trained = train_scorer(*company(slopes, rates=rates), SETTINGS)
    assert set(models_of(trained).values()) == {GLOBAL}
    assert trained.learner == trained.scorer.learner == Logistic.name


def test_irrelevant_segments_rarely_leave_the_global_model(monkeypatch):
    """A company without any difference: all switches are errors."""
    # Fewer draws know an end less well, and cost less.
    monkeypatch.setattr("models.segments.choice.REPLICATES", 200)
    slopes = {f"s{i}": 1.0 for i in range(5)}
    switched = [
        any(model != GLOBAL for model in models_of(result).values())
        for result in (
            backtest_learners(*company(slopes, seed, leads=120), SETTINGS) for seed in range(20)
        )
    ]
    # Of 20 runs with an error rate of 5 %, more than three are improbable (1.6 %).
    assert sum(switched) <= 3


def test_same_model_without_segments_if_none_leaves_it(tmp_path):
    """The only trace of a choice that keeps the global model is its table."""
    matrix, labels = company(dict.fromkeys(OPPOSITE, 1.0))
    chosen = train_scorer(matrix, labels, SETTINGS)
    plain = train_scorer(matrix, labels, replace(SETTINGS, segment_column=""))
    assert chosen.out_of_time.equals(plain.out_of_time) and plain.segments == ()
    for name, scorer in (("a", chosen.scorer), ("b", plain.scorer)):
        scorer.save(tmp_path / name)
    for file in ("scorer.json", "logistic.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_too_few_outcomes_fall_back_visibly():
    trained = train_scorer(*company(OPPOSITE, shares=[0.6, 0.37, 0.03]), SETTINGS)
    farm = next(row for row in trained.segments if row.segment == "farm")
    assert (farm.model, farm.reason) == (GLOBAL, "too_few")
    assert 0 < farm.size.n_pos < 200 and np.isnan(farm.gain.value)


def test_counts_are_those_of_the_rows():
    matrix, labels = company(OPPOSITE)
    result = backtest_learners(matrix, labels, SETTINGS)
    industry = matrix["industry"].to_numpy()
    mature = labels["mature"].to_numpy()
    label = labels["label"].fill_null(0).to_numpy()
    cutoff = labels["cutoff"].cast(pa.int64()).to_numpy()
    table = result.out_of_time
    start = table.filter(pa.compute.equal(table["fold"], 3))["cutoff"].cast(pa.int64()).to_numpy()
    tested = np.isin(matrix["entity_id"].to_numpy(), table["entity_id"].to_numpy())
    seen = tested & (cutoff + 14 * US_PER_DAY <= start.min())
    for row in result.segments[:-1]:
        own = industry == row.segment
        assert row.size.n == (own & mature).sum()
        assert row.size.n_pos == label[own & mature].sum()
        assert row.size.n_validation == (own & seen).sum()
        assert row.size.n_pos_validation == label[own & seen].sum()


def test_unknown_and_missing_values_have_the_global_prediction(opposite):
    scorer = opposite.scorer
    matrix, _ = company(OPPOSITE, seed=5, leads=10)
    base = replace(scorer, model=scorer.model.base, calibrator=scorer.model.calibrator)
    values = {"mine": "mine", "missing": None}
    for value in values.values():
        strange = matrix.set_column(4, "industry", pa.array([value] * len(matrix), pa.string()))
        found, expected = scorer.predict(strange), base.predict(strange)
        assert found["probability"].equals(expected["probability"])
        np.testing.assert_array_equal(scorer.explain(strange), base.explain(strange))
    known = scorer.predict(matrix)["probability"]
    assert not known.equals(base.predict(matrix)["probability"])


def test_stored_model_is_the_same_to_the_bit(opposite, tmp_path):
    matrix, _ = company(OPPOSITE, seed=6, leads=20)
    opposite.scorer.save(tmp_path / "a")
    read = Scorer.load(tmp_path / "a")
    assert read.predict(matrix).equals(opposite.scorer.predict(matrix))
    assert read.explain(matrix).tobytes() == opposite.scorer.explain(matrix).tobytes()
    read.save(tmp_path / "b")
    for file in ("scorer.json", Segmented.file):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_contributions_sum_to_the_log_odds(opposite):
    matrix, _ = company(OPPOSITE, seed=7, leads=20)
    total = opposite.scorer.explain(matrix).sum(axis=1)
    probability = opposite.scorer.predict(matrix)["probability"].to_numpy()
    np.testing.assert_allclose(to_probability(total), probability, atol=1e-12)


def test_own_models_see_only_rows_known_at_their_window(monkeypatch):
    matrix, labels = company(OPPOSITE)
    fits = []
    original = fit.OwnModel.fit_models

    def record(own, segment, train, known_until, settings):
        fits.append((own, int(segment.cutoff[train].max())))
        return original(own, segment, train, known_until, settings)

    monkeypatch.setattr(fit.OwnModel, "fit_models", record)
    monkeypatch.setattr("models.training.by_segment.Parallel", run_in_order)
    result = backtest_learners(matrix, labels, SETTINGS)
    starts = [
        np.datetime64(fold["test"]["from"].removesuffix("+00:00"), "us").astype(np.int64)
        for fold in result.folds
        for _ in OPPOSITE
    ]
    assert len(fits) == len(starts) == 9
    for (_, last), start in zip(fits, starts, strict=True):
        assert last + 14 * US_PER_DAY <= start


def run_in_order(**options):
    """Stand for joblib's Parallel, in one thread."""
    return lambda jobs: [job[0](*job[1], **job[2]) for job in jobs]


def test_choice_ignores_outcomes_of_the_last_window(opposite):
    """Other outcomes in the last window, or after it, change no decision and no prediction."""
    matrix, labels = company(OPPOSITE)
    start = opposite.folds[-1]["test"]["from"]
    late = np.array([c.isoformat() >= start for c in labels["cutoff"].to_pylist()])
    values = labels["label"].to_pylist()
    flipped = [
        v if v is None or not is_late else 1 - v for v, is_late in zip(values, late, strict=True)
    ]
    other_labels = labels.set_column(3, LABELS.field("label"), [pa.array(flipped, pa.int8())])
    other = backtest_learners(matrix, other_labels, SETTINGS)
    assert [(r.segment, r.model, r.gain) for r in other.segments[:3]] == [
        (r.segment, r.model, r.gain) for r in opposite.segments[:3]
    ]
    assert other.out_of_time["segmented"].equals(opposite.out_of_time["segmented"])
    assert other.segments[2].test_gain != opposite.segments[2].test_gain


def test_order_of_the_rows_has_no_effect(opposite):
    matrix, labels = company(OPPOSITE)
    order = np.random.default_rng(0).permutation(len(matrix))
    other = backtest_learners(matrix.take(order), labels.take(order), SETTINGS)
    assert models_of(other) == models_of(opposite)


def test_single_window_leaves_nothing_to_choose_in():
    settings = replace(SETTINGS, evaluation=EvaluationConfig(folds=1, share=0.4))
    result = backtest_learners(*company(OPPOSITE), settings)
    assert {row.reason for row in result.segments[:3]} == {"no_window"}
    assert set(models_of(result).values()) == {GLOBAL}


def test_absent_column_is_said():
    settings = replace(SETTINGS, segment_column="region")
    result = backtest_learners(*company(OPPOSITE, leads=100), settings)
    assert [(row.model, row.reason) for row in result.segments] == [(GLOBAL, "no_column")]


def test_rows_without_order_are_chosen_on_other_parts():
    settings = replace(SETTINGS, ordered=False)
    trained = train_scorer(*company(OPPOSITE), settings)
    assert models_of(trained)["farm"] == OWN
