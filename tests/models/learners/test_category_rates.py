"""Rates of categories: a brute-force count, no outcome from the future, and what noise leaves."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from models.encoding import MAX_CATEGORIES
from models.learners import category_rates
from models.learners.category_rates import CategoryRates, fit_category_rates
from models.learners.fit_input import FitInput

PRIOR = 3.0


@pytest.fixture
def kept_anyway(monkeypatch):
    """Keep the rates of two columns and of their pair, with one prior, without a test."""
    monkeypatch.setattr(category_rates, "PRIOR_OUTCOMES", (PRIOR,))
    # The limit of three candidates is then minus infinity.
    monkeypatch.setattr(category_rates, "FALSE_KEEP_CHANCE", 3.0)


def draw_rows(rows, seed, horizon=4, levels=(5, 3)):
    """Return a fit input of two categories, some of them missing, in shuffled time, and labels."""
    random = np.random.default_rng(seed)
    x = np.column_stack([random.integers(0, n, rows) for n in levels]).astype(float)
    x[random.random(x.shape) < 0.1] = np.nan
    asked_at = random.integers(0, rows // 2, rows)
    fit_input = FitInput(x, [0, 1], 0, asked_at=asked_at, known_at=asked_at + horizon)
    return fit_input, random.integers(0, 2, rows)


def count_by_hand(fit_input, y):
    """Return the ordered log ratios of both columns and their pair, row by row."""
    asked, known, x = fit_input.asked_at, fit_input.known_at, fit_input.x
    rows = range(len(y))
    before = [[j for j in rows if known[j] <= asked[i]] for i in rows]
    level = np.array([(sum(y[j] for j in b) + y.mean()) / (len(b) + 1) for b in before])

    def compute_ratios(expected, columns):
        expected = np.clip(expected, 1e-4, 0.99)
        ratios = []
        for i in rows:
            key = x[i, columns]
            same = [j for j in before[i] if np.array_equal(x[j, columns], key)]
            total = (sum(y[j] for j in same) + PRIOR) / (sum(expected[same]) + PRIOR)
            ratios.append(0.0 if np.isnan(key).any() else np.log(total))
        return np.array(ratios)

    first, second = compute_ratios(level, [0]), compute_ratios(level, [1])
    return first, second, compute_ratios(level * np.exp(first + second), [0, 1])


@given(seed=st.integers(0, 10_000), horizon=st.integers(1, 30))
@settings(max_examples=25, deadline=None)
def test_ordered_ratios_are_those_counted_by_hand(seed, horizon):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(category_rates, "PRIOR_OUTCOMES", (PRIOR,))
        patch.setattr(category_rates, "FALSE_KEEP_CHANCE", 3.0)
        fit_input, y = draw_rows(60, seed, horizon)
        rates, ordered = fit_category_rates(fit_input, y)
    expected = dict(zip([(0,), (1,), (0, 1)], count_by_hand(fit_input, y), strict=True))
    for rate, column in zip(rates, ordered.T, strict=True):
        # The columns of a pair stand in the order of their gains.
        np.testing.assert_allclose(column, expected[tuple(sorted(rate.columns))], atol=1e-8)


def test_ordered_ratios_ignore_their_own_and_later_outcomes(kept_anyway):
    fit_input, y = draw_rows(400, 1)
    _, reference = fit_category_rates(fit_input, y)
    start = 100
    late = np.flatnonzero(fit_input.known_at > start)
    changed = y.copy()
    # Exchanged and not redrawn: the share of all rows is the level of the first ones.
    changed[late] = np.random.default_rng(2).permutation(y[late])
    assert np.any(changed != y)
    _, ordered = fit_category_rates(fit_input, changed)
    early = fit_input.asked_at <= start
    np.testing.assert_array_equal(ordered[early], reference[early])
    assert np.any(ordered[~early] != reference[~early])


def test_rates_of_all_rows_serve_rows_to_come(kept_anyway):
    fit_input, y = draw_rows(300, 3)
    rates, _ = fit_category_rates(fit_input, y)
    single = next(rate for rate in rates if rate.columns == (1,))
    level = count_running_level(fit_input, y)
    asked = np.array([[np.nan, 0.0], [np.nan, 2.0], [np.nan, 7.0], [np.nan, np.nan]])
    for value, found in zip((0.0, 2.0), single.look_up(asked)[:2], strict=True):
        same = fit_input.x[:, 1] == value
        total = (y[same].sum() + PRIOR) / (level[same].sum() + PRIOR)
        assert found == pytest.approx(np.log(total))
    # Neither a category that was not seen nor a missing one says anything.
    assert single.look_up(asked)[2:].tolist() == [0.0, 0.0]


def count_running_level(fit_input, y):
    known = fit_input.known_at[None, :] <= fit_input.asked_at[:, None]
    return ((known @ y) + y.mean()) / (known.sum(axis=1) + 1)


def test_rates_are_read_back_to_the_bit(kept_anyway):
    fit_input, y = draw_rows(200, 4)
    rates, _ = fit_category_rates(fit_input, y)
    assert any(len(rate.columns) == 2 for rate in rates)
    for rate in rates:
        assert CategoryRates.from_json(json.loads(json.dumps(rate.to_json()))) == rate


def test_pair_has_one_key_for_each_combination(kept_anyway):
    x = np.array([[1.0, MAX_CATEGORIES - 1], [2.0, 0.0], [1.0, MAX_CATEGORIES - 1]])
    keys = category_rates.combine_codes(x, (0, 1))
    assert keys[0] == keys[2] != keys[1]


def test_permuted_outcomes_keep_no_rates_and_rank_nothing():
    random = np.random.default_rng(5)
    rows, kept, aucs = 6_000, 0, []
    x = np.column_stack([random.integers(0, n, rows) for n in (500, 40, 200)]).astype(float)
    for _ in range(10):
        y = random.permutation(np.arange(rows) % 5 == 0).astype(np.int64)
        fit_input = FitInput(x, [0, 1, 2], 0)
        rates, _ = fit_category_rates(fit_input, y)
        kept += len(rates)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(category_rates, "FALSE_KEEP_CHANCE", 6.0)
            _, ordered = fit_category_rates(fit_input, y)
        aucs += [roc_auc_score(y, column) for column in ordered.T]
    # By chance rates are kept in one of twenty tries.
    assert kept <= 3
    # 0.0083 is the standard error of an AUC of 1,200 outcomes among 6,000 rows.
    assert abs(np.mean(aucs) - 0.5) < 0.0083
    assert max(abs(np.array(aucs) - 0.5)) < 4 * 0.0083
