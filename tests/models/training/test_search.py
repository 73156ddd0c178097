"""Search: finds a real gain, rejects a lucky one, and is reproducible."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from configs.learning import Learning, Search
from models.calibration import compute_clustered_error, compute_log_loss
from models.learners import lightgbm
from models.training import search
from models.training.folds import Fold, split_by_cluster, split_rolling_origin
from models.training.search import HyperparameterChoice, SearchSample, search_hyperparameters

DAY = 86_400_000_000
SIX = Learning(search=Search(trials=6))


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch):
    monkeypatch.setattr(lightgbm, "ROUNDS", 10)
    monkeypatch.setitem(search.SEARCH_RANGES, "num_iterations", (5, 40))


def drifting(rows: int, seed: int = 0) -> tuple[SearchSample, list[Fold]]:
    """Return a row a day and lead; the first column's effect reverses after a third of the time."""
    random = np.random.default_rng(seed)
    x = np.column_stack([random.normal(size=rows), random.integers(0, 4, rows)]).astype(float)
    sign = np.where(np.arange(rows) < rows // 3, 1.0, -1.0)
    y = (random.random(rows) < 1 / (1 + np.exp(-2 * sign * x[:, 0]))).astype(np.int64)
    cutoff = np.arange(rows) * DAY
    entity = np.array([f"l{i}" for i in range(rows)], dtype=object)
    sample = SearchSample(x, y, [1], entity, entity, cutoff)
    return sample, split_rolling_origin(cutoff, timedelta(0), timedelta(0), 4, 0.5)


def test_proven_gain_is_used_and_reported():
    sample, folds = drifting(1000)
    choice, report = search_hyperparameters(
        sample, folds, Learning(search=Search(trials=12)), seed=1
    )
    assert (report.trials, report.requested, report.cut_short, report.is_proven) == (
        12,
        12,
        False,
        True,
    )
    assert choice == report.best
    columns = np.arange(2)
    gains = []
    for fold in folds[2:]:
        train, test = sample.take(fold.train, columns), sample.take(fold.test, columns)
        default, best = (
            settings.fit(train, 1).margin(test.x)
            for settings in (HyperparameterChoice(Learning()), choice)
        )
        gains.append(compute_log_loss(default, test.y) - compute_log_loss(best, test.y))
    assert report.gain == pytest.approx(np.concatenate(gains).mean())
    assert report.gain > report.noise > 0


def test_lucky_gain_on_earlier_folds_is_rejected():
    """The later folds are the opposite of the earlier ones: the best settings become the worst."""
    sample, folds = drifting(900)
    later = np.arange(900) >= folds[2].test.min()
    reversed_later = replace(sample, y=np.where(later, 1 - sample.y, sample.y))
    choice, report = search_hyperparameters(
        reversed_later, folds, Learning(search=Search(trials=12)), seed=1
    )
    assert report.gain < 0 and not report.is_proven
    assert choice.parameters == {}


def test_search_is_reproducible():
    sample, folds = drifting(400)
    first, second = (search_hyperparameters(sample, folds, SIX, seed=3) for _ in range(2))
    assert first == second
    assert search_hyperparameters(sample, folds, SIX, seed=4)[1].best != first[1].best


def test_report_shows_that_no_time_allowed_no_trial():
    sample, folds = drifting(300)
    choice, report = search_hyperparameters(
        sample, folds, Learning(search=Search(limit=timedelta(0))), seed=0
    )
    assert (report.trials, report.requested, report.cut_short, report.is_proven) == (
        0,
        30,
        True,
        False,
    )
    assert choice.parameters == {}
    assert report.to_json()["gain"] is None


def test_single_trial_is_the_default():
    sample, folds = drifting(300)
    choice, report = search_hyperparameters(
        sample, folds, Learning(search=Search(trials=1)), seed=0
    )
    assert (report.trials, report.cut_short, report.is_proven, choice.parameters) == (
        1,
        False,
        False,
        {},
    )


def test_decision_rows_are_not_trained_on_during_the_search(monkeypatch):
    """Without order each fold trains on the others: the search must leave out decision rows."""
    sample, _ = drifting(400)
    sample = replace(sample, ordered=False)
    folds = split_by_cluster(sample.entity_id, 4, 0)
    deciding = {name for fold in folds[2:] for name in sample.entity_id[fold.test]}
    trained, fit = [], HyperparameterChoice.fit
    monkeypatch.setattr(
        HyperparameterChoice,
        "fit",
        lambda self, rows, seed: trained.append(set(rows.entity_id)) or fit(self, rows, seed),
    )
    _, report = search_hyperparameters(sample, folds, SIX, seed=0)
    during = trained[: 2 * report.trials]
    assert len(during) == 12
    assert all(not names & deciding for names in during)
    assert report.best.learning.recency_half_life is None


@pytest.mark.parametrize(("rows_each", "ordered"), [(1, True), (2, True), (1, False)])
def test_weights_are_tried_only_where_they_can_differ(monkeypatch, rows_each, ordered):
    sample, folds = drifting(300)
    names = np.array([f"l{i // rows_each}" for i in range(300)], dtype=object)
    tried, fit = [], HyperparameterChoice.fit
    monkeypatch.setattr(
        HyperparameterChoice,
        "fit",
        lambda self, rows, seed: tried.append(self.learning) or fit(self, rows, seed),
    )
    search_hyperparameters(
        replace(sample, entity_id=names, ordered=ordered),
        folds,
        Learning(search=Search(trials=12)),
        seed=0,
    )
    assert {learning.one_vote for learning in tried} == (
        {False, True} if rows_each > 1 else {False}
    )
    assert ({learning.recency_half_life for learning in tried} == {None}) is not ordered


def test_search_is_quiet_and_restores_optunas_verbosity(capfd):
    import optuna

    before = optuna.logging.get_verbosity()
    search_hyperparameters(*drifting(300), SIX, seed=0)
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == before


def test_clustered_error_ignores_repeated_rows():
    gain = np.random.default_rng(0).normal(size=50)
    names = np.array([f"l{i}" for i in range(50)], dtype=object)
    assert compute_clustered_error(gain, names) == pytest.approx(gain.std() / np.sqrt(50))
    assert compute_clustered_error(np.repeat(gain, 7), np.repeat(names, 7)) == pytest.approx(
        compute_clustered_error(gain, names)
    )


def test_sample_take_keeps_the_categories():
    sample, _ = drifting(10)
    taken = sample.take(np.array([2, 5]), np.array([1]))
    assert taken.categorical == [0]
    np.testing.assert_array_equal(taken.x[:, 0], sample.x[[2, 5], 1])
