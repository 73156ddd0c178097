"""Logistic regression with its prior, against the same likelihood solved in another way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime, minimize

from models.learners.base_rate import BaseRate
from models.learners.fit_input import FitInput
from models.learners.logistic import Logistic
from models.regression import ridge
from models.regression.logistic_prior import (
    DEFAULT_EFFECTS,
    ENOUGH_OUTCOMES_PER_FEATURE,
    GROWTH_POWER,
    MAX_PRIOR_VARIANCE,
    STRENGTH_VARIANCE,
    TOTAL_PRIOR_VARIANCE,
    choose_prior_variance,
    find_default_columns,
    get_default_effects,
)
from models.regression.ridge import RidgeProblem

NAMES = ["any_age", "country", "budget"]


@pytest.fixture
def exact_mode(monkeypatch):
    """Let the search go on until the mode, which another way of solving can be compared with."""
    monkeypatch.setattr(ridge, "TOLERANCE", 1e-8)


def draw_rows(count, seed=5, sign=1):
    """Return two numbers and a category between them; a long silence lowers the chance."""
    random = np.random.default_rng(seed)
    x = np.column_stack(
        [random.exponential(size=count), random.integers(0, 2, count), random.normal(size=count)]
    )
    odds = -sign * 2 * (x[:, 0] - 1) + x[:, 1] - 1
    return x, (random.random(count) < 1 / (1 + np.exp(-odds))).astype(np.int64)


def scale_number(column):
    center = np.median(column)
    ratio = (column - center) / np.abs(column - center).mean()
    curve = np.sign(ratio) * np.log1p(np.abs(ratio))
    return curve / curve.std()


def fit_by_powell(x, y, weight, variance, effect):
    """Return the margins at the lowest penalised likelihood, found without a gradient.

    The prior is that of the sum ``strength * effect + deviation`` of the first number.
    """
    design = np.column_stack([scale_number(x[:, 0]), x[:, 1] == 0, x[:, 1] == 1])
    design = np.column_stack([design, scale_number(x[:, 2])]).astype(float)
    prior = np.array([variance + STRENGTH_VARIANCE * effect**2, variance, variance, variance])
    mean = np.array([effect, 0, 0, 0])

    def cost(position):
        margin = position[0] + design @ position[1:]
        likelihood = weight @ (np.log1p(np.exp(margin)) - y * margin)
        return likelihood + np.sum((position[1:] - mean) ** 2 / prior) / 2

    options = {"xtol": 1e-9, "ftol": 1e-14, "maxiter": 100_000, "maxfev": 1_000_000}
    position = minimize(cost, np.zeros(5), method="Powell", options=options).x
    return position[0] + design @ position[1:]


@pytest.mark.parametrize("names", [NAMES, ()])
@pytest.mark.parametrize("rows", [40, 400])
def test_margin_is_the_mode_of_the_posterior(exact_mode, rows, names):
    x, y = draw_rows(rows)
    weight = np.linspace(0.5, 1.5, rows)
    model = Logistic.fit(FitInput(x, [1], 0, 2.0, weight, names=names), y)
    variance = choose_prior_variance(y, weight, 2.0, 3)
    effect = DEFAULT_EFFECTS["any_age"] if names else 0.0
    expected = fit_by_powell(x, y, weight, variance, effect)
    np.testing.assert_allclose(model.margin(x), expected, atol=2e-4)


def test_gradient_is_that_of_the_cost():
    random = np.random.default_rng(2)
    design = random.normal(size=(50, 3)).astype(np.float32)
    problem = RidgeProblem(
        design,
        np.array([1.0, 2.0, 0.5]),
        random.integers(0, 2, 50),
        random.uniform(0.5, 2, 50),
        np.array([0.0, 0.3, -0.2]),
        np.array([0.1, 1.0, 3.0]),
    )
    place = random.normal(size=4)
    numeric = approx_fprime(place, lambda p: problem.compute_cost(p)[0], 1e-6)
    np.testing.assert_allclose(problem.compute_cost(place)[1], numeric, atol=1e-4)


def test_weight_of_two_equals_two_rows(exact_mode):
    design = np.eye(4, dtype=np.float32)[np.arange(60) % 4]
    y = (np.arange(60) % 7 < 3).astype(np.int64)
    twice = np.arange(60) % 3 == 0

    def solve(rows, weight):
        ones, zeros = np.ones(4), np.zeros(4)
        return RidgeProblem(design[rows], ones, y[rows], weight, zeros, ones).solve()

    every = np.arange(60)
    both = np.concatenate([every, every[twice]])
    weighted, doubled = solve(every, 1.0 + twice), solve(both, np.ones(len(both)))
    np.testing.assert_allclose(weighted[0], doubled[0], atol=1e-5)
    np.testing.assert_allclose(weighted[1], doubled[1], atol=1e-5)


def test_mean_prediction_is_the_base_rate_of_the_rows(exact_mode):
    x, y = draw_rows(60)
    model = Logistic.fit(FitInput(x, [1], 0, names=NAMES), y)
    assert np.mean(1 / (1 + np.exp(-model.margin(x)))) == pytest.approx(y.mean(), abs=1e-5)


def measure_loss(model, x, y):
    margin = model.margin(x)
    return np.mean(np.log1p(np.exp(margin)) - y * margin)


@pytest.mark.parametrize("sign", [1, -1])
def test_defaults_help_with_few_outcomes_and_give_way_where_they_are_wrong(sign):
    test_x, test_y = draw_rows(4_000, seed=99, sign=sign)
    gain, over_base = [], []
    for seed in range(30):
        x, y = draw_rows(40, seed, sign)
        losses = [
            measure_loss(model, test_x, test_y)
            for model in (
                Logistic.fit(FitInput(x, [1], 0, names=NAMES), y),
                Logistic.fit(FitInput(x, [1], 0), y),
                BaseRate.fit(FitInput(x, [1], 0), y),
            )
        ]
        gain.append(losses[1] - losses[0])
        over_base.append(losses[2] - losses[0])
    # A company in which silence is a good sign loses nothing to a prior without defaults.
    assert np.mean(gain) > 0
    assert np.mean(over_base) > 0


def test_search_leaves_what_overlapping_columns_differ_in_near_the_prior(monkeypatch):
    random = np.random.default_rng(4)
    column = random.normal(size=2_000)
    design = np.column_stack([column, column + 0.002 * random.normal(size=2_000)])
    odds = column + 100 * (design[:, 0] - design[:, 1])
    y = (random.random(2_000) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    problem = RidgeProblem(
        design.astype(np.float32), np.ones(2), y, np.ones(2_000), np.zeros(2), np.full(2, 1e6)
    )
    _, early = problem.solve()
    monkeypatch.setattr(ridge, "TOLERANCE", 1e-8)
    _, mode = problem.solve()
    # The sum of the weights is determined by the rows, their difference hardly.
    assert early.sum() == pytest.approx(mode.sum(), abs=0.05)
    assert abs(mode[0] - mode[1]) > 100
    assert abs(early[0] - early[1]) < 1


@pytest.mark.parametrize(
    ("outcomes", "features", "expected"),
    [(5, 125, 0.0004), (50, 125, 0.0004), (125, 125, 0.001), (250, 125, 0.008), (190, 19, 1.0)],
)
def test_prior_variance_of_some_companies(outcomes, features, expected):
    y = np.arange(outcomes * 12) % 12 == 0
    assert choose_prior_variance(y, np.ones(len(y)), 1.0, features) == pytest.approx(expected)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 2_000), st.integers(1, 2_000), st.floats(1, 20), st.integers(1, 200))
def test_prior_widens_with_outcomes_per_feature(positive, negative, rows_per_cluster, features):
    y = np.repeat([1, 0], [positive, negative])
    variance = choose_prior_variance(y, np.ones(len(y)), rows_per_cluster, features)
    # A line on log scales from the narrow end to the wide one, level beyond both.
    narrow = TOTAL_PRIOR_VARIANCE / features / MAX_PRIOR_VARIANCE
    places = np.log(ENOUGH_OUTCOMES_PER_FEATURE) + np.array([np.log(narrow) / GROWTH_POWER, 0.0])
    place = np.log(min(positive, negative) / rows_per_cluster / features)
    expected = MAX_PRIOR_VARIANCE * np.exp(np.interp(place, places, [np.log(narrow), 0.0]))
    assert variance == pytest.approx(expected)


def test_prior_counts_unequal_weights_as_fewer_outcomes():
    y = np.arange(4_000) % 2
    even, uneven = np.ones(4_000), np.where(np.arange(4_000) < 2_000, 1.9, 0.1)
    # 2,000 * (mean weight) ** 2 / (mean squared weight) outcomes are left: 2,000 / 1.81.
    few = np.arange(2_210) % 2
    assert choose_prior_variance(y, uneven, 1.0, 900) == pytest.approx(
        choose_prior_variance(few, np.ones(2_210), 1.0, 900), rel=1e-3
    )
    assert choose_prior_variance(y, uneven, 1.0, 900) < choose_prior_variance(y, even, 1.0, 900)


def test_default_effects_belong_to_names():
    names = ["budget", "any_age", "any_count_7d"]
    assert find_default_columns(names) == [1, 2]
    found = get_default_effects(names, np.array([0, 2]))
    assert found.tolist() == [0.0, DEFAULT_EFFECTS["any_count_7d"]]
    assert get_default_effects((), np.array([0, 2])).tolist() == [0.0, 0.0]
