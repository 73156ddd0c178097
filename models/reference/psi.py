"""Population stability index (PSI) of two distributions, and its excess over chance."""

from __future__ import annotations

import numpy as np
from scipy.special import chdtri

# Some hundred columns are compared every night for years: a false alarm must be rare.
FALSE_ALARM_RATE = 1e-5
# Added to each bin: the logarithm of an empty one is not defined.
PSEUDO_COUNT = 0.5


def compute_psi(expected: np.ndarray, observed: np.ndarray) -> float:
    """Return the population stability index of two counts over the same bins; 0 for equal shares.

    It is the sum over bins of (q - p) ln(q / p), the Jeffreys divergence of the shares. Credit
    scoring calls 0.1 to 0.25 a shift to examine, and more than that a large one (Siddiqi, Credit
    Risk Scorecards, 2006).
    """
    p, q = (
        (counts + PSEUDO_COUNT) / (counts.sum() + PSEUDO_COUNT * len(counts))
        for counts in (expected, observed)
    )
    return float(np.sum((q - p) * np.log(q / p)))


def bound_psi_by_chance(bins: int, expected: float, observed: float) -> float:
    """Return the PSI that two samples of the same distribution exceed once in 100,000 cases.

    ``expected`` and ``observed`` are the sizes of the samples. Without drift the PSI is distributed
    as chi-square with ``bins - 1`` degrees of freedom times ``1 / expected + 1 / observed``
    (Yurdakul and Naranjo, Statistical properties of the population stability index, J. Risk Model
    Validation 14(4), 2020). Rows of the same entity are not independent, so sizes count entities.
    """
    if min(expected, observed) <= 0:
        return np.inf
    return float(chdtri(max(bins - 1, 1), FALSE_ALARM_RATE) * (1 / expected + 1 / observed))


def compute_excess_psi(
    expected: np.ndarray, observed: np.ndarray, sizes: tuple[float, float]
) -> float:
    """Return the PSI minus its bound by chance, at least 0.

    ``sizes`` are the numbers of entities on either side.
    """
    bins = int(np.count_nonzero(expected + observed))
    return max(compute_psi(expected, observed) - bound_psi_by_chance(bins, *sizes), 0.0)
