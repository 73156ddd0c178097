"""Logistic regression with its prior, against the same likelihood solved in another way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime, minimize

from models.learners.base_rate import BaseRate
from models.learners.fit_input import FitInput
from models.learners.logistic import Logistic
from models.learners.logistic_prior import (
    DEFAULT_EFFECTS,
    FEW_OUTCOMES,
    MAX_PRIOR_VARIANCE,
    MIN_PRIOR_VARIANCE,
    STRENGTH_VARIANCE,
    choose_prior_variance,
    find_default_columns,
    get_default_effects,
)
from models.learners.ridge import RidgeProblem

NAMES = ["any_age", "country", "budget"]


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
def test_margin_is_the_mode_of_the_posterior(rows, names):
    x, y = draw_rows(rows)
    weight = np.linspace(0.5, 1.5, rows)
    model = Logistic.fit(FitInput(x, [1], 0, 2.0, weight, names=names), y)
    variance = choose_prior_variance(y, weight, 2.0)
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


def test_weight_of_two_equals_two_rows():
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


def test_mean_prediction_is_the_base_rate_of_the_rows():
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


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 400), st.integers(1, 400), st.floats(1, 20))
def test_prior_widens_with_independent_outcomes(positive, negative, rows_per_cluster):
    y = np.repeat([1, 0], [positive, negative])
    variance = choose_prior_variance(y, np.ones(len(y)), rows_per_cluster)
    outcomes = min(positive, negative) / rows_per_cluster
    wanted = MIN_PRIOR_VARIANCE * max(1.0, outcomes / FEW_OUTCOMES)
    assert variance == pytest.approx(min(wanted, MAX_PRIOR_VARIANCE))


def test_prior_counts_unequal_weights_as_fewer_outcomes():
    y = np.arange(4_000) % 2
    even, uneven = np.ones(4_000), np.where(np.arange(4_000) < 2_000, 1.9, 0.1)
    assert choose_prior_variance(y, uneven, 1.0) < choose_prior_variance(y, even, 1.0)


def test_default_effects_belong_to_names():
    names = ["budget", "any_age", "any_count_7d"]
    assert find_default_columns(names) == [1, 2]
    found = get_default_effects(names, np.array([0, 2]))
    assert found.tolist() == [0.0, DEFAULT_EFFECTS["any_count_7d"]]
    assert get_default_effects((), np.array([0, 2])).tolist() == [0.0, 0.0]
