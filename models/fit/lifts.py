"""Lifts of values: what units with a value brought, as a multiple of what all units brought.

The logarithm of a lift is normal with a standard error by the delta method. All are shrunk towards
0 by a normal prior, whose variance is estimated from the lifts themselves (DerSimonian and Laird,
"Meta-analysis in clinical trials", *Controlled Clinical Trials* 7, 1986, with a known mean).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.calibration import Z90


class OutcomeSums(NamedTuple):
    """Sums over units; the last axis is that of the values, or is missing for all units.

    Attributes:
        units: Number of units.
        customers: Number of customers.
        total: Sum of the outcome.
        squares: Sum of its squares.
    """

    units: np.ndarray
    customers: np.ndarray
    total: np.ndarray
    squares: np.ndarray


class Lifts(NamedTuple):
    """Lifts of values; any further axis comes first.

    Attributes:
        score: Difference of the means of the units with the value and of all, in standard errors
            under chance.
        log_lift: Logarithm of the lift, before it is shrunk.
        error: Standard error of it.
        spread: Standard deviation of the logarithms of true lifts.
        lift: The shrunk lift.
        low: Lower end of its 90 % interval.
        high: Upper end of it.
    """

    score: np.ndarray
    log_lift: np.ndarray
    error: np.ndarray
    spread: np.ndarray
    lift: np.ndarray
    low: np.ndarray
    high: np.ndarray


def measure_lifts(part: OutcomeSums, whole: OutcomeSums, attribute: np.ndarray) -> Lifts:
    """Return the lifts of values (…, values); ``whole`` are the sums over all units (…,).

    ``attribute`` is the number of each value's attribute. Each value begins with one customer of
    mean value among as many units as have one on average.
    """
    every = OutcomeSums(*(np.asarray(sums, float)[..., None] for sums in whole))
    log_lift, error = _estimate_logs(part, every)
    weight = error**-2.0
    # The lifts of one attribute's values have a mean of 1: they are free but for one.
    free = len(attribute) - len(np.unique(attribute))
    excess = (weight * log_lift**2).sum(axis=-1) - free
    variance = np.maximum(excess, 0.0) / weight.sum(axis=-1)
    share = variance[..., None] / (variance[..., None] + error**2)
    center, half = share * log_lift, Z90 * np.sqrt(share) * error
    return Lifts(
        score=score_difference(part.units, part.total, every),
        log_lift=log_lift,
        error=error,
        spread=np.sqrt(variance),
        lift=np.exp(center),
        low=np.exp(center - half),
        high=np.exp(center + half),
    )


def score_difference(units: np.ndarray, total: np.ndarray, every: OutcomeSums) -> np.ndarray:
    """Return the means of values less that of all, in standard errors if outcomes were shuffled.

    The variance is that of the mean of units that are drawn without replacement.
    """
    mean = every.total / every.units
    variance = (every.squares - every.total * mean) / np.maximum(every.units - 1, 1)
    units = np.maximum(units, 1)
    error = np.sqrt(variance * np.maximum(1 / units - 1 / every.units, 0.0))
    difference = total / units - mean
    return np.divide(difference, error, out=np.zeros_like(difference), where=error > 0)


def _estimate_logs(part: OutcomeSums, every: OutcomeSums) -> tuple[np.ndarray, np.ndarray]:
    """Return the logarithm of each lift, and its standard error."""
    share = every.customers / every.units
    per_customer = every.total / every.customers
    units, total = part.units + 1 / share, part.total + per_customer
    spread = _sum_deviations(part) + per_customer**2 * (1 - share)
    log_lift = np.log(total / units) - np.log(every.total / every.units)
    # The units with the value are among all, so the two means depend on each other.
    variance = spread / total**2 - 2 * spread / (total * every.total)
    variance = variance + _sum_deviations(every) / every.total**2
    return log_lift, np.sqrt(np.maximum(variance, np.finfo(float).tiny))


def _sum_deviations(sums: OutcomeSums) -> np.ndarray:
    """Return the sum of the squared deviations from the mean."""
    deviations = sums.squares - sums.total**2 / np.maximum(sums.units, 1)
    return np.maximum(deviations, 0.0)
