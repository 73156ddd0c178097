"""Thresholds of hand-overs: the lowest probability that fits the capacity and pays for its cost."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Above every probability: nothing is handed over.
UNREACHABLE = np.inf


class WeeklyFlow(NamedTuple):
    """Leads that a threshold would have handed over in the last weeks, one element per lead.

    A threshold t would have handed a lead over if ``before < t <= peak``.

    Attributes:
        before: Probability at the first night, minus infinity for a lead that came later.
        peak: Highest probability at the nights since.
        weeks: Length of the period, at least 1.
    """

    before: np.ndarray
    peak: np.ndarray
    weeks: float

    def count_per_week(self, threshold: float) -> float:
        """Return the leads a week that a threshold would have handed over."""
        is_reached = (self.before < threshold) & (threshold <= self.peak)
        return float(np.count_nonzero(is_reached)) / self.weeks


class HandoverTerms(NamedTuple):
    """What limits the hand-overs of a night.

    Attributes:
        per_week: Leads a week that can be handed over by their probability.
        used: Leads that were handed over so in the last seven days.
        cost: Cost of working a lead.
        value: Value of one outcome; NaN if it is unknown.
    """

    per_week: int
    used: int
    cost: float
    value: float


class HandoverThreshold(NamedTuple):
    """The threshold of a night, in probabilities; above 1 where no lead can reach it.

    Attributes:
        break_even: Lowest probability whose expected value exceeds the cost.
        pace: Lowest probability that fits the capacity at the pace of the last weeks.
        standing: The higher of both, from which a lead keeps its qualification.
        applied: Lowest probability that is handed over this night: ``standing``, or higher where
            the places of the last seven days are used.
        per_week: Leads a week that ``standing`` would have handed over in the last weeks.
    """

    break_even: float
    pace: float
    standing: float
    applied: float
    per_week: float

    @property
    def limit(self) -> str:
        """Return what sets the standing threshold: “capacity” or “value”."""
        return "capacity" if self.pace > self.break_even else "value"


def find_handover_threshold(
    flow: WeeklyFlow, candidates: np.ndarray, terms: HandoverTerms
) -> HandoverThreshold:
    """Return the threshold of a night.

    ``candidates`` are the probabilities of the leads that may be handed over this night. The
    hand-overs of any seven days never exceed ``terms.per_week``, and neither do those a week that
    the standing threshold would have made.
    """
    break_even = _find_break_even(terms.cost, terms.value)
    pace = find_lowest_fitting(flow.before, flow.peak, terms.per_week * flow.weeks)
    standing = max(pace, break_even)
    never = np.full(len(candidates), -np.inf)
    places = find_lowest_fitting(never, candidates, max(terms.per_week - terms.used, 0))
    return HandoverThreshold(
        break_even, pace, standing, max(standing, places), flow.count_per_week(standing)
    )


def _find_break_even(cost: float, value: float) -> float:
    """Return the lowest probability with ``probability * value > cost``."""
    if not value > 0:
        return UNREACHABLE
    # The next number above the quotient, since a value that equals the cost does not exceed it.
    return float(np.nextafter(cost / value, np.inf))


def find_lowest_fitting(before: np.ndarray, peak: np.ndarray, most: float) -> float:
    """Return the lowest threshold that, like all above it, is reached by at most ``most`` leads.

    A lead reaches t if ``before < t <= peak``. The count changes at these numbers only, so the
    result is the next number above one of them, or 0 if every threshold fits.
    """
    low = np.minimum(before, peak)
    steps = np.unique(np.concatenate([before[np.isfinite(before)], peak]))[::-1]
    reached = _count_at_least(peak, steps) - _count_at_least(low, steps)
    too_many = np.flatnonzero(reached > most)
    return float(np.nextafter(steps[too_many[0]], np.inf)) if len(too_many) else 0.0


def _count_at_least(values: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Return the number of values at or above each limit."""
    counts: np.ndarray = len(values) - np.searchsorted(np.sort(values), limits, "left")
    return counts
