"""Local trend: by how much daily counts differ from what is expected of them, and where they go.

The log of the ratio is a straight line whose points matter less the older they are. A normal prior
on its slope lets small counts say nothing about a direction. Counts vary more than Poisson ones,
which widens what they say by the factor that their weeks show. Ahead, the slope fades: Gardner and
McKenzie, "Forecasting trends in time series", *Management Science* 31 (1985).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Days after which a count matters half as much.
HALF_LIFE = 14.0
# Standard deviation of the slope before anything is seen, in log units a day: 6 % a month.
SLOPE_SD = 0.002
# Days over which the slope fades to a third.
FADE = 30.0
# Older counts weigh less than a three-hundredth.
MEMORY = 120
# Counts that the level begins with, so that a few days of few counts do not move it.
PRIOR_COUNT = 5.0
WEEK = 7


@dataclass(frozen=True)
class LocalTrend:
    """Log of the ratio of counts to their expectation at the end, and its slope a day."""

    level: float
    slope: float

    def find_factors(self, days_ahead: np.ndarray) -> np.ndarray:
        """Return the ratio some days, 0 or more, after the end."""
        return np.exp(self.level + self.slope * FADE * -np.expm1(-days_ahead / FADE))


def fit_local_trend(counts: np.ndarray, expected: np.ndarray) -> LocalTrend:
    """Return the trend of daily counts, the newest last, against what was expected of them."""
    counts, expected = counts[-MEMORY:], expected[-MEMORY:]
    days = np.arange(len(counts)) - len(counts) + 0.5
    weight = 0.5 ** (-days / HALF_LIFE)
    level = np.log((weight @ counts + PRIOR_COUNT) / (weight @ expected + PRIOR_COUNT))
    basis = np.stack([np.ones_like(days), days])
    line = _fit_line(np.array([level, 0.0]), basis, counts, expected, weight)
    # Counts that vary more than Poisson ones, around the line, say less of it.
    spread = _measure_spread(counts, _find_mean(line, basis, expected), weight)
    line = _fit_line(line, basis, counts, expected, weight / spread)
    return LocalTrend(float(line[0]), float(line[1]))


def _fit_line(
    line: np.ndarray,
    basis: np.ndarray,
    counts: np.ndarray,
    expected: np.ndarray,
    weight: np.ndarray,
) -> np.ndarray:
    """Return level and slope of the highest posterior density, from ``line`` on."""
    prior = np.diag([1e-9, 1 / SLOPE_SD**2])
    # Newton's steps on a concave likelihood; few are needed from a good level.
    for _ in range(25):
        mean = _find_mean(line, basis, expected)
        gradient = basis @ (weight * (counts - mean)) - prior @ line
        information = (basis * (weight * mean)) @ basis.T + prior
        step = np.clip(np.linalg.solve(information, gradient), -0.5, 0.5)
        line = line + step
        if np.abs(step).max() < 1e-9:
            break
    return line


def _find_mean(line: np.ndarray, basis: np.ndarray, expected: np.ndarray) -> np.ndarray:
    return expected * np.exp(np.clip(line @ basis, -20, 20))


def _measure_spread(counts: np.ndarray, mean: np.ndarray, weight: np.ndarray) -> float:
    """Return how many times more than a Poisson count a week's count varies, at least once."""
    days = len(counts) // WEEK * WEEK
    weeks, means, weights = (
        values[len(counts) - days :].reshape(-1, WEEK).sum(axis=1)
        for values in (counts, mean, weight)
    )
    enough = means >= PRIOR_COUNT
    if np.count_nonzero(enough) < 4:
        return 1.0
    squares = (weeks - means)[enough] ** 2 / means[enough]
    return float(max(np.average(squares, weights=weights[enough]), 1.0))
