"""Target encoding: pairs of categories of hundreds of levels, noise, reasons and storage."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from models.learners.category_rates import CategoryRates
from models.learners.fit_input import FitInput
from models.learners.lightgbm import LightGbm
from models.learners.target_encoding import MIN_LEVELS, TargetEncodedTrees

ROWS, TRAINED = 16_000, 12_000


def draw_crm(levels, seed, effect=1.0, rows=ROWS):
    """Return categories of a CRM's leads, and their outcomes.

    Campaign, product and region have an effect of their own, and campaign and region one together.
    """
    random = np.random.default_rng(seed)

    def draw_codes(count):
        share = np.arange(1, count + 1) ** -0.6
        return random.choice(count, rows, p=share / share.sum())

    campaign, product, region = draw_codes(levels), draw_codes(200), random.integers(0, 8, rows)
    margin = 0.7 * (random.normal(size=levels)[campaign] + random.normal(size=200)[product])
    margin += random.normal(size=(levels, 8))[campaign, region]
    number = random.normal(size=rows)
    odds = np.exp(-2 + effect * (margin + 0.5 * number))
    y = (random.random(rows) < odds / (1 + odds)).astype(np.int64)
    codes = np.column_stack([campaign, product, region]).astype(float)
    return np.column_stack([codes, number]), y


def measure_auc(learner, x, y):
    model = learner.fit(FitInput(x[:TRAINED], [0, 1, 2], 0), y[:TRAINED])
    return roc_auc_score(y[TRAINED:], model.margin(x[TRAINED:]))


@pytest.mark.parametrize("levels", [200, 1_000])
def test_pairs_of_many_categories_are_found(levels):
    x, y = draw_crm(levels, seed=1)
    gain = measure_auc(TargetEncodedTrees, x, y) - measure_auc(LightGbm, x, y)
    assert gain >= 0.02
    model = TargetEncodedTrees.fit(FitInput(x[:TRAINED], [0, 1, 2], 0), y[:TRAINED])
    assert {tuple(sorted(rates.columns)) for rates in model.rates} >= {(0,), (1,), (0, 2)}


def test_categories_without_meaning_change_nothing():
    x, y = draw_crm(500, seed=2, effect=0.0)
    fit_input = FitInput(x[:TRAINED], [0, 1, 2], 0)
    model = TargetEncodedTrees.fit(fit_input, y[:TRAINED])
    assert model == TargetEncodedTrees(LightGbm.fit(fit_input, y[:TRAINED]), ())


def test_contributions_go_back_to_the_attributes():
    x, y = draw_crm(300, seed=3, rows=6_000)
    model = TargetEncodedTrees.fit(FitInput(x, [0, 1, 2], 0), y)
    assert any(len(rates.columns) == 2 for rates in model.rates)
    parts = model.contributions(x[:500])
    assert parts.shape == (500, x.shape[1] + 1)
    np.testing.assert_allclose(parts.sum(axis=1), model.margin(x[:500]), atol=1e-9)
    # The trees read the campaign by its rates alone, and still it is the campaign that speaks.
    assert np.abs(parts[:, 0]).mean() > 0.1


def test_contribution_of_a_pair_is_shared_by_its_columns():
    x, y = draw_crm(40, seed=4, rows=3_000)
    pair = CategoryRates((0, 2), (0, 1), (5.0, -5.0))
    trees = LightGbm.fit(FitInput(np.column_stack([0 * x, 2.0 * y]), [], 0), y)
    parts = TargetEncodedTrees(trees, (pair,)).contributions(np.zeros((1, 4)))
    assert parts[0, 0] == parts[0, 2] != 0
    assert parts[0, 1] == parts[0, 3] == 0


def test_few_categories_stay_with_the_trees():
    random = np.random.default_rng(5)
    few, many = random.integers(0, MIN_LEVELS, 8_000), random.integers(0, MIN_LEVELS + 1, 8_000)
    odds = np.exp(random.normal(size=99)[few] + random.normal(size=99)[many])
    y = (random.random(8_000) < odds / (1 + odds)).astype(np.int64)
    model = TargetEncodedTrees.fit(FitInput(np.column_stack([few, many]) * 1.0, [0, 1], 0), y)
    used = {line for line in model.trees.text.split("\n") if line.startswith("split_feature=")}
    features = {int(number) for line in used for number in line[14:].split()}
    assert 0 in features and 1 not in features


def test_model_is_read_back_to_the_bit(tmp_path):
    x, y = draw_crm(300, seed=6, rows=6_000)
    model = TargetEncodedTrees.fit(FitInput(x, [0, 1, 2], 0), y)
    model.save(tmp_path)
    again = TargetEncodedTrees.load(tmp_path)
    assert again == model
    assert again.margin(x).tobytes() == model.margin(x).tobytes()


def test_model_accepts_only_the_features_that_it_was_fitted_on():
    x, y = draw_crm(300, seed=7, rows=6_000)
    model = TargetEncodedTrees.fit(FitInput(x, [0, 1, 2], 0), y)
    assert model.accepts_features([True, True, True, False])
    # Rates of a column that is a number now, and one column more.
    assert not model.accepts_features([False, True, True, False])
    assert not model.accepts_features([True, True, True, False, False])


def test_outcomes_that_come_late_are_not_counted_early():
    x, y = draw_crm(200, seed=8, rows=6_000)
    asked_at = np.arange(6_000)
    fit_input = FitInput(x, [0, 1, 2], 0, asked_at=asked_at, known_at=asked_at + 1)
    late = replace(fit_input, known_at=asked_at + 6_000)
    assert TargetEncodedTrees.fit(fit_input, y).rates
    # No outcome was known when any row was asked, so no rate could prove itself.
    assert not TargetEncodedTrees.fit(late, y).rates
