"""Small LightGBM models of all shapes and kinds of missing values, and rows for them.

Some rows have values that are not in the training data.
"""

import lightgbm
import numpy as np

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


def draw_rows(random, rows, features=14):
    """Numbers, some of them few and 0, and two categories, one of many codes; all with gaps."""
    x = random.normal(size=(rows, features))
    x[:, 0] = random.poisson(0.7, rows)
    x[:, 1], x[:, 4] = random.integers(0, 4, rows), random.integers(0, 90, rows)
    x[:, 2] = np.where(random.random(rows) < 0.5, 0.0, np.expm1(3 * x[:, 2]))
    x[random.random(x.shape) < 0.15] = np.nan
    return x


def train_model_text(random, shape, missing, objective="binary", rows=500):
    x = draw_rows(random, rows)
    odds = np.nan_to_num(x).clip(-1, 1) @ random.normal(size=x.shape[1]) + (x[:, 4] % 3 == 0)
    y = (random.random(rows) < 1 / (1 + np.exp(-odds))).astype(float)
    own = {
        "objective": objective,
        "num_iterations": 6,
        "num_threads": 1,
        "verbosity": -1,
        "bagging_fraction": 0.7,
    }
    own |= {
        "bagging_freq": 1,
        "cat_smooth": 1.0,
        "min_data_per_group": 2,
        **SHAPES[shape],
        **MISSING[missing],
    }
    weight = random.exponential(size=rows) ** 3
    data = lightgbm.Dataset(x, y, weight=weight, categorical_feature=CATEGORICAL, params=own)
    return lightgbm.train(own, data).model_to_string()


def draw_unseen_rows(random, rows):
    """Rows with values that were never learnt from."""
    x = draw_rows(random, rows)
    x[random.random(rows) < 0.1, 4] = random.choice([-3.0, 95.0, 2.7, 1e12])
    x[random.random(rows) < 0.1, 3] = random.choice([np.inf, -np.inf, 1e-36, -0.0])
    return x
