"""Which of many features are worth learning from, by a pilot model on the very rows that are learnt from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from models.encoding import evenly
from models.learners.lightgbm import TREES

MOST = 120
"""Features that a model reads; a catalogue has hundreds, and most of what they say is said by others too."""

PILOT_ROWS = 20_000
PILOT = {
    **TREES,
    "num_leaves": 8,
    "extra_trees": True,
    "learning_rate": 0.1,
    "num_iterations": 100,
    "feature_fraction": 0.3,
    "cat_smooth": 20.0,
    "max_bin": 63,
}
"""Each tree sees a third of the features, so that one of a group that says the same does not hide the rest, and tries
one random threshold a feature, since the best of many favours noise that has many values (Geurts et al. 2006).
"""


def strongest(
    read: Callable[[np.ndarray], np.ndarray], y: np.ndarray, categorical: list[int], seed: int
) -> np.ndarray:
    """Return the columns to learn from, ascending: the MOST with the largest gain.

    All of them where there are no more. The gain is what a column's splits took off the training loss of a small
    gradient-boosted model, on at most PILOT_ROWS rows spread evenly: ``read`` gives (rows, features) of the rows of
    these numbers, so that no others need be made. ``y`` is 0 or 1, ``categorical`` the columns of codes. Chosen anew
    from the rows of each fold, so that no tested row has a say.
    """
    rows = evenly(len(y), PILOT_ROWS)
    x = read(rows)
    if x.shape[1] <= MOST:
        return np.arange(x.shape[1])
    import lightgbm

    settings = {**PILOT, "min_data_in_leaf": int(np.clip(len(rows) // 200, 5, 100)), "seed": seed}
    data = lightgbm.Dataset(x, y[rows], categorical_feature=categorical, params=settings)
    gain = lightgbm.train(settings, data).feature_importance("gain")
    return np.sort(np.argsort(-gain, kind="stable")[:MOST])
