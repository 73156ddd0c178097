"""Feature selection by a pilot model, on the same rows that the models are fitted on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from models.encoding import sample_evenly
from models.learners.lightgbm import TREE_PARAMETERS

# A catalogue has hundreds of features, and most of their information is in others too.
MAX_FEATURES = 120

MAX_PILOT_ROWS = 20_000
# Each tree sees a third of the features, so that one of a group of similar features does not hide
# the rest. It tries one random threshold a feature, since the best of many thresholds favours
# noise that has many values (Geurts et al. 2006).
PILOT_PARAMETERS = {
    **TREE_PARAMETERS,
    "num_leaves": 8,
    "extra_trees": True,
    "learning_rate": 0.1,
    "num_iterations": 100,
    "feature_fraction": 0.3,
    "cat_smooth": 20.0,
    "max_bin": 63,
}


def select_strongest_features(
    encode_rows: Callable[[np.ndarray], np.ndarray],
    y: np.ndarray,
    categorical: list[int],
    seed: int,
    kept: Sequence[int] = (),
    activity: np.ndarray | None = None,
) -> np.ndarray:
    """Return the columns to train on, ascending: the MAX_FEATURES with the largest gain.

    The columns ``kept`` are returned in addition. All columns are returned if there are no more.
    The gain of a column is the reduction of the training loss by its splits in a small
    gradient-boosted model, on at most MAX_PILOT_ROWS rows spread evenly. ``encode_rows`` returns
    (rows, features) of the rows at these positions, so that no other rows need to be encoded.
    ``y`` is 0 or 1, ``categorical`` lists the columns of codes. Features are selected anew from
    the train rows of each fold, so that no tested row takes part.

    With ``activity`` (rows,), the events of the days after the cutoff, NaN where not known yet, a
    second pilot model forecasts it. The columns then take turns by the rank of their gain in either
    model: few outcomes leave more to chance in that rank than many events do.
    """
    rows = sample_evenly(len(y), MAX_PILOT_ROWS)
    x = encode_rows(rows)
    if x.shape[1] <= MAX_FEATURES:
        return np.arange(x.shape[1])
    rank = _rank_by_gain(x, y[rows], categorical, {**PILOT_PARAMETERS, "seed": seed})
    count = np.full(len(rows), np.nan) if activity is None else activity[rows]
    known = np.flatnonzero(~np.isnan(count))
    if count[known].any():
        parameters = {**PILOT_PARAMETERS, "objective": "poisson", "seed": seed}
        other = _rank_by_gain(x[known], count[known], categorical, parameters)
        rank = np.minimum(rank, other)
    # Stable, so that columns of equal rank keep their order.
    strongest = np.argsort(rank, kind="stable")[:MAX_FEATURES]
    return np.union1d(strongest, np.array(kept, dtype=np.int64))


def _rank_by_gain(
    x: np.ndarray, label: np.ndarray, categorical: list[int], parameters: dict[str, Any]
) -> np.ndarray:
    """Return the rank of each column's gain in a pilot model, 0 for the largest one."""
    import lightgbm

    min_leaf_rows = int(np.clip(len(x) // 200, 5, 100))
    parameters = {**parameters, "min_data_in_leaf": min_leaf_rows}
    dataset = lightgbm.Dataset(x, label, categorical_feature=categorical, params=parameters)
    gain = lightgbm.train(parameters, dataset).feature_importance("gain")
    # Stable, so that columns of equal gain keep their order.
    return np.argsort(np.argsort(-gain, kind="stable"), kind="stable")
