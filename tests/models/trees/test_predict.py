"""Margins equal LightGBM's to the bit for all shapes of trees, and do not depend on other rows."""

from concurrent.futures import ThreadPoolExecutor

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.trees import predict
from models.trees.predict import CHUNK_ROWS, TILE_ROWS, MarginPredictor
from tests.models.trees.tree_samples import (
    MISSING,
    SHAPES,
    draw_rows,
    draw_unseen_rows,
    train_model_text,
)

TINY = float(np.float32(1e-35))
EDGE_VALUES = [
    np.nan,
    np.inf,
    -np.inf,
    0.0,
    -0.0,
    TINY,
    -TINY,
    np.nextafter(TINY, 1),
    -np.nextafter(TINY, 1),
    1e-36,
    5e-324,
]
EDGE_VALUES += [
    -1.0,
    -0.5,
    -3.0,
    0.9,
    2.7,
    31.0,
    32.0,
    63.9,
    64.0,
    89.0,
    90.0,
    255.0,
    2.0**31,
    2.0**33,
    1e12,
    -1e12,
    1e300,
]
"""What numbers and codes can be: almost zero, and at the ends of whole words."""


def predict_with_lightgbm(text, x):
    return lightgbm.Booster(model_str=text).predict(x, raw_score=True, num_threads=1)


@pytest.mark.parametrize("missing", MISSING)
@pytest.mark.parametrize("shape", SHAPES)
@given(st.integers(0, 10_000), st.sampled_from(["binary", "poisson", "regression"]))
@settings(max_examples=5, deadline=None)
def test_margins_equal_lightgbm(shape, missing, seed, objective):
    random = np.random.default_rng(seed)
    text = train_model_text(random, shape, missing, objective)
    x = np.concatenate(
        [
            draw_unseen_rows(random, 150),
            random.choice(EDGE_VALUES, (50, 14)),
            draw_threshold_rows(random, text),
        ]
    )
    assert (
        MarginPredictor.from_text(text).margin(x).tobytes()
        == predict_with_lightgbm(text, x).tobytes()
    )


def draw_threshold_rows(random, text, rows=50):
    """Rows whose values are the model's own thresholds, or next to them, in some of the columns."""
    x = draw_unseen_rows(random, rows)
    for line in text.splitlines():
        if line.startswith("split_feature="):
            features = [int(word) for word in line.split("=")[1].split()]
        elif line.startswith("threshold="):
            for feature, word in zip(features, line.split("=")[1].split(), strict=True):
                nearest = np.nextafter(float(word), random.choice([-np.inf, float(word), np.inf]))
                x[random.integers(rows), feature] = nearest
    return x


def test_margins_equal_lightgbm_for_many_leaves_and_categories():
    random = np.random.default_rng(0)
    x = np.column_stack([random.integers(0, 300, 4000), random.normal(size=4000)]).astype(float)
    y = random.normal(size=300)[x[:, 0].astype(int)] + x[:, 1] + 0.1 * random.normal(size=4000)
    own = {
        "num_leaves": 400,
        "min_data_in_leaf": 2,
        "min_data_per_group": 2,
        "cat_smooth": 0.1,
        "max_cat_threshold": 99,
    }
    own |= {"max_bin": 500, "num_iterations": 5, "num_threads": 1, "verbosity": -1}
    data = lightgbm.Dataset(x, y, categorical_feature=[0], params=own)
    text = lightgbm.train(own, data).model_to_string()
    adder = MarginPredictor.from_text(text)
    assert adder.categories.word_count.max() > 1
    assert np.diff(adder.forest.start).max() > 256
    assert adder.margin(x).tobytes() == predict_with_lightgbm(text, x).tobytes()


@pytest.fixture(scope="module")
def text():
    return train_model_text(np.random.default_rng(2), "usual", "nan")


@pytest.fixture(scope="module")
def model(text):
    return MarginPredictor.from_text(text)


@pytest.mark.parametrize(
    "rows",
    [0, 1, int(TILE_ROWS) - 1, int(TILE_ROWS), int(TILE_ROWS) + 1, CHUNK_ROWS, CHUNK_ROWS + 1],
)
def test_margins_equal_lightgbm_for_number_of_rows(model, text, rows):
    x = draw_rows(np.random.default_rng(3), rows)
    margins = model.margin(x)
    assert margins.shape == (rows,)
    assert margins.dtype == float
    assert margins.tobytes() == (predict_with_lightgbm(text, x).tobytes() if rows else b"")


def test_margin_does_not_depend_on_other_rows(model):
    x = draw_rows(np.random.default_rng(4), 300)
    assert model.margin(x).tobytes() == b"".join(
        model.margin(x[i : i + 1]).tobytes() for i in range(300)
    )


def test_row_order_layout_and_type_change_no_bit(model, text):
    x = draw_rows(np.random.default_rng(5), 300)
    expected = predict_with_lightgbm(text, x).tobytes()
    fixed = x.copy()
    fixed.flags.writeable = False
    for same in (
        np.asfortranarray(x),
        np.repeat(x, 2, axis=1)[:, ::2],
        np.repeat(x, 3, axis=0)[::3],
        fixed,
    ):
        assert model.margin(same).tobytes() == expected
    assert model.margin(x[::-1])[::-1].tobytes() == expected
    for other in (np.float32, np.int64, np.int8, bool):
        cast = np.nan_to_num(x).clip(-100, 100).astype(other)
        assert model.margin(cast).tobytes() == predict_with_lightgbm(text, cast).tobytes()


@pytest.mark.parametrize("piece", [1, 77, 1000])
def test_chunks_and_threads_change_no_bit(model, text, piece, monkeypatch):
    x = draw_rows(np.random.default_rng(6), 2000)
    expected = predict_with_lightgbm(text, x).tobytes()
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(model.margin, np.array_split(x, 16)))
    assert np.concatenate(parts).tobytes() == expected
    monkeypatch.setattr(predict, "CHUNK_ROWS", piece)
    assert model.margin(x).tobytes() == expected


def test_input_rows_are_not_modified(model):
    x = np.full((3, 14), 1e-36)
    model.margin(x)
    assert (x == 1e-36).all()


@pytest.mark.parametrize("rows", [0, 2])
def test_margin_rejects_wrong_number_of_columns(model, rows):
    with pytest.raises(ValueError, match="13 features for a model of 14"):
        model.margin(np.zeros((rows, 13)))
