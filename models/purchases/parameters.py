"""Maximum likelihood of models whose parameters are above zero."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

# Logarithms of parameters beyond this are as good as infinite: data of few customers lie there.
LIMIT = 12.0
# Of the log likelihood of all customers, relative and by parameter. Differences on both sides of a
# parameter leave enough digits for it.
PRECISION = {"ftol": 1e-13, "gtol": 1e-6, "maxiter": 500}


@dataclass(frozen=True)
class FittedLogs:
    """Logarithms of parameters with the greatest likelihood.

    Attributes:
        logs: The logarithms, float64 (parameters,).
        log_likelihood: The log likelihood.
    """

    logs: np.ndarray
    log_likelihood: float


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
    tried = [
        minimize(lose, start, method="L-BFGS-B", jac="3-point", bounds=bounds, options=PRECISION)
        for start in starts
    ]
    best = min(tried, key=lambda result: float(result.fun))
    return FittedLogs(best.x, -float(best.fun))
