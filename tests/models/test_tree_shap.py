"""Contributions are LightGBM's own, whatever the trees, and never depend on the rows beside or on threads."""

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import tree_shap
from models.tree_shap import TILE, Explainer

CATEGORICAL = [1, 4]
SHAPES = {
    "tiny": {"num_leaves": 2},
    "small": {"num_leaves": 6, "extra_trees": True},
    "usual": {"num_leaves": 31},
    "deep": {"num_leaves": 90, "max_depth": 12, "min_data_in_leaf": 3, "lambda_l2": 0.1},
    "long": {"num_leaves": 40, "min_data_in_leaf": 3, "learning_rate": 1.0, "extra_trees": True},
    "none": {"num_leaves": 8, "min_data_in_leaf": 10_000},
}
MISSING = {"nan": {}, "none": {"use_missing": False}, "zero": {"zero_as_missing": True}}


def rows_of(random, rows, features=14):
    """Numbers, some of them few and 0, and two categories, one of many codes; all with gaps."""
    x = random.normal(size=(rows, features))
    x[:, 0] = random.poisson(0.7, rows)
    x[:, 1], x[:, 4] = random.integers(0, 4, rows), random.integers(0, 90, rows)
    x[:, 2] = np.where(random.random(rows) < 0.5, 0.0, np.expm1(3 * x[:, 2]))
    x[random.random(x.shape) < 0.15] = np.nan
    return x


def learnt(random, shape, missing, objective="binary", rows=500):
    x = rows_of(random, rows)
    odds = np.nan_to_num(x).clip(-1, 1) @ random.normal(size=x.shape[1]) + (x[:, 4] % 3 == 0)
    y = (random.random(rows) < 1 / (1 + np.exp(-odds))).astype(float)
    own = {"objective": objective, "num_iterations": 6, "num_threads": 1, "verbosity": -1, "bagging_fraction": 0.7}
    own |= {"bagging_freq": 1, "cat_smooth": 1.0, "min_data_per_group": 2, **SHAPES[shape], **MISSING[missing]}
    weight = random.exponential(size=rows) ** 3
    data = lightgbm.Dataset(x, y, weight=weight, categorical_feature=CATEGORICAL, params=own)
    return lightgbm.train(own, data).model_to_string()


def strange(random, rows):
    """Rows with values that were never learnt from."""
    x = rows_of(random, rows)
    x[random.random(rows) < 0.1, 4] = random.choice([-3.0, 95.0, 2.7, 1e12])
    x[random.random(rows) < 0.1, 3] = random.choice([np.inf, -np.inf, 1e-36, -0.0])
    return x


def own_of_lightgbm(text, x):
    return lightgbm.Booster(model_str=text).predict(x, pred_contrib=True, num_threads=1)


@pytest.mark.parametrize("missing", MISSING)
@pytest.mark.parametrize("shape", SHAPES)
@given(st.integers(0, 10_000), st.sampled_from(["binary", "poisson", "regression"]))
@settings(max_examples=5, deadline=None)
def test_they_are_those_of_lightgbm(shape, missing, seed, objective):
    random = np.random.default_rng(seed)
    text = learnt(random, shape, missing, objective)
    x = strange(random, 70)
    found = Explainer.of(text).contributions(x)
    np.testing.assert_allclose(found, own_of_lightgbm(text, x), rtol=1e-9, atol=1e-9)
    margin = lightgbm.Booster(model_str=text).predict(x, raw_score=True, num_threads=1)
    np.testing.assert_allclose(found.sum(axis=1), margin, rtol=1e-9, atol=1e-9)


def test_the_samples_have_long_paths_categories_and_all_ways_of_missing():
    """Or the test above would show little."""
    random = np.random.default_rng(0)
    deep = [learnt(random, "deep", missing) for missing in MISSING]
    kinds = {int(kind) for text in deep for line in text.splitlines() for kind in numbers(line, "decision_type=")}
    assert {kind & 1 for kind in kinds} == {0, 1}
    assert {kind >> 2 for kind in kinds if not kind & 1} == {0, 1, 2}
    points = max(np.diff(Explainer.of(text).starts.weight).max() for text in [*deep, learnt(random, "long", "nan")])
    assert points >= 5, "a path of nine features"


def numbers(line, name):
    return line.removeprefix(name).split() if line.startswith(name) else []


@pytest.fixture(scope="module")
def model():
    return Explainer.of(learnt(np.random.default_rng(2), "usual", "nan"))


@pytest.mark.parametrize("rows", [0, 1, int(TILE) - 1, int(TILE), int(TILE) + 1])
def test_any_number_of_rows(model, rows):
    x = rows_of(np.random.default_rng(3), rows)
    found = model.contributions(x)
    assert found.shape == (rows, 15)
    assert found.tobytes() == b"".join(model.contributions(x[i : i + 1]).tobytes() for i in range(rows))


@pytest.mark.parametrize("piece", [64, 77, 128, 1000])
def test_threads_and_pieces_change_no_bit(model, piece, monkeypatch):
    x = rows_of(np.random.default_rng(4), 3000)
    monkeypatch.setattr(tree_shap, "PIECE", len(x))
    alone = model.contributions(x)
    monkeypatch.setattr(tree_shap, "PIECE", piece)
    assert model.contributions(x).tobytes() == alone.tobytes()


def test_order_and_layout_of_the_rows_change_no_bit(model):
    x = rows_of(np.random.default_rng(5), 300)
    expected = model.contributions(x).tobytes()
    assert model.contributions(np.asfortranarray(x)).tobytes() == expected
    assert np.ascontiguousarray(model.contributions(x[::-1])[::-1]).tobytes() == expected


def test_rows_of_another_width_are_refused(model):
    with pytest.raises(ValueError, match="13 features for a model of 14"):
        model.contributions(np.zeros((2, 13)))
