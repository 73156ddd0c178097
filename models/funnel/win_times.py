"""How likely and how soon open leads are won, given their stage and their age in it.

The evidence is what became of the visits that had lasted as long in the stage: whether and when
their spells were won, from that stage or a later one. Losses compete with wins.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from features.paths.visits import OPEN
from features.tools.instants import US_PER_DAY
from models.funnel.cycle_table import LOSS
from models.funnel.history import FunnelHistory
from models.survival.landmarks import LAST_TIME, LandmarkCurves, estimate_after_landmarks
from models.survival.stays import Stays


@dataclass(frozen=True)
class WinTimes:
    """Times until the win of leads that are open, by their stage and their age in it.

    ``stage`` is the number of a stage and ``age_us`` the microseconds since the lead entered it;
    both have one element per lead.

    Attributes:
        curves: Incidence of a win after landmarks of each stage.
    """

    curves: LandmarkCurves

    def chance_within(
        self, stage: np.ndarray, age_us: np.ndarray, horizon_us: np.ndarray | int
    ) -> np.ndarray:
        """Return the share of such leads that is won in ``[now, now + horizon)``.

        It is NaN for a stage in which no lead was observed. After the longest time that was
        observed it no longer rises.
        """
        # A win at the horizon itself comes too late.
        time = np.full(len(stage), horizon_us, np.int64) - 1
        return self.curves.find_shares(stage, age_us, time)

    def chance_ever(self, stage: np.ndarray, age_us: np.ndarray) -> np.ndarray:
        """Return the share of such leads that is won within the longest time that was observed."""
        return self.curves.find_shares(stage, age_us, np.full(len(stage), LAST_TIME))

    def quantile_days(self, stage: np.ndarray, age_us: np.ndarray, share: float) -> np.ndarray:
        """Return the days from now by which a share of those that are won have been won.

        Those are the leads that are won within the longest time that was observed. It is NaN where
        none is.
        """
        return self.curves.find_quantiles(stage, age_us, share) / US_PER_DAY


def estimate_win_times(history: FunnelHistory) -> WinTimes:
    """Return the times until the win as known at the as-of."""
    visits, groups = history.paths.visits, len(history.states.stages)
    wins = list_win_stays(history)
    stays = history.list_visit_stays(visits.stage)
    return WinTimes(estimate_after_landmarks(stays, wins.end, wins.exit, groups, LOSS + 1))


def list_win_stays(history: FunnelHistory) -> Stays:
    """Return the time from each visit's begin to the win or loss of its spell, by stage."""
    visits, spell = history.paths.visits, number_spells(history)
    spells = history.list_spell_stays(np.zeros(len(history.paths.spells.lead), np.int64))
    # The ends of spells, counted from the begin of each visit.
    end = (history.paths.spells.start + spells.end)[spell] - visits.start
    stays = history.list_visit_stays(visits.stage)
    return replace(stays, end=end, exit=spells.exit[spell])


def number_spells(history: FunnelHistory) -> np.ndarray:
    """Return the row of each visit's spell, int64; both are ordered by lead and time."""
    following = history.paths.visits.exit
    # The last visit of each spell ends with it, and is open if it is.
    is_last = (following == OPEN) | (following >= history.states.won)
    return np.cumsum(is_last) - is_last
