"""What the funnel's tables are computed from, and its stays as the estimator takes them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self, TypeVar

import numpy as np

from configs.goals.goals import ALL
from features.paths.states import FunnelStates
from features.paths.visits import OPEN, LeadPaths, Spells, Visits
from features.tools.instants import NEVER_US, US_PER_DAY
from models.survival.bootstrap import summarize_replicates
from models.survival.incidence import IncidenceSummary, summarize_incidence
from models.survival.stays import CENSORED, AgeCounts, Stays, count_stays

# Ages at which shares are given, and shares of which the ages are given.
DAYS = (30, 60, 90)
SHARES = (0.25, 0.5, 0.8)
# Parts that the hashes of accounts divide them into, to take a share of them.
SAMPLING_PARTS = 2**20
Rows = TypeVar("Rows", Visits, Spells)


@dataclass(frozen=True)
class Segmentation:
    """A division of the leads.

    Attributes:
        names: Name of each segment.
        codes: Segment of each lead, int64 (leads,).
        by: Column whose values the segments are, or ALL.
    """

    names: tuple[str, ...]
    codes: np.ndarray
    by: str = ALL


@dataclass(frozen=True)
class FunnelHistory:
    """Paths of leads as known at an as-of. Instants are microseconds since 1970.

    Attributes:
        states: States of the funnel.
        paths: Visits and spells.
        created: Creation of each lead, int64 (leads,).
        cluster: Hash of each lead's account, or of the lead without one, uint64 (leads,).
        value: What the last win of each lead was worth, or else what a win is expected to bring,
            float64 (leads,), NaN where unknown; None where no amount can be known.
        as_of: The as-of.
        observed_from: Outcomes before it were not recorded.
        observed_until: Outcomes from it on may be missing; at the latest the as-of.
        sample_share: Share of the accounts whose paths these are.
    """

    states: FunnelStates
    paths: LeadPaths
    created: np.ndarray
    cluster: np.ndarray
    value: np.ndarray | None
    as_of: int
    observed_from: int
    observed_until: int
    sample_share: float = 1.0

    def cut_at(self, at: int) -> Self:
        """Return the history as it would have been at an earlier as-of, by the times of events."""
        paths = LeadPaths(
            _cut_rows(self.paths.visits, self.created, at),
            _cut_rows(self.paths.spells, self.created, at),
        )
        delay = self.as_of - self.observed_until
        return replace(self, paths=paths, as_of=at, observed_until=at - delay)

    def choose_accounts(self, share: float) -> np.ndarray:
        """Return which leads are of a share of the accounts that have paths, bool (leads,).

        Accounts are chosen by their hash: the same ones at every as-of.
        """
        limit = share * self.sample_share * SAMPLING_PARTS
        chosen: np.ndarray = self.cluster % np.uint64(SAMPLING_PARTS) < limit
        return chosen

    def sample_accounts(self, size: int) -> Self:
        """Return the history of some accounts, which have about ``size`` spells in all.

        The arrays of leads stay whole.
        """
        share = size / max(len(self.paths.spells.lead), 1)
        if share >= 1:
            return self
        chosen = self.choose_accounts(share)
        visits, spells = self.paths
        paths = LeadPaths(
            _take_rows(visits, chosen[visits.lead]), _take_rows(spells, chosen[spells.lead])
        )
        return replace(self, paths=paths, sample_share=share * self.sample_share)

    def list_visit_stays(self, group: np.ndarray) -> Stays:
        """Return the visits as stays, in groups of their own; exits are numbers of states."""
        visits = self.paths.visits
        return self._to_stays(group, visits.lead, visits.start, visits.end, visits.exit)

    def list_spell_stays(self, group: np.ndarray) -> Stays:
        """Return the spells as stays, in groups of their own; the exits are 0 won and 1 lost."""
        spells = self.paths.spells
        ending = np.where(spells.exit == OPEN, OPEN, (spells.exit > self.states.won).astype(int))
        return self._to_stays(group, spells.lead, spells.start, spells.end, ending)

    def _to_stays(
        self,
        group: np.ndarray,
        lead: np.ndarray,
        start: np.ndarray,
        end: np.ndarray,
        ending: np.ndarray,
    ) -> Stays:
        # A stage that was reached before the lead was created was not observed until then.
        begin = np.maximum(np.maximum(self.created[lead], self.observed_from) - start, 0)
        is_seen = (ending != OPEN) & (end < self.observed_until)
        last = np.where(is_seen, end, self.observed_until)
        return Stays(
            group.astype(np.int64),
            begin,
            last - start,
            np.where(is_seen, ending, CENSORED).astype(np.int64),
            self.cluster[lead],
        )


def _take_rows(part: Rows, own: np.ndarray) -> Rows:
    return replace(part, **{name: column[own] for name, column in vars(part).items()})


def _cut_rows(part: Rows, created: np.ndarray, at: int) -> Rows:
    """Return the visits or spells that began before an instant; what ended later is open."""
    part = _take_rows(part, (part.start < at) & (created[part.lead] < at))
    lasts = part.end >= at
    ends, exits = np.where(lasts, NEVER_US, part.end), np.where(lasts, OPEN, part.exit)
    return replace(part, end=ends, exit=exits)


@dataclass(frozen=True)
class Estimates:
    """Estimates of groups, and their bootstrap replicates with the replicate as the first axis.

    Attributes:
        point: The estimates.
        replicates: The replicates.
        size: Stays of each group, int64 (groups,).
        counts: Counts of the stays by age.
    """

    point: IncidenceSummary
    replicates: IncidenceSummary
    size: np.ndarray
    counts: AgeCounts


def estimate_groups(
    stays: Stays,
    groups: int,
    kinds: int,
    days: tuple[int, ...] = DAYS,
    at_shares: tuple[float, ...] = SHARES,
) -> Estimates:
    """Return the shares of each exit at some days and in the end, and its ages at shares, in days.

    Without shares, nothing after the last of the days is estimated.
    """
    ages, shares = np.array(days, np.int64) * US_PER_DAY, np.array(at_shares)
    counts = count_stays(stays)
    point = summarize_incidence(counts, groups, kinds, ages, shares)
    replicates = summarize_replicates(stays, counts, groups, kinds, ages, shares)
    size = np.zeros(groups, np.int64)
    size[: len(stays.by_age.size)] = stays.by_age.size
    return Estimates(_to_days(point), _to_days(replicates), size, counts)


def _to_days(summary: IncidenceSummary) -> IncidenceSummary:
    return IncidenceSummary(summary.within, summary.final, summary.quantile / US_PER_DAY)
