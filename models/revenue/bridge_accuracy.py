"""How far forecasts of the revenue bridge were off in quarters that are over."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from models.customers.value import bound_total
from models.revenue.bridge_forecast import BridgeForecast
from models.revenue.revenue_bridge import STEPS

# Quarters that are forecast as of their begin, and the fewest that say how far one is off.
TESTED_QUARTERS, MIN_TESTED = 4, 3


@dataclass(frozen=True)
class TestedQuarter:
    """A quarter that is over, forecast as of its begin; margins by step, float64 (steps,).

    Attributes:
        expected: What was expected.
        variance: Variance of it by chance.
        actual: What came.
    """

    __test__ = False

    expected: np.ndarray
    variance: np.ndarray
    actual: np.ndarray


@dataclass(frozen=True)
class BridgeAccuracy:
    """What past quarters say of the forecast.

    Attributes:
        quarters: The quarters, the earliest first.
    """

    quarters: Sequence[TestedQuarter]

    @property
    def bias(self) -> float:
        """Return how far the margin of all quarters was off, as a share of what came."""
        expected = sum(float(quarter.expected[-1]) for quarter in self.quarters)
        actual = sum(float(quarter.actual[-1]) for quarter in self.quarters)
        return expected / actual - 1 if actual else math.nan

    def count_held(self) -> int:
        """Return the quarters whose margin the interval held, by the errors of the others."""
        held = 0
        for place, quarter in enumerate(self.quarters):
            others = [other for number, other in enumerate(self.quarters) if number != place]
            spread = measure_step_spread(others, len(STEPS) - 1)
            low, high = bound_total(
                float(quarter.expected[-1]), float(quarter.variance[-1]), spread
            )
            held += low <= quarter.actual[-1] <= high
        return held

    def bound_steps(
        self, forecast: BridgeForecast, quarters_ahead: Sequence[float]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return both ends of the 90 % interval of each step, float64 (2, steps).

        ``quarters_ahead`` is how far the end of each quarter lies ahead, in quarters: errors grow
        as its root.
        """
        low, high = np.zeros((2, *forecast.amount.shape))
        for step in range(len(STEPS)):
            spread = measure_step_spread(self.quarters, step)
            for place, ahead in enumerate(quarters_ahead):
                low[place, step], high[place, step] = bound_total(
                    float(forecast.amount[place, step]),
                    float(forecast.variance[place, step]),
                    spread * math.sqrt(ahead),
                )
        return low, high


def measure_step_spread(quarters: Sequence[TestedQuarter], step: int) -> float:
    """Return the spread of a step's logarithm beyond chance, widened for the few quarters."""
    squares = []
    for quarter in quarters:
        expected, actual = float(quarter.expected[step]), float(quarter.actual[step])
        if expected > 0 and actual > 0:
            chance = float(quarter.variance[step]) / expected**2
            squares.append(math.log(actual / expected) ** 2 - chance)
    if len(squares) < 2:
        return 0.0
    quantile = float(stats.t.ppf(0.95, len(squares)) / stats.norm.ppf(0.95))
    return math.sqrt(max(float(np.mean(squares)), 0.0)) * quantile
