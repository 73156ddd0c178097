"""Expected margins of customers, discounted, and the interval of their sum."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy import stats

NODES, WEIGHTS = np.polynomial.legendre.leggauss(5)
Z90 = float(stats.norm.ppf(0.95))


def discount_purchases(
    predict: Callable[[float], np.ndarray], weeks: float, discount: float
) -> np.ndarray:
    """Return expected purchases within a horizon, each discounted to today, float64 (customers,).

    ``predict`` gives the expected number within some weeks. The sum over time is integrated by
    parts, so that the number is needed at a few times only.
    """
    whole = predict(weeks) * math.exp(-discount * weeks)
    for node, weight in zip(NODES, WEIGHTS, strict=True):
        time = weeks * (node + 1) / 2
        whole = whole + predict(time) * math.exp(-discount * time) * discount * weight * weeks / 2
    return whole


def bound_total(total: float, variance: float, spread: float) -> tuple[float, float]:
    """Return the 90 % interval of a sum over customers.

    ``variance`` is the sum of the variances of the customers, who are independent; ``spread`` is
    the standard deviation of the logarithm of what they have in common.
    """
    if total <= 0:
        return 0.0, math.sqrt(variance) * Z90
    width = Z90 * math.hypot(spread, math.sqrt(variance) / total)
    return total * math.exp(-width), total * math.exp(width)
