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
        assert {"passed", "tests"} == set(json.loads(text))
