"""Factors of values given the others: a log-linear model of what units bring, with a ridge.

Two values that the same units have share their effect, so that it is not counted twice.
"""

from __future__ import annotations

import numpy as np

# Newton's steps; a handful is enough, since the problem is convex.
MAX_STEPS, MAX_CHANGE, TOLERANCE = 50, 1.0, 1e-10


def fit_points(has: np.ndarray, outcome: np.ndarray, spread: float) -> tuple[float, np.ndarray]:
    """Return the logarithms of the base factor and of that of each value, float64 (values,).

    ``has`` is bool (values, units), ``outcome`` float64 (units,). The mean of the factors over the
    units is 1. Quasi-Poisson likelihood with a normal prior on each value's logarithm, of mean 0
    and standard deviation ``spread``.
    """
    if not len(has):
        return 0.0, np.empty(0)
    pattern = (1 << np.arange(len(has))) @ has
    patterns, place = np.unique(pattern, return_inverse=True)
    units = np.bincount(place).astype(float)
    relative = outcome / outcome.mean()
    total = np.bincount(place, relative)
    design = (patterns[:, None] >> np.arange(len(has))) & 1
    design = np.column_stack([np.ones(len(patterns)), design]).astype(float)
    # Only the values are shrunk; the prior counts as the dispersion of the outcome asks for.
    penalty = np.full(design.shape[1], relative.var() / max(spread, 1e-6) ** 2)
    penalty[0] = 0.0
    points = np.zeros(design.shape[1])
    for _ in range(MAX_STEPS):
        expected = units * np.exp(design @ points)
        slope = design.T @ (total - expected) - penalty * points
        curvature = design.T @ (expected[:, None] * design) + np.diag(penalty)
        step = np.linalg.solve(curvature, slope)
        # A longer step than this leaves the region where the curvature says anything.
        step *= min(1.0, MAX_CHANGE / max(np.abs(step).max(), TOLERANCE))
        points = points + step
        if np.abs(step).max() < TOLERANCE:
            break
    return float(points[0]), points[1:]
