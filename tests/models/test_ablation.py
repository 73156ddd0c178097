"""Ablation: the family with the signal is missed, a family of noise is not."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from configs.errors import DataError
from configs.learning import EvaluationConfig
from features.contracts import INSTANT, LABELS
from features.tools.instants import US_PER_DAY
from models.ablation import run_ablation
from models.calibration import to_probability
from models.learners import lightgbm
from models.training.settings import TrainingSettings
from models.training.train import train_scorer

SETTINGS = TrainingSettings("close", timedelta(days=14), EvaluationConfig(folds=2))
FAMILIES = {
    "a": "counts",
    "b": "counts",
    "c": "rhythm",
    "d": "rhythm",
    "e": "rhythm",
    "same": "lead",
}


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch):
    """Fit few trees, so that the tests are fast."""
    monkeypatch.setattr(lightgbm, "ROUNDS", 15)


def company(leads=150, weeks=12):
    """Return weekly rows whose label depends on the counts alone.

    The rhythm is noise and ``same`` has one value.
    """
    random = np.random.default_rng(3)
    n = leads * weeks
    week = np.repeat(np.arange(weeks), leads)
    columns = dict(zip("abcde", random.normal(size=(5, n)), strict=True)) | {"same": np.ones(n)}
    label = (random.random(n) < to_probability(2 * columns["a"] + columns["b"] - 1)).astype(float)
    mature = week < weeks - 2
    entity = pa.array(np.tile([f"lead-{i}" for i in range(leads)], weeks))
    spine = {"entity_id": entity, "cutoff": pa.array(week * 7 * US_PER_DAY, INSTANT)}
    labels = {
        "mature": mature,
        "label": pa.array(label, pa.int8(), mask=~mature),
        "outcome_at": pa.nulls(n, INSTANT),
    }
    return pa.table({**spine, **columns}), pa.table({**spine, **labels}).cast(LABELS)


@pytest.fixture(scope="module")
def trials():
    """Return the trials of the company by mode and family."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lightgbm, "ROUNDS", 15)
        return {
            (trial.mode, trial.family): trial
            for trial in run_ablation(*company(), SETTINGS, FAMILIES)
        }


def test_trials_cover_all_each_family_and_none(trials):
    families = ["counts", "rhythm", "lead"]
    without, only = [("without", name) for name in families], [("only", name) for name in families]
    assert list(trials) == [("all", ""), *without, *only, ("none", "")]


def test_feature_counts_of_with_and_without_add_up(trials):
    counts = {key: trial.feature_count for key, trial in trials.items()}
    assert (counts["all", ""], counts["none", ""]) == (len(FAMILIES), 0)
    for family in set(FAMILIES.values()):
        assert counts["only", family] == list(FAMILIES.values()).count(family)
        assert counts["without", family] + counts["only", family] == len(FAMILIES)


def test_difference_is_large_without_the_signal_only(trials):
    assert trials["without", "counts"].difference.low > 0.05
    assert trials["without", "rhythm"].difference.low < 0.01
    assert trials["only", "counts"].difference.low < 0.01
    assert trials["only", "counts"].roc_auc.low > 0.75


def test_noise_alone_is_at_the_base_rate(trials):
    none, noise = trials["none", ""], trials["only", "rhythm"]
    assert none.roc_auc.value == 0.5
    assert noise.log_loss.value == pytest.approx(none.log_loss.value, abs=0.01)
    assert noise.roc_auc.low < 0.53


def test_constant_family_is_the_base_rate_and_changes_nothing(trials):
    lead = replace(trials["only", "lead"], mode="none", family="", feature_count=0)
    assert lead == trials["none", ""]
    same = trials["without", "lead"].difference
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_metrics_of_all_features_equal_those_of_a_training(trials):
    found = train_scorer(*company(), SETTINGS).out_of_time
    label, chance, base = (found[name].to_numpy() for name in ("label", "lightgbm", "base_rate"))
    loss, worst = (-np.mean(np.log(np.where(label == 1, p, 1 - p))) for p in (chance, base))
    assert trials["all", ""].log_loss.value == pytest.approx(loss, rel=1e-9)
    assert trials["all", ""].log_loss.n == len(label)
    assert trials["none", ""].difference.value == pytest.approx(worst - loss, rel=1e-6)
    assert trials["all", ""].difference.value == 0


def test_difference_equals_that_of_the_losses(trials):
    reference = trials["all", ""].log_loss.value
    for trial in trials.values():
        assert trial.difference.value == pytest.approx(trial.log_loss.value - reference, abs=1e-9)
        assert trial.difference.low <= trial.difference.value <= trial.difference.high


def test_progress_lists_each_run_and_constant_features_are_refused():
    lines: list[str] = []
    matrix, labels = company(leads=40)
    run_ablation(matrix, labels, replace(SETTINGS, log=lines.append), FAMILIES)
    assert [line.split(": ")[1] for line in lines][:2] == ["all features", "without counts"]
    assert lines[-1].startswith("7 of 7")
    with pytest.raises(DataError, match="one value only"):
        run_ablation(matrix.select(["entity_id", "cutoff", "same"]), labels, SETTINGS, FAMILIES)
