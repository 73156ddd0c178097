"""Maximum likelihood of models whose parameters are above zero."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

# Logarithms of parameters beyond this are as good as infinite: data of few customers lie there.
LIMIT = 12.0
# Of the log likelihood of all customers, relative and by parameter.
PRECISION = {"ftol": 1e-12, "gtol": 1e-6, "maxiter": 500}
# Of logarithms, for derivatives by central differences.
STEP = 5e-3
# Of logarithms, for derivatives of a likelihood that has none of its own.
DIFFERENCE = 6e-6
# A parameter that the data say nothing of is known to within a factor of about e cubed.
PRIOR_PRECISION = 1 / 9


# The log likelihood at logarithms of parameters, and its derivatives by them.
Differentiate = Callable[[np.ndarray], tuple[float, np.ndarray]]


@dataclass(frozen=True)
class FittedLogs:
    """Logarithms of parameters with the greatest likelihood.

    Attributes:
        logs: The logarithms, float64 (parameters,).
        log_likelihood: The log likelihood.
        covariance: Covariance of their errors, float64 (parameters, parameters): the inverse of the
            observed information.
    """

    logs: np.ndarray
    log_likelihood: float
    covariance: np.ndarray

    def estimate_log_variance(self, compute_log: Callable[[np.ndarray], float]) -> float:
        """Return the variance of a number that the errors of the parameters bring (delta method).

        ``compute_log`` gives the number, such as the logarithm of a total, by the logarithms of the
        parameters.
        """
        steps = np.eye(len(self.logs)) * STEP
        ends = [(compute_log(self.logs + step), compute_log(self.logs - step)) for step in steps]
        gradient = np.array([(high - low) / (2 * STEP) for high, low in ends])
        return float(gradient @ self.covariance @ gradient)


def fit_logs(
    compute_log_likelihood: Callable[[np.ndarray], float], starts: Sequence[np.ndarray]
) -> FittedLogs:
    """Return the logarithms with the greatest likelihood from several starts.

    ``compute_log_likelihood`` takes logarithms of parameters, (parameters,). Its derivatives are
    differences.
    """
    steps = np.eye(len(starts[0])) * DIFFERENCE

    def differentiate(logs: np.ndarray) -> tuple[float, np.ndarray]:
        ends = [
            (compute_log_likelihood(logs + step), compute_log_likelihood(logs - step))
            for step in steps
        ]
        slopes = np.array([(high - low) / (2 * DIFFERENCE) for high, low in ends])
        return compute_log_likelihood(logs), slopes

    return fit_slopes(differentiate, starts)


def fit_slopes(differentiate: Differentiate, starts: Sequence[np.ndarray]) -> FittedLogs:
    """Return the logarithms with the greatest likelihood from several starts.

    ``differentiate`` gives the log likelihood at logarithms of parameters, and its derivatives by
    them, both (parameters,).
    """

    def lose(logs: np.ndarray) -> tuple[float, np.ndarray]:
        value, slopes = differentiate(logs)
        if np.isfinite(value) and np.isfinite(slopes).all():
            return -value, -slopes
        return 1e300, np.zeros(len(logs))

    bounds = [(-LIMIT, LIMIT)] * len(starts[0])
    tried = [
        minimize(lose, start, method="L-BFGS-B", jac=True, bounds=bounds, options=PRECISION)
        for start in starts
    ]
    best = min(tried, key=lambda result: float(result.fun))
    return FittedLogs(best.x, -float(best.fun), _estimate_covariance(differentiate, best.x))


def _estimate_covariance(differentiate: Differentiate, logs: np.ndarray) -> np.ndarray:
    """Return the inverse of the second derivatives at the maximum, (parameters, parameters)."""
    steps = np.eye(len(logs)) * STEP
    slopes = [(differentiate(logs - step)[1], differentiate(logs + step)[1]) for step in steps]
    information = np.array([(low - high) / (2 * STEP) for low, high in slopes])
    values, vectors = np.linalg.eigh((information + information.T) / 2)
    # At a bound, or where the likelihood is flat, a direction may seem to have no minimum.
    variance = 1 / (np.maximum(values, 0) + PRIOR_PRECISION)
    covariance: np.ndarray = (vectors * variance) @ vectors.T
    return covariance
