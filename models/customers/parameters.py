"""Maximum likelihood of models whose parameters are above zero, and their uncertainty."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

# Logarithms of parameters beyond this are as good as infinite: data of few customers lie there.
LIMIT = 12.0
# Step of the second differences, in logarithms of parameters; the third root of the precision.
STEP = 1e-3


@dataclass(frozen=True)
class FittedLogs:
    """Logarithms of parameters with the greatest likelihood.

    Attributes:
        logs: The logarithms, float64 (parameters,).
        covariance: Their covariance by the observed information, float64
            (parameters, parameters).
        log_likelihood: The log likelihood.
    """

    logs: np.ndarray
    covariance: np.ndarray
    log_likelihood: float

    def draw(self, draws: int, generator: np.random.Generator) -> np.ndarray:
        """Return normal draws of the logarithms, float64 (draws, parameters)."""
        drawn = generator.multivariate_normal(self.logs, self.covariance, draws, method="eigh")
        limited: np.ndarray = np.clip(drawn, -LIMIT, LIMIT)
        return limited


def fit_logs(
    compute_log_likelihood: Callable[[np.ndarray], float], starts: Sequence[np.ndarray]
) -> FittedLogs:
    """Return the logarithms with the greatest likelihood from several starts.

    ``compute_log_likelihood`` takes logarithms of parameters, (parameters,).
    """

    def lose(logs: np.ndarray) -> float:
        value = -compute_log_likelihood(logs)
        return value if np.isfinite(value) else 1e300

    bounds = [(-LIMIT, LIMIT)] * len(starts[0])
    tried = [minimize(lose, start, method="L-BFGS-B", bounds=bounds) for start in starts]
    best = min(tried, key=lambda result: float(result.fun))
    # A simplex ends where differences of the gradient are lost in rounding.
    options = {"xatol": 1e-6, "fatol": 1e-7, "maxiter": 2000}
    best = minimize(lose, best.x, method="Nelder-Mead", bounds=bounds, options=options)
    return FittedLogs(best.x, _estimate_covariance(lose, best.x), -float(best.fun))


def _estimate_covariance(lose: Callable[[np.ndarray], float], logs: np.ndarray) -> np.ndarray:
    """Return the inverse of the second derivatives; directions without curvature have none."""
    size = len(logs)
    curvature = np.empty((size, size))
    steps = np.eye(size) * STEP
    for i in range(size):
        for j in range(i, size):
            corners = [
                lose(logs + a * steps[i] + b * steps[j]) * a * b for a in (1, -1) for b in (1, -1)
            ]
            curvature[i, j] = curvature[j, i] = sum(corners) / (4 * STEP**2)
    values, vectors = np.linalg.eigh(curvature)
    # A parameter that the data do not bound gets the width of one decade, not an infinite one.
    spread = 1 / np.maximum(values, 1 / np.log(10) ** 2)
    covariance: np.ndarray = vectors * spread @ vectors.T
    return covariance
