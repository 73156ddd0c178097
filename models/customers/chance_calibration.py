"""Calibration of the chance to buy: what the model said as of the past, beside what came.

The log-odds of the model are shifted and stretched (Platt, 1999), with a weak prior that neither is
needed. It is used where chances of the last days that are over, corrected by what was learned from
the days before them, have a lower deviance than the model's own, beyond noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logit

from models.customers.correction_trial import CorrectionTrial, compare_deviances
from models.purchases.histories import (
    DAYS_PER_WEEK,
    MAX_CHECKED,
    Purchases,
    count_purchases,
    sample_histories,
    summarize_purchases,
)
from models.purchases.purchase_model import fit_purchases

CHANCE = "chance"
CHANCE_DAYS = 90
# Customers of a past as-of that are compared, and buyers, and others, that are needed.
MAX_CALIBRATED = 20_000
MIN_OUTCOMES = 50
# Standard deviation of shift and of the stretch's difference from 1 before any data.
PRIOR = 1.0
TINY = 1e-9


@dataclass(frozen=True)
class ChanceCalibration:
    """A correction of chances.

    Attributes:
        shift: Added to the log-odds.
        stretch: Factor of the log-odds.
        trial: How a correction learned from earlier days compares in the last ones.
    """

    shift: float
    stretch: float
    trial: CorrectionTrial

    def correct(self, chance: np.ndarray) -> np.ndarray:
        """Return the corrected chances, or the same where the correction was no better."""
        if not self.trial.passed:
            return chance
        corrected: np.ndarray = expit(self.shift + self.stretch * _find_log_odds(chance))
        return corrected


def calibrate_chances(purchases: Purchases, end: int, name: str) -> ChanceCalibration | None:
    """Return the calibration of the model ``name``, by purchases before the day ``end``.

    None where too few bought, or did not, in either of the last two spans of CHANCE_DAYS.
    """
    spans = [_collect_chances(purchases, end - place * CHANCE_DAYS, name) for place in (1, 0)]
    for _, bought in spans:
        if min(bought.sum(), (~bought).sum()) < MIN_OUTCOMES:
            return None
    (earlier, bought_earlier), (latest, bought) = spans
    tried = fit_calibration(earlier, bought_earlier)
    corrected = expit(tried[0] + tried[1] * _find_log_odds(latest))
    own, better = (measure_binary(bought, chance) for chance in (latest, corrected))
    trial = compare_deviances(CHANCE, CHANCE_DAYS, own, better, False)
    return ChanceCalibration(*fit_calibration(latest, bought), trial)


def _collect_chances(purchases: Purchases, end: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the chances of CHANCE_DAYS before ``end``, and whether each customer bought since."""
    origin = end - CHANCE_DAYS
    histories = summarize_purchases(purchases, origin)
    if not len(histories):
        return np.empty(0), np.empty(0, bool)
    fitted = fit_purchases(sample_histories(histories, MAX_CHECKED)).select(name)
    histories = sample_histories(histories, MAX_CALIBRATED)
    chance = fitted.forecast(histories).predict_any(CHANCE_DAYS / DAYS_PER_WEEK)
    return chance, count_purchases(purchases, histories, origin, end)[0] > 0


def fit_calibration(chance: np.ndarray, bought: np.ndarray) -> tuple[float, float]:
    """Return shift and stretch of the log-odds of chances, by penalised maximum likelihood."""
    odds, sign = _find_log_odds(chance), np.where(bought, 1.0, -1.0)

    def lose(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        shift, stretch = parameters
        own = sign * (shift + stretch * odds)
        slope = -sign * expit(-own)
        apart = np.array([shift, stretch - 1]) / PRIOR**2
        penalty = float(apart @ apart) * PRIOR**2 / 2
        gradient = np.array([slope.sum(), slope @ odds]) + apart
        return float(-log_expit(own).sum()) + penalty, gradient

    best = minimize(lose, np.array([0.0, 1.0]), jac=True, method="L-BFGS-B")
    return float(best.x[0]), float(best.x[1])


def measure_binary(bought: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Return the deviance of each chance, twice its log loss, float64 (customers,)."""
    limited = np.clip(chance, TINY, 1 - TINY)
    deviance: np.ndarray = -2 * np.log(np.where(bought, limited, 1 - limited))
    return deviance


def _find_log_odds(chance: np.ndarray) -> np.ndarray:
    odds: np.ndarray = logit(np.clip(chance, TINY, 1 - TINY))
    return odds
