"""Which challengers the gate passes and refuses, and with which sentences."""

import json

import numpy as np
import pyarrow as pa
import pytest

from configs.errors import GateRefused
from models.evaluation.gate import GateSettings, judge_challenger

SETTINGS = GateSettings(replicates=100)


def table(rows: int = 900, seed: int = 0, spread: float = 1.5, mean: float = -1.0) -> pa.Table:
    """Rows of an honest, useful challenger: three an entity, of different intent."""
    generator = np.random.default_rng(seed)
    probability = 1 / (1 + np.exp(-generator.normal(mean, spread, rows)))
    label = (generator.random(rows) < probability).astype(np.int8)
    entity = [f"lead-{i // 3}" for i in range(rows)]
    columns = {"entity_id": entity, "label": label, "probability": probability}
    return pa.table({**columns, "base_rate": np.full(rows, probability.sum() / max(1, rows))})


def replaced(rows: pa.Table, probability: np.ndarray) -> pa.Table:
    return rows.set_column(
        rows.column_names.index("probability"), "probability", pa.array(probability)
    )


def failed(verdict) -> list[str]:
    return [test.name for test in verdict.tests if not test.passed]


def logits(rows: pa.Table, shift: float = 0, slope: float = 1) -> np.ndarray:
    p = np.asarray(rows["probability"])
    return 1 / (1 + np.exp(-(shift + slope * np.log(p / (1 - p)))))


def test_gate_passes_honest_useful_challenger():
    verdict = judge_challenger(table(), settings=SETTINGS)
    assert verdict.passed
    assert [test.name for test in verdict.tests] == [
        "enough data",
        "better than the base rate",
        "ranks",
        "calibrated on average",
        "calibrated in spread",
        "not worse than the champion",
    ]
    verdict.raise_if_refused("close")


def test_gate_refuses_guessing_by_ranking():
    rows = table()
    guess = np.random.default_rng(1).permutation(np.asarray(rows["probability"]))
    verdict = judge_challenger(replaced(rows, guess), settings=SETTINGS)
    assert {"better than the base rate", "ranks"} <= set(failed(verdict))
    with pytest.raises(GateRefused) as refusal:
        verdict.raise_if_refused("close")
    assert "ranks: AUC 0." in str(refusal.value)
    assert "needs a lower bound above 0.500" in str(refusal.value)
    assert "close" in str(refusal.value)
    assert refusal.value.exit_code == 4


def test_gate_refuses_base_rate_itself():
    rows = table()
    assert {"better than the base rate", "ranks"} <= set(
        failed(judge_challenger(replaced(rows, rows["base_rate"].to_numpy())))
    )


def test_refusal_reports_missing_signal():
    rows = table(3000)
    shuffled = np.random.default_rng(1).permutation(np.asarray(rows["probability"]))
    silent, few = (
        judge_challenger(replaced(rows, shuffled)),
        judge_challenger(replaced(table(60), table(60)["base_rate"].to_numpy())),
    )
    with pytest.raises(GateRefused, match="no signal was found"):
        silent.raise_if_refused("close")
    with pytest.raises(GateRefused) as too_few:
        few.raise_if_refused("close")
    assert "no signal" not in str(too_few.value)


def test_exaggerating_model_that_ranks_has_signal():
    rows = table(3000)
    verdict = judge_challenger(replaced(rows, logits(rows, 0, 4)), settings=SETTINGS)
    assert {"better than the base rate", "calibrated in spread"} <= set(failed(verdict))
    assert not verdict.no_signal


@pytest.mark.parametrize(
    ("shift", "slope", "name"),
    [
        (0.8, 1, "calibrated on average"),
        (-0.8, 1, "calibrated on average"),
        (0, 2, "calibrated in spread"),
    ],
)
def test_gate_names_test_that_biased_predictions_fail(shift, slope, name):
    rows = table(3000)
    verdict = judge_challenger(replaced(rows, logits(rows, shift, slope)), settings=SETTINGS)
    assert name in failed(verdict)
    assert "ranks" not in failed(verdict)


def test_gate_passes_slightly_biased_predictions():
    rows = table(3000)
    assert judge_challenger(replaced(rows, logits(rows, 0.15, 1.1)), settings=SETTINGS).passed


