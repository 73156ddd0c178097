"""Ridge logistic regression: near the mode of a posterior with a normal prior of the weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.calibration import compute_log_loss, to_probability

# Rows that are converted to float64 at a time: the design matrix is float32 and may be large, while
# a gradient in float32 would stop the search early.
ROWS_PER_STEP = 16_384
MAX_STEPS = 500
# Largest element of the gradient of the mean cost at which the search ends: the default of
# scikit-learn's LogisticRegression. It is not the mode yet: see ``RidgeProblem.solve``.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class RidgeProblem:
    """Penalised likelihood of a logistic regression; the intercept has a flat prior.

    Attributes:
        design: Columns (rows, columns) float32.
        spread: Scale of each column; a weight belongs to the column divided by it.
        y: Labels (rows,), 0 or 1.
        weight: Sample weights (rows,).
        prior_mean: Prior mean of each weight.
        prior_variance: Prior variance of each weight.
    """

    design: np.ndarray
    spread: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    prior_mean: np.ndarray
    prior_variance: np.ndarray

    def compute_cost(self, position: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the mean cost a row, and its gradient, at an intercept and shifted weights.

        ``position`` is the intercept, followed by the distances of the weights from their prior
        means.
        """
        intercept, shift = position[0], position[1:]
        weights = (self.prior_mean + shift) / self.spread
        cost = float(shift @ (shift / self.prior_variance)) / 2
        gradient = np.concatenate([[0.0], shift / self.prior_variance])
        for start in range(0, len(self.y), ROWS_PER_STEP):
            rows = slice(start, start + ROWS_PER_STEP)
            design = self.design[rows].astype(np.float64)
            margin = design @ weights + intercept
            cost += float(self.weight[rows] @ compute_log_loss(margin, self.y[rows]))
            residual = self.weight[rows] * (to_probability(margin) - self.y[rows])
            gradient[0] += residual.sum()
            gradient[1:] += residual @ design / self.spread
        return cost / len(self.y), gradient / len(self.y)

    def solve(self) -> tuple[float, np.ndarray]:
        """Return intercept and weights of the unscaled columns; the cost is convex.

        The search starts at the prior means, with an intercept of 0, and ends a little before the
        mode. Combinations of columns that the rows determine are fitted first; those that they
        hardly determine, such as the difference of two columns that overlap, are still near their
        prior mean. So ending early is a second prior of just these, which a variance common to all
        weights cannot be (Yao, Rosasco and Caponnetto, "On early stopping in gradient descent
        learning", Constructive Approximation 26, 2007). It matters where such a combination leaves
        its range later, as economic indicators do in bank_marketing.
        """
        from scipy.optimize import minimize
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        start = np.zeros(self.design.shape[1] + 1)
        options = {"maxiter": MAX_STEPS, "gtol": TOLERANCE, "ftol": 1e-13}
        # More threads would add up in another order: the last bits would depend on the number of
        # cores.
        with threadpool_limits(1):
            solution = minimize(
                self.compute_cost, start, jac=True, method="L-BFGS-B", options=options
            )
        return float(solution.x[0]), (self.prior_mean + solution.x[1:]) / self.spread
