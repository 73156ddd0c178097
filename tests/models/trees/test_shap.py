"""Contributions equal LightGBM's for all shapes of trees, and depend on no other rows."""

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.trees import shap
from models.trees.shap import TILE_ROWS, ShapExplainer
from tests.models.trees.tree_samples import (
    MISSING,
    SHAPES,
    draw_rows,
    draw_unseen_rows,
    train_model_text,
)


def explain_with_lightgbm(text, x):
    return lightgbm.Booster(model_str=text).predict(x, pred_contrib=True, num_threads=1)


@pytest.mark.parametrize("missing", MISSING)
@pytest.mark.parametrize("shape", SHAPES)
@given(st.integers(0, 10_000), st.sampled_from(["binary", "poisson", "regression"]))
@settings(max_examples=5, deadline=None)
def test_contributions_equal_lightgbm(shape, missing, seed, objective):
    random = np.random.default_rng(seed)
    text = train_model_text(random, shape, missing, objective)
    x = draw_unseen_rows(random, 70)
    contributions = ShapExplainer.from_text(text).contributions(x)
    np.testing.assert_allclose(contributions, explain_with_lightgbm(text, x), rtol=1e-9, atol=1e-9)
    margin = lightgbm.Booster(model_str=text).predict(x, raw_score=True, num_threads=1)
    np.testing.assert_allclose(contributions.sum(axis=1), margin, rtol=1e-9, atol=1e-9)


def test_samples_cover_long_paths_categories_and_missing_kinds():
    """Or the test above would show little."""
    random = np.random.default_rng(0)
    deep = [train_model_text(random, "deep", missing) for missing in MISSING]
    kinds = {
        int(kind)
        for text in deep
        for line in text.splitlines()
        for kind in numbers(line, "decision_type=")
    }
    assert {kind & 1 for kind in kinds} == {0, 1}
    assert {kind >> 2 for kind in kinds if not kind & 1} == {0, 1, 2}
    points = max(
        np.diff(ShapExplainer.from_text(text).offsets.weight).max()
        for text in [*deep, train_model_text(random, "long", "nan")]
    )
    assert points >= 5, "a path of nine features"


def numbers(line, name):
    return line.removeprefix(name).split() if line.startswith(name) else []


@pytest.fixture(scope="module")
def model():
    return ShapExplainer.from_text(train_model_text(np.random.default_rng(2), "usual", "nan"))


@pytest.mark.parametrize("rows", [0, 1, int(TILE_ROWS) - 1, int(TILE_ROWS), int(TILE_ROWS) + 1])
def test_contributions_do_not_depend_on_number_of_rows(model, rows):
    x = draw_rows(np.random.default_rng(3), rows)
    contributions = model.contributions(x)
    assert contributions.shape == (rows, 15)
    assert contributions.tobytes() == b"".join(
        model.contributions(x[i : i + 1]).tobytes() for i in range(rows)
    )


@pytest.mark.parametrize("piece", [64, 77, 128, 1000])
def test_chunks_and_threads_change_no_bit(model, piece, monkeypatch):
    x = draw_rows(np.random.default_rng(4), 3000)
    monkeypatch.setattr(shap, "CHUNK_ROWS", len(x))
    alone = model.contributions(x)
    monkeypatch.setattr(shap, "CHUNK_ROWS", piece)
    assert model.contributions(x).tobytes() == alone.tobytes()


def test_row_order_and_layout_change_no_bit(model):
    x = draw_rows(np.random.default_rng(5), 300)
    expected = model.contributions(x).tobytes()
    assert model.contributions(np.asfortranarray(x)).tobytes() == expected
    assert np.ascontiguousarray(model.contributions(x[::-1])[::-1]).tobytes() == expected


def test_contributions_reject_wrong_number_of_columns(model):
    with pytest.raises(ValueError, match="13 features for a model of 14"):
        model.contributions(np.zeros((2, 13)))