def test_ratio_passes_where_noise_explains_it_as_the_slope_does():
    """A ratio outside the range passes if its interval reaches the range, not only if it has 1."""
    rows = table(450, seed=2)
    biased = replaced(rows, logits(rows, 0.6))
    test = next(t for t in judge_challenger(biased, settings=SETTINGS).tests if "average" in t.name)
    assert test.estimate.value > 1.25 > test.estimate.low > 1
    assert test.passed
    assert "needs an interval that reaches 0.80 to 1.25" in test.sentence


def with_folds(slopes: list[float], rows: int = 1500, shift: float = 0.0) -> pa.Table:
    """Return a fold for each true slope; the last one's predictions are ``shift`` too high."""
    tables = []
    for number, slope in enumerate(slopes, 1):
        part = table(rows, seed=number, mean=0)
        part = replaced(part, logits(part, shift if number == len(slopes) else 0, 1 / slope))
        part = part.append_column("fold", pa.array(np.full(rows, number)))
        tables.append(
            part.set_column(0, "entity_id", pa.array([f"{number}-{i}" for i in range(rows)]))
        )
    return pa.concat_tables(tables)


def test_folds_whose_errors_cancel_in_the_pool_are_refused_by_name():
    verdict = judge_challenger(with_folds([0.6, 1.8, 4.5]), settings=SETTINGS)
    tests = {test.name: test for test in verdict.tests}
    assert tests["calibrated in spread"].passed
    spread = tests["calibrated in spread in each fold"]
    assert not spread.passed
    assert "slope of fold 3 3." in spread.sentence
    assert "fold 1" not in spread.sentence and "fold 2" not in spread.sentence
    assert tests["calibrated on average in each fold"].passed
    assert spread.estimate.low > 2.0


def test_fold_that_is_too_high_is_refused_by_name():
    verdict = judge_challenger(with_folds([1, 1, 1], shift=3.0), settings=SETTINGS)
    test = next(t for t in verdict.tests if t.name == "calibrated on average in each fold")
    assert not test.passed and "predicted to observed of fold 3 1." in test.sentence


@pytest.mark.parametrize("folds", [2, 6])
def test_noise_in_small_folds_refuses_nothing(folds):
    for rows in (90, 150):
        assert "fold" not in " ".join(
            failed(judge_challenger(with_folds([1] * folds, rows), settings=SETTINGS))
        )


def test_folds_with_few_outcomes_are_not_judged():
    verdict = judge_challenger(with_folds([1, 1], rows=40), settings=SETTINGS)
    assert verdict.tests[-2].passed
    assert "not testable, every fold has too few outcomes" in verdict.tests[-2].sentence


def test_calibration_is_judged_where_the_calibrator_is_fitted_as_the_scorers():
    """The first fold is calibrated inside its train rows; such a calibrator is not used later."""
    rows = with_folds([4.0, 1, 1])
    shipped = rows.append_column("as_shipped", pa.array(rows["fold"].to_numpy() > 1))
    assert "calibrated in spread in each fold" in failed(judge_challenger(rows, settings=SETTINGS))
    verdict = judge_challenger(shipped, settings=SETTINGS)
    assert verdict.passed
    assert "(of fold 2, 3, calibrated as the scorer is)" in verdict.tests[3].sentence
    none = rows.append_column("as_shipped", pa.array(np.zeros(rows.num_rows, bool)))
    assert not judge_challenger(none, settings=SETTINGS).passed


def test_folds_of_a_short_history_are_judged_with_lines_from_each_other():
    """No fold is calibrated as shipped, all are timid alike, and the line that ships mends that."""
    rows = with_folds([2.0, 2.0, 2.0])
    rows = rows.append_column("uncalibrated", rows["probability"])
    rows = rows.append_column("cutoff", pa.array(np.arange(rows.num_rows)))
    rows = rows.append_column("as_shipped", pa.array(np.zeros(rows.num_rows, bool)))
    verdict = judge_challenger(rows, settings=SETTINGS)
    assert verdict.passed
    assert "(each fold calibrated on the others)" in verdict.tests[4].sentence
    # A line from the others mends no fold that differs from them.
    uneven = with_folds([4.0, 1, 0.3])
    for name in ("uncalibrated", "cutoff", "as_shipped"):
        uneven = uneven.append_column(
            name, uneven["probability"] if name == "uncalibrated" else rows[name]
        )
    assert "calibrated in spread in each fold" in failed(
        judge_challenger(uneven, settings=SETTINGS)
    )


