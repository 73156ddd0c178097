"""Cohorts: visits to a stage that began in the same 90 days, counted back from the as-of."""

from __future__ import annotations

import numpy as np

from features.tools.instants import US_PER_DAY
from models.funnel.history import Estimates, FunnelHistory, estimate_groups
from models.funnel.moves import MOVED, OTHERS, mark_moves

# Long enough for visits to follow in, and the quarter in which sales teams count.
COHORT_US = 90 * US_PER_DAY
# Days in which a cohort's visits are compared: older ones had more time.
WITHIN = (30,)


def number_cohorts(history: FunnelHistory) -> np.ndarray:
    """Return the cohort of each visit by its begin: 0 for the last 90 observed days, 1 before …

    It is negative for visits that began after the observed time.
    """
    return (history.observed_until - 1 - history.paths.visits.start) // COHORT_US


def estimate_cohorts(
    history: FunnelHistory, group: np.ndarray, groups: int, cohorts: int
) -> Estimates:
    """Return the estimates of the latest cohorts of the visits of each group.

    Groups of the estimates are those of the first cohort, then those of the one before …; the exits
    are MOVED and OTHERS, the days WITHIN.
    """
    cohort, visits = number_cohorts(history), history.paths.visits
    kind = np.where(mark_moves(visits.stage, visits.exit, history.states.won), MOVED, OTHERS)
    stays = history.list_visit_stays(group + groups * cohort).renumber_exits(kind)
    if cohort.min(initial=0) < 0 or cohort.max(initial=0) >= cohorts:
        stays = stays.take(np.flatnonzero((cohort >= 0) & (cohort < cohorts)))
    return estimate_groups(stays, cohorts * groups, OTHERS + 1, WITHIN, ())
