"""The search finds what is there, keeps nothing that is luck, and says the same twice."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from configs.learning import Learning, Search
from models.calibration import compute_clustered_error, compute_log_loss
from models.learners import lightgbm
from models.training import search as searching
from models.training.folds import Fold, split_by_entity, split_rolling_origin
from models.training.search import HyperparameterChoice, SearchSample, search_hyperparameters

DAY = 86_400_000_000
SIX = Learning(search=Search(trials=6))


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch):
    monkeypatch.setattr(lightgbm, "ROUNDS", 10)
    monkeypatch.setitem(searching.SEARCH_RANGES, "num_iterations", (5, 40))


def drifting(rows: int, seed: int = 0) -> tuple[SearchSample, list[Fold]]:
    """One row a day and lead; what the first column tells is turned around after a third of the time."""
    random = np.random.default_rng(seed)
    x = np.column_stack([random.normal(size=rows), random.integers(0, 4, rows)]).astype(float)
    sign = np.where(np.arange(rows) < rows // 3, 1.0, -1.0)
    y = (random.random(rows) < 1 / (1 + np.exp(-2 * sign * x[:, 0]))).astype(np.int64)
    cutoff = np.arange(rows) * DAY
    sample = SearchSample(x, y, [1], np.array([f"l{i}" for i in range(rows)], dtype=object), cutoff)
    return sample, split_rolling_origin(cutoff, timedelta(0), timedelta(0), 4, 0.5)


def test_a_gain_that_holds_later_is_kept_and_is_the_one_reported():
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
    everything = np.arange(2)
    gains = []
    for fold in folds[2:]:
        learnt, tested = sample.take(fold.train, everything), sample.take(fold.test, everything)
        usual, best = (
            each.fit(learnt, 1).margin(tested.x)
            for each in (HyperparameterChoice(Learning()), choice)
        )
        gains.append(compute_log_loss(usual, tested.y) - compute_log_loss(best, tested.y))
    assert report.gain == pytest.approx(np.concatenate(gains).mean())
    assert report.gain > report.noise > 0


def test_luck_on_the_earlier_folds_is_not_kept():
    """The later folds tell the opposite of the earlier ones, so what is best there is worst here."""
    sample, folds = drifting(900)
    later = np.arange(900) >= folds[2].test.min()
    told = replace(sample, y=np.where(later, 1 - sample.y, sample.y))
    choice, report = search_hyperparameters(told, folds, Learning(search=Search(trials=12)), seed=1)
    assert report.gain < 0 and not report.is_proven
    assert choice.parameters == {}


def test_the_same_trials_find_the_same():
    sample, folds = drifting(400)
    first, second = (search_hyperparameters(sample, folds, SIX, seed=3) for _ in range(2))
    assert first == second
    assert search_hyperparameters(sample, folds, SIX, seed=4)[1].best != first[1].best


def test_no_time_means_no_trial_and_the_report_says_so():
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


def test_one_trial_is_the_usual_way():
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


def test_rows_that_decide_are_never_learnt_from_before(monkeypatch):
    """Without order each fold learns from the others: the search must leave the deciding ones out of them."""
    sample, _ = drifting(400)
    sample = replace(sample, ordered=False)
    folds = split_by_entity(sample.entity_id, 4, 0)
    deciding = {name for fold in folds[2:] for name in sample.entity_id[fold.test]}
    learnt, fit = [], HyperparameterChoice.fit
    monkeypatch.setattr(
        HyperparameterChoice,
        "fit",
        lambda self, rows, seed: learnt.append(set(rows.entity_id)) or fit(self, rows, seed),
    )
    _, report = search_hyperparameters(sample, folds, SIX, seed=0)
    during = learnt[: 2 * report.trials]
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
    assert {each.one_vote for each in tried} == ({False, True} if rows_each > 1 else {False})
    assert ({each.recency_half_life for each in tried} == {None}) is not ordered


def test_it_is_quiet_and_leaves_optuna_as_it_was(capfd):
    import optuna

    before = optuna.logging.get_verbosity()
    search_hyperparameters(*drifting(300), SIX, seed=0)
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == before


def test_rows_of_one_entity_are_no_further_evidence():
    gain = np.random.default_rng(0).normal(size=50)
    names = np.array([f"l{i}" for i in range(50)], dtype=object)
    assert compute_clustered_error(gain, names) == pytest.approx(gain.std() / np.sqrt(50))
    assert compute_clustered_error(np.repeat(gain, 7), np.repeat(names, 7)) == pytest.approx(
        compute_clustered_error(gain, names)
    )


def test_a_sample_keeps_which_columns_are_categories():
    sample, _ = drifting(10)
    taken = sample.take(np.array([2, 5]), np.array([1]))
    assert taken.categorical == [0]
    np.testing.assert_array_equal(taken.x[:, 0], sample.x[[2, 5], 1])