def test_gate_refuses_few_outcomes_with_counts():
    rows = table(90)
    sentence = judge_challenger(rows, settings=SETTINGS).tests[0].sentence
    label, entity = np.asarray(rows["label"]), np.asarray(rows["entity_id"])
    assert f"{len(set(entity[label == 1]))} entities with the outcome" in sentence
    assert "enough data" in failed(judge_challenger(rows, settings=SETTINGS))


def test_gate_counts_entities_not_rows():
    rows = table(900)
    same = rows.set_column(0, "entity_id", pa.array([f"lead-{i % 20}" for i in range(900)]))
    assert "enough data" in failed(judge_challenger(same, settings=SETTINGS))


def test_gate_refuses_single_class():
    rows = table(100)
    verdict = judge_challenger(
        rows.set_column(1, "label", pa.array(np.zeros(100, np.int8))), settings=SETTINGS
    )
    assert {"enough data", "ranks"} <= set(failed(verdict))
    assert "AUC not defined" in verdict.tests[2].sentence


def test_gate_refuses_empty_table():
    assert "enough data" in failed(judge_challenger(table(0), settings=SETTINGS))


def test_better_champion_stays():
    rows = table(3000)
    champion = np.asarray(rows["probability"])
    challenger = (champion + np.asarray(rows["base_rate"])) / 2
    assert "not worse than the champion" in failed(
        judge_challenger(replaced(rows, challenger), champion, settings=SETTINGS)
    )


def test_equal_champion_is_replaced():
    rows = table(3000)
    champion = logits(rows, 0.01, 1.01)
    assert judge_challenger(rows, champion, settings=SETTINGS).passed


def test_rows_seen_by_champion_are_left_out():
    rows = table(3000)
    perfect_where_seen = np.abs(np.asarray(rows["label"]) - 0.01)
    champion = np.where(np.arange(3000) < 1500, np.nan, np.asarray(rows["base_rate"]))
    last = judge_challenger(rows, champion, settings=SETTINGS).tests[-1]
    assert last.passed
    assert last.estimate.n == 1500
    assert "not worse than the champion" in failed(
        judge_challenger(rows, perfect_where_seen, settings=SETTINGS)
    )


def test_champion_test_passes_with_too_few_unseen_rows():
    rows = table(900)
    champion = np.full(900, np.nan)
    champion[:60] = 0.5
    last = judge_challenger(rows, champion, settings=SETTINGS).tests[-1]
    assert last.passed
    assert "not testable yet" in last.sentence
    assert "needs 30" in last.sentence


def test_verdict_is_strict_json():
    for rows in (table(), table(0)):
        text = json.dumps(judge_challenger(rows, settings=SETTINGS).to_json(), allow_nan=False)
        assert {"passed", "tests", "causes"} == set(json.loads(text))


def by_segment(spoilt: float) -> pa.Table:
    """Two folds; in the second, the challenger's log-odds of every third row are off."""
    rows = table(3_000)
    fold = np.repeat([1, 2], 1_500)
    off = (fold == 2) & (np.arange(3_000) % 3 == 0)
    composed = np.where(off, logits(rows, spoilt), np.asarray(rows["probability"]))
    rows = rows.append_column("logistic", rows["probability"]).append_column("fold", pa.array(fold))
    return replaced(rows, composed)


@pytest.mark.parametrize(("spoilt", "fails"), [(0.0, False), (-2.5, True)])
def test_models_of_segments_are_judged_in_the_last_fold(spoilt, fails):
    verdict = judge_challenger(by_segment(spoilt), settings=SETTINGS, global_model="logistic")
    test = verdict.tests[-1]
    assert (test.name, test.estimate.n) == ("not worse than without segments", 1_500)
    assert (test.name in failed(verdict)) == fails
    if fails:
        assert "learning.segment_by" in verdict.causes[0].fix
    plain = judge_challenger(by_segment(spoilt), settings=SETTINGS)
    assert "not worse than without segments" not in [test.name for test in plain.tests]


def test_loss_of_early_folds_is_not_that_of_the_segments():
    rows = by_segment(-2.5)
    swapped = rows.set_column(
        rows.column_names.index("fold"), "fold", pa.array(3 - rows["fold"].to_numpy())
    )
    verdict = judge_challenger(swapped, settings=SETTINGS, global_model="logistic")
    assert "not worse than without segments" not in failed(verdict)
