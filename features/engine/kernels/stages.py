"""Kernel of the journey: an entity's stage, how it came there, and how long others stayed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from features.engine.kernels.walk import AsOfLookups, EventHistory, is_visible
from features.tools.instants import US_PER_DAY
from features.tools.jit import jit_kernel

# First columns of ``compute_journey``; the visits of each stage follow, then the days in each.
JOURNEY_COLUMNS = (
    "stage_now",
    "stage_entry",
    "stage_age",
    "stages_age",
    "skipped",
    "returns",
    "moves",
)
NOW, ENTRY, AGE, FIRST_AGE, SKIPPED, RETURNS, MOVES = range(len(JOURNEY_COLUMNS))

# From fewer past visits to a stage, one cannot say how long a visit usually lasts.
MIN_VISITS = 20


def compute_journey(
    history: EventHistory, lookups: AsOfLookups, ranks: np.ndarray, stages: int
) -> np.ndarray:
    """Return (JOURNEY_COLUMNS and two more for each stage, rows).

    Stages are given by rank, -1 for none, ages in days. ``ranks`` gives the place of each event
    type among the stages, -1 if it is none. Stage events are taken in the order of (time, rank);
    consecutive ones of one rank are one visit. It lasts until the next begins, the last one until
    the cutoff.
    """
    stage_history, stage = select_stage_events(history, ranks)
    own = lookups.within(_rank_events(history, ranks) >= 0)
    values = np.full((len(lookups.cutoff), len(JOURNEY_COLUMNS) + 2 * stages), np.nan)
    _compute_journey(stage_history, stage, own, stages, values)
    return values.T


def select_stage_events(
    history: EventHistory, ranks: np.ndarray
) -> tuple[EventHistory, np.ndarray]:
    """Return the events that are stages in the order of (group, time, rank), and their ranks."""
    rank = _rank_events(history, ranks)
    stage_history, rank = history.take(rank >= 0), rank[rank >= 0]
    # Ties by rank, so that several stages reached at one instant are no return to an earlier one.
    order = np.lexsort((rank, stage_history.time, stage_history.group))
    return stage_history.take(order), rank[order]


def _rank_events(history: EventHistory, ranks: np.ndarray) -> np.ndarray:
    """Return the place of each event among the stages, -1 for none."""
    return np.append(ranks, -1)[history.kind]


@jit_kernel
def _compute_journey(
    history: EventHistory, stage: np.ndarray, lookups: AsOfLookups, stages: int, values: np.ndarray
) -> None:
    """Walk each row's stage events from the oldest to the newest."""
    visits_at = len(JOURNEY_COLUMNS)
    for row in range(len(lookups.cutoff)):
        cutoff, value, now, entered = lookups.cutoff[row], values[row], -1, np.int64(0)
        value[NOW] = value[ENTRY] = -1.0
        value[visits_at:] = 0.0
        visits, days = value[visits_at : visits_at + stages], value[visits_at + stages :]
        for event in range(lookups.first[row], lookups.end[row]):
            if not is_visible(history, event, cutoff) or stage[event] == now:
                continue
            if now < 0:
                value[ENTRY] = stage[event]
                value[FIRST_AGE] = (cutoff - history.time[event]) / US_PER_DAY
                value[RETURNS] = value[MOVES] = 0.0
            else:
                days[now] += history.time[event] - entered
                value[RETURNS] += stage[event] < now
                value[MOVES] += 1
            now, entered = stage[event], history.time[event]
            visits[now] += 1
        if now >= 0:
            days[now] += cutoff - entered
            days[:] /= US_PER_DAY
            value[NOW], value[AGE] = now, (cutoff - entered) / US_PER_DAY
            highest = np.flatnonzero(visits)[-1]
            value[SKIPPED] = (visits[:highest] == 0).sum()


@dataclass(frozen=True)
class StageVisits:
    """Ended visits to stages of all entities, one element per visit.

    Attributes:
        known: when the end of the visit became known, int64 microseconds since 1970.
        stage: rank of the stage.
        length: length of the visit in days.
    """

    known: np.ndarray
    stage: np.ndarray
    length: np.ndarray

    @classmethod
    def from_stage_events(
        cls, history: EventHistory, rank: np.ndarray, known_at: np.ndarray
    ) -> Self:
        """Find the ended visits among stage events.

        ``known_at`` is when each member's lead row became known. Here an entity's stage events are
        taken in the order in which they became known, and a visit lasts from when its start became
        known to when its end became known: so a late event can only add visits, never change one
        that a cutoff has already seen.
        """
        known = np.maximum(history.available, known_at[history.member])
        order = np.lexsort((rank, history.time, known, history.group))
        group, known, rank = history.group[order], known[order], rank[order]
        starts = np.ones(len(order), bool)
        starts[1:] = (np.diff(group) != 0) | (np.diff(rank) != 0)
        group, known, rank = group[starts], known[starts], rank[starts]
        ended = np.flatnonzero(np.diff(group) == 0)
        return cls(known[ended + 1], rank[ended], (known[ended + 1] - known[ended]) / US_PER_DAY)

    @classmethod
    def concat(cls, parts: list[StageVisits]) -> Self:
        """Return the visits of all parts as one."""
        columns = ([getattr(part, name) for part in parts] for name in ("known", "stage", "length"))
        return cls(*(np.concatenate(column) if column else np.empty(0) for column in columns))

    def share_shorter(self, stage: np.ndarray, age: np.ndarray, cutoff: np.ndarray) -> np.ndarray:
        """Return the share of past visits to each row's ``stage`` that were shorter than ``age``.

        Visits count if they were known before the row's ``cutoff``. NaN without a stage (-1) and
        with fewer than MIN_VISITS of them. Counts by a binary indexed tree over the lengths
        (Fenwick 1994) while the cutoffs go forward.
        """
        shares = np.full(len(stage), np.nan)
        for rank in np.unique(stage[stage >= 0]):
            # Both in order of time, so that the tree only ever gains visits.
            rows = np.flatnonzero(stage == rank)
            rows = rows[np.argsort(cutoff[rows], kind="stable")]
            own = np.flatnonzero(self.stage == rank)
            own = own[np.argsort(self.known[own], kind="stable")]
            lengths = np.sort(self.length[own])
            place = np.searchsorted(lengths, self.length[own])
            # The left side: a visit of exactly this length is not shorter.
            below = np.searchsorted(lengths, age[rows])
            share = np.empty(len(rows))
            _count_shorter(self.known[own], place, cutoff[rows], below, share)
            shares[rows] = share
        return shares


@jit_kernel
def _count_shorter(
    known: np.ndarray, place: np.ndarray, cutoff: np.ndarray, below: np.ndarray, share: np.ndarray
) -> None:
    """Write the share of visits known before each cutoff whose place by length is below a limit.

    ``known`` and ``cutoff`` ascend.
    """
    tree = np.zeros(len(known) + 1, np.int64)
    added = 0
    for row in range(len(cutoff)):
        while added < len(known) and known[added] < cutoff[row]:
            node = place[added] + 1
            while node < len(tree):
                tree[node] += 1
                node += node & -node
            added += 1
        shorter, node = 0, below[row]
        while node > 0:
            shorter += tree[node]
            node -= node & -node
        share[row] = shorter / added if added >= MIN_VISITS else np.nan
