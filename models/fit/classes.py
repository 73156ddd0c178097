"""Classes of fit: A, B and C by what units are expected to bring.

The limits are those that set apart best what the classes of mature units brought. Each unit is
scored by a profile of other units, so that the limits and the outcomes of the classes are those of
units that the profile had not seen.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.fit.cohort import EntryCohort
from models.fit.entry_values import EntryValues
from models.fit.profile import ProfileFit, learn_without_part
from models.survival.bootstrap import BUCKETS

CLASSES = ("A", "B", "C")
# Each part of the units is scored by a profile of the others.
PARTS = 5
# A smaller class helps nobody to choose.
MIN_CLASS_SHARE = 0.1
# Groups of units of about equal score, between which a limit may lie.
MAX_GROUPS = 60
# Scores are compared with so many decimals, so that rounding errors part no units.
DECIMALS = 9


class ClassLimits(NamedTuple):
    """Limits of the classes.

    Attributes:
        a: Least score of class A; infinite if nobody is in it.
        b: Least score of class B; minus infinity if nobody is in C.
    """

    a: float
    b: float

    def classify_scores(self, score: np.ndarray) -> np.ndarray:
        """Return the place of each score's class in CLASSES, int64."""
        score = np.round(score, DECIMALS)
        return np.where(score >= self.a, 0, np.where(score >= self.b, 1, 2))


NO_LIMITS = ClassLimits(np.inf, -np.inf)


def score_held_out(
    fit: ProfileFit, cohort: EntryCohort, values: EntryValues, rows: np.ndarray
) -> np.ndarray:
    """Return the score of each unit of a cohort by a profile of the other parts, float64."""
    score = np.empty(len(cohort))
    part_of_bucket = np.arange(BUCKETS) % PARTS
    for part in range(PARTS):
        profile = learn_without_part(fit, cohort, values, rows, part_of_bucket != part)
        own = part_of_bucket[cohort.bucket] == part
        score[own] = profile.score_units(values, rows[own])
    return score


def choose_limits(score: np.ndarray, outcome: np.ndarray) -> ClassLimits:
    """Return the limits between which the mean outcomes differ most.

    That is the largest sum of squares between classes, of which each has MIN_CLASS_SHARE of the
    units and a higher mean than the next. With two such classes but not three, they are A and B;
    without, all units are B.
    """
    limits, units, total = _group_scores(np.round(score, DECIMALS), outcome)
    count = np.concatenate([[0.0], np.cumsum(units)])
    sums = np.concatenate([[0.0], np.cumsum(total)])
    least = MIN_CLASS_SHARE * count[-1]
    best, chosen = 0.0, NO_LIMITS
    for three in (True, False):
        for a in range(1, len(limits)):
            for b in range(1, a) if three else (0,):
                places = np.array([0, b, a, len(limits)] if three else [0, a, len(limits)])
                size, amount = np.diff(count[places]), np.diff(sums[places])
                if size.min() < least or (np.diff(amount / size) <= 0).any():
                    continue
                between = float((amount**2 / size).sum())
                if between > best:
                    best = between
                    chosen = ClassLimits(limits[a], limits[b] if three else -np.inf)
        if chosen != NO_LIMITS:
            return chosen
    return NO_LIMITS


def _group_scores(
    score: np.ndarray, outcome: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return groups of equal scores, at most MAX_GROUPS: least score, units and summed outcome."""
    distinct, place = np.unique(score, return_inverse=True)
    units = np.bincount(place).astype(float)
    step = np.floor(np.cumsum(units) / len(score) * MAX_GROUPS)
    is_first = np.diff(step, prepend=-1) > 0 if len(distinct) > MAX_GROUPS else units > 0
    group = np.cumsum(is_first) - 1
    group_of_unit = group[place]
    return (
        distinct[is_first],
        np.bincount(group_of_unit).astype(float),
        np.bincount(group_of_unit, outcome),
    )
