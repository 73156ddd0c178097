"""Pseudo-outcomes: each row's own unbiased, noisy estimate of its effect.

The augmented inverse-propensity-weighted (AIPW) score of Robins, Rotnitzky and Zhao, *Journal of
the American Statistical Association* 89 (1994). Its mean over any rows is their mean effect,
however wrong the outcome models are, since the propensities are known; good ones only take
noise out of it. Outcome models never see the rows that they are asked about.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.special import expit

from models.learners.lightgbm import LightGbm
from models.uplift.randomised_rows import RandomisedRows

# Small trees: an arm has few outcomes, and a wrong model costs noise only.
ARM_PARAMETERS = {
    "objective": "binary",
    "num_iterations": 60,
    "learning_rate": 0.06,
    "num_leaves": 8,
    "min_data_in_leaf": 50,
    "feature_fraction": 0.8,
}


@dataclass(frozen=True)
class ArmModels:
    """Models of the outcome without and with outreach.

    Attributes:
        control: Trees of the rows without outreach.
        treated: Trees of the rows with outreach.
    """

    control: LightGbm
    treated: LightGbm

    @classmethod
    def fit(cls, rows: RandomisedRows, seed: int) -> Self:
        """Fit a model to each arm, both of which must have rows."""
        fit_input = rows.to_fit_input(seed)
        arms = (np.flatnonzero(~rows.treated), np.flatnonzero(rows.treated))
        return cls(
            *(
                LightGbm.fit_trees(fit_input.take(arm), rows.outcome[arm], ARM_PARAMETERS)
                for arm in arms
            )
        )

    def predict(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the probability of the outcome of each row, without and with outreach."""
        return expit(self.control.margin(x)), expit(self.treated.margin(x))


def compute_pseudo_outcomes(
    rows: RandomisedRows, without: np.ndarray, treated: np.ndarray
) -> np.ndarray:
    """Return the pseudo-outcome of each row, float64 (rows,).

    ``without`` and ``treated`` are expected outcomes without and with outreach. With zeros the mean
    is the difference of inverse-propensity-weighted means (Horvitz and Thompson, 1952).
    """
    residual = rows.outcome - np.where(rows.treated, treated, without)
    weight = np.where(rows.treated, 1 / rows.propensity, -1 / (1 - rows.propensity))
    pseudo: np.ndarray = treated - without + weight * residual
    return pseudo


def cross_fit_pseudo_outcomes(rows: RandomisedRows, half: np.ndarray, seed: int) -> np.ndarray:
    """Return the pseudo-outcome of each row, by outcome models of the other half."""
    pseudo = np.empty(len(rows))
    for own in (0, 1):
        models = ArmModels.fit(rows.take(np.flatnonzero(half != own)), seed)
        place = np.flatnonzero(half == own)
        part = rows.take(place)
        pseudo[place] = compute_pseudo_outcomes(part, *models.predict(part.x))
    return pseudo
