"""How far two populations lie apart in one column, beyond what so few rows show by chance."""

from __future__ import annotations

import numpy as np
from scipy.special import chdtri

CHANCE = 1e-5
"""How often a column that did not move may seem to: some hundred columns are looked at every night for years."""
HALF = 0.5
"""Added to every bin, so that an empty one stands for few rows and not for none at all."""


def stability_index(expected: np.ndarray, found: np.ndarray) -> float:
    """Return the population stability index of two counts over the same bins: 0 where their shares are alike.

    The sum over bins of (q - p) ln(q / p), which is the Jeffreys divergence of the shares; credit scoring calls 0.1 to
    0.25 a shift to look at and more than that a large one (Siddiqi, Credit Risk Scorecards, 2006).
    """
    p, q = ((counts + HALF) / (counts.sum() + HALF * len(counts)) for counts in (expected, found))
    return float(np.sum((q - p) * np.log(q / p)))


def by_chance(bins: int, expected: float, found: float) -> float:
    """Return what the index hardly ever exceeds where nothing moved, given how many each side has.

    Then it is distributed as chi-square with ``bins - 1`` degrees of freedom times ``1 / expected + 1 / found``
    (Yurdakul and Naranjo, Statistical properties of the population stability index, J. Risk Model Validation 14(4),
    2020). Rows of one entity say the same again, so count entities.
    """
    if min(expected, found) <= 0:
        return np.inf
    return float(chdtri(max(bins - 1, 1), CHANCE) * (1 / expected + 1 / found))


def beyond_chance(expected: np.ndarray, found: np.ndarray, sizes: tuple[float, float]) -> float:
    """Return the index less what chance explains, at least 0; ``sizes`` are the entities of either side."""
    bins = int(np.count_nonzero(expected + found))
    return max(stability_index(expected, found) - by_chance(bins, *sizes), 0.0)
