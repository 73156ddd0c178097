"""Likely causes of a refusal: each is named where the data has it, and nowhere else."""

import numpy as np
import pyarrow as pa
import pytest

from features.contracts import INSTANT
from features.tools.instants import US_PER_DAY
from models.calibration import to_log_odds, to_probability
from models.evaluation.gate import GateSettings, judge_challenger
from models.evaluation.refusal_causes import find_refusal_causes

DAYS = 90


def honest(
    rows: int = 6000, growth: float = 1.0, change: float = 0.0, exaggeration: float = 1.0, seed=0
) -> pa.Table:
    """Return three folds of thirty days; the last one's rate differs by ``change`` log-odds."""
    generator = np.random.default_rng(seed)
    share = np.array([1.0, np.sqrt(growth), growth])
    fold = np.sort(generator.choice(3, rows, p=share / share.sum()))
    day = 30 * fold + np.sort(generator.random(rows) * 30)
    probability = to_probability(generator.normal(-1.2, 1, rows))
    truth = to_probability(to_log_odds(probability) + change * (fold == 2))
    raw = to_probability(to_log_odds(probability) * exaggeration)
    columns = {
        "entity_id": [f"lead-{i}" for i in range(rows)],
        "cutoff": pa.array((day * US_PER_DAY).astype(np.int64), INSTANT),
        "label": (generator.random(rows) < truth).astype(np.int8),
        "fold": fold + 1,
        "probability": probability,
        "uncalibrated": raw,
        "base_rate": np.full(rows, probability.mean()),
    }
    return pa.table(columns)


def names(table: pa.Table, **options) -> list[str]:
    return [cause.name for cause in find_refusal_causes(table, **options)]


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_named_without_a_cause(seed):
    assert names(honest(seed=seed)) == []


def test_missing_outcomes_of_the_latest_rows_are_named_with_day_and_counts():
    table = honest()
    day = table["cutoff"].cast(pa.int64()).to_numpy() / US_PER_DAY
    lost = (day > 83) & (np.random.default_rng(1).random(len(day)) < (day - 83) / 7)
    label = np.where(lost, 0, table["label"].to_numpy()).astype(np.int8)
    causes = find_refusal_causes(table.set_column(2, "label", pa.array(label)))
    assert causes[0].name == "the outcomes of the latest leads are incomplete"
    assert "from 1970-03-2" in causes[0].evidence
    assert "sources.complete_after" in causes[0].fix


@pytest.mark.parametrize(("change", "word"), [(-0.8, "fell"), (0.8, "rose")])
def test_changed_rate_is_named_with_both_rates(change, word):
    causes = find_refusal_causes(honest(change=change))
    assert [cause.name for cause in causes] == [f"the outcome rate {word}"]
    table = honest(change=change)
    last = table["label"].to_numpy()[table["fold"].to_numpy() == 3]
    assert f"{last.mean():.1%} in the latest fold" in causes[0].evidence


def test_grown_volume_is_named_with_the_rows_of_both_folds():
    table = honest(growth=10)
    causes = find_refusal_causes(table)
    assert [cause.name for cause in causes] == ["volume grew"]
    fold = table["fold"].to_numpy()
    assert f"fold 3 tests {(fold == 3).sum():,} rows" in causes[0].evidence
    assert "evaluation.share" in causes[0].fix


def test_exaggerating_model_is_named_and_the_search_if_there_was_one():
    table = honest(exaggeration=2.5)
    assert names(table) == ["the model over-fitted"]
    assert names(table, searched=True) == ["the search over-fitted"]
    assert "learning.search" in find_refusal_causes(table, searched=True)[0].fix


def test_order_of_rows_changes_nothing():
    table = honest(change=-0.8)
    mixed = table.take(np.random.default_rng(0).permutation(table.num_rows))
    assert find_refusal_causes(mixed) == find_refusal_causes(table)


def test_folds_without_an_order_have_no_causes_in_time():
    table = honest(change=-0.8)
    mixed = np.random.default_rng(0).permutation(table["cutoff"].to_numpy())
    assert names(table.set_column(1, "cutoff", pa.array(mixed).cast(INSTANT))) == []


def test_tables_without_the_columns_or_rows_have_no_causes():
    assert names(honest().select(["entity_id", "label", "probability"])) == []
    assert names(honest().slice(0, 0)) == []


def test_refusal_ends_with_its_likely_cause_and_the_gate_json_lists_it():
    table = honest(change=-1.2)
    verdict = judge_challenger(table, settings=GateSettings(replicates=50))
    assert not verdict.passed
    assert verdict.to_json()["causes"][0]["name"] == "the outcome rate fell"
    with pytest.raises(Exception, match="likely cause: the outcome rate fell") as refusal:
        verdict.raise_if_refused("close")
    assert len(str(refusal.value).splitlines()) == 2


def test_challenger_that_passes_has_no_causes():
    verdict = judge_challenger(honest(growth=10), settings=GateSettings(replicates=50))
    assert verdict.passed and verdict.causes == ()
