"""Classes of fit: A, B and C by what units are expected to bring.

The limits are those that set apart best what the classes of mature units brought. To see what the
classes are good for, the units are divided into parts, and each part is classified by a profile and
limits that were learned on the others.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.fit.cohort import EntryCohort
from models.fit.entry_values import EntryValues
from models.fit.profile import ProfileFit, learn_on_buckets
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


def learn_classes(
    fit: ProfileFit, cohort: EntryCohort, values: EntryValues, rows: np.ndarray
) -> tuple[ClassLimits, np.ndarray]:
    """Return the limits of the classes, and the class of each unit by what others teach.

    ``rows`` are the cohort's units among those of ``values``. Classes are places in CLASSES, int64
    (units,). There are three, if units that were held out bring the more the better their class,
    else A and B if these do, else all are B.
    """
    for three in (True, False):
        held_out = classify_held_out(fit, cohort, values, rows, three)
        present = np.unique(held_out)
        means = [cohort.outcome[held_out == place].mean() for place in present]
        if len(present) == 2 + three and (np.diff(means) < 0).all():
            score = fit.profile.score_units(values, rows)
            return choose_most_limits(score, cohort.outcome, three), held_out
    return NO_LIMITS, np.ones(len(cohort), np.int64)


def classify_held_out(
    fit: ProfileFit, cohort: EntryCohort, values: EntryValues, rows: np.ndarray, three: bool
) -> np.ndarray:
    """Return the class of each unit of a cohort by a profile and limits of the other parts."""
    classes = np.empty(len(cohort), np.int64)
    part_of_bucket = np.arange(BUCKETS) % PARTS
    for part in range(PARTS):
        kept = part_of_bucket != part
        profile = learn_on_buckets(fit, cohort, values, rows, kept)
        own = ~kept[cohort.bucket]
        known = profile.score_units(values, rows[~own])
        limits = choose_most_limits(known, cohort.take(~own).outcome, three)
        classes[own] = limits.classify_scores(profile.score_units(values, rows[own]))
    return classes


def choose_most_limits(score: np.ndarray, outcome: np.ndarray, three: bool) -> ClassLimits:
    """Return what ``choose_limits`` does; where it finds no three classes, the limits of two."""
    limits = choose_limits(score, outcome, three)
    return choose_limits(score, outcome, False) if three and limits == NO_LIMITS else limits


def choose_limits(score: np.ndarray, outcome: np.ndarray, three: bool) -> ClassLimits:
    """Return the limits between which the mean outcomes of units differ most.

    That is the largest sum of squares between three classes, or two, of which each has
    MIN_CLASS_SHARE of the units and a higher mean than the next; NO_LIMITS without such classes.
    """
    limits, units, total = _group_scores(np.round(score, DECIMALS), outcome)
    count = np.concatenate([[0.0], np.cumsum(units)])
    sums = np.concatenate([[0.0], np.cumsum(total)])
    best, chosen = 0.0, NO_LIMITS
    for a in range(1, len(limits)):
        for b in range(1, a) if three else (0,):
            places = np.array([0, b, a, len(limits)] if three else [0, a, len(limits)])
            size, amount = np.diff(count[places]), np.diff(sums[places])
            if size.min() < MIN_CLASS_SHARE * count[-1] or (np.diff(amount / size) <= 0).any():
                continue
            between = float((amount**2 / size).sum())
            if between > best:
                best, chosen = between, ClassLimits(limits[a], limits[b] if three else -np.inf)
    return chosen


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
