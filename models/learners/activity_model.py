"""Activity model: how much a lead will do in the next days, from which a hazard model starts.

Outcomes are rare, activity is not: a week of many leads holds more events than a year holds
outcomes. Both follow from the state that a lead is in. So trees first learn from the events of the
next days which rows are alike, and the hazard's own trees learn the rest from the outcomes. It is
transfer from a related task with more labels (Caruana, "Multitask learning", Machine Learning 28,
1997).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from models.learners.fit_input import FitInput
from models.learners.lightgbm import LightGbm

# Fewest clusters with events that trees are fitted on, as for calibrators.
MIN_ACTIVE_CLUSTERS = 50
# Range of the weight: the hazard rises with the activity, at most with its cube.
MAX_WEIGHT = 3.0
# A smaller weight is not worth the time that the trees cost at each scoring run.
MIN_WEIGHT = 0.1
# Counts of events are many and less noisy than outcomes: larger trees than for outcomes.
ACTIVITY_PARAMETERS = {
    "objective": "poisson",
    "num_leaves": 15,
    "learning_rate": 0.05,
    "num_iterations": 200,
}


@dataclass(frozen=True)
class ActivityModel:
    """Forecast of the events of the next days, and how far the hazard follows it.

    Attributes:
        trees: Model of the log of the expected number of events.
        weight: Factor by which that log enters the log hazard, above 0.
        center: Mean of the log over the train rows, which leaves the hazard as it is.
    """

    trees: LightGbm
    weight: float
    center: float

    @classmethod
    def fit(
        cls,
        fit_input: FitInput,
        count: np.ndarray,
        observed: np.ndarray,
        exposure: np.ndarray,
    ) -> Self | None:
        """Fit trees on the events of the rows that have a count, and the weight on the outcomes.

        All arrays have one element for each row: ``count`` of events, NaN where it is not known
        yet; ``observed`` whether the outcome was; ``exposure`` the cumulative hazard, common to
        all rows, of the follow-up. None where too few rows have events, or where the hazard hardly
        follows the activity.
        """
        known = np.flatnonzero(~np.isnan(count))
        active = np.count_nonzero(count[known]) / fit_input.rows_per_cluster
        if active < MIN_ACTIVE_CLUSTERS:
            return None
        parameters = {**ACTIVITY_PARAMETERS, "seed": fit_input.seed}
        trees = LightGbm.fit_trees(fit_input.take(known), count[known], parameters)
        log_count = trees.margin(fit_input.x)
        center = float(log_count.mean())
        weight = _fit_weight(log_count - center, observed, exposure, fit_input)
        return cls(trees, weight, center) if weight > MIN_WEIGHT else None

    def margin(self, x: np.ndarray) -> np.ndarray:
        """Return what the activity adds to the log hazard of each row."""
        return self.weight * (self.trees.margin(x) - self.center)

    def contributions(self, x: np.ndarray) -> np.ndarray:
        """Return (rows, features + 1) that sum to the margin: the trees' SHAP values, bias last."""
        parts = self.trees.contributions(x)
        parts[:, -1] -= self.center
        return self.weight * parts

    def to_json(self) -> dict[str, Any]:
        """Return the trees' text, the weight and the center."""
        return {**asdict(self), "trees": self.trees.to_json()}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Return the model that ``to_json`` described."""
        return cls(LightGbm.from_json(data["trees"]), data["weight"], data["center"])


def _fit_weight(
    log_activity: np.ndarray, observed: np.ndarray, exposure: np.ndarray, fit_input: FitInput
) -> float:
    """Return the most likely weight in [0, MAX_WEIGHT], with a normal prior of unit variance at 0.

    The likelihood is that of a Poisson count for each row, with the level that fits best. Rows of
    one cluster repeat each other, so together they count as one.
    """
    from scipy.optimize import minimize_scalar

    sample_weight = np.ones(len(observed)) if fit_input.weight is None else fit_input.weight
    outcomes = float(np.sum(sample_weight * observed))
    total = float(np.sum(sample_weight * observed * log_activity))

    def compute_cost(weight: float) -> float:
        expected = np.sum(sample_weight * exposure * np.exp(weight * log_activity))
        likelihood = weight * total - outcomes * np.log(expected)
        return float(weight**2 / 2 - likelihood / fit_input.rows_per_cluster)

    bounds = (0.0, MAX_WEIGHT)
    result = minimize_scalar(compute_cost, bounds=bounds, method="bounded", options={"xatol": 1e-9})
    return float(result.x)
