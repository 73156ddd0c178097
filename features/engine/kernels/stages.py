"""Where an entity stands on its way, how it came there, and how long others stayed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from features.engine.kernels.windows import History, Looks
from features.tools.instants import US_PER_DAY
from features.tools.jit import jit_kernel

FIGURES = ("stage_now", "stage_entry", "stage_age", "stages_age", "skipped", "returns", "moves")
"""What ``journey`` returns first; then the visits of each stage, then the days in each."""

LEAST_VISITS = 20
"""Fewer past visits to a stage than this say nothing about how long one usually lasts."""


def journey(history: History, looks: Looks, rank: np.ndarray, stages: int) -> np.ndarray:
    """Return (FIGURES and two more for each stage, rows); stages by rank, -1 for none, ages in days.

    ``rank`` gives the place of each event type among the stages, -1 if it is none. Stage events are taken in the order
    of (time, rank); those of one rank in a row are one visit. It lasts until the next begins, the last one until the
    cutoff.
    """
    steps, of = stage_events(history, rank)
    own = looks.among(_ranks(history, rank) >= 0)
    found = np.full((len(looks.cutoff), len(FIGURES) + 2 * stages), np.nan)
    _walk((steps.time, steps.available, of), (own.first, own.end, own.cutoff), stages, found)
    return found.T


def stage_events(history: History, rank: np.ndarray) -> tuple[History, np.ndarray]:
    """Return the events that are stages in the order of (group, time, rank), and the rank of each."""
    of = _ranks(history, rank)
    steps, of = history.only(of >= 0), of[of >= 0]
    order = np.lexsort((of, steps.time, steps.group))
    return steps.only(order), of[order]


def _ranks(history: History, rank: np.ndarray) -> np.ndarray:
    """Return the place of each event among the stages, -1 for none."""
    return np.append(rank, -1)[history.kind]


@jit_kernel
def _walk(events: tuple, rows: tuple, stages: int, found: np.ndarray) -> None:
    time, available, of = events
    firsts, ends, cutoffs = rows
    for row in range(len(cutoffs)):
        figure, now, entered = found[row], -1, np.int64(0)
        figure[:2] = -1.0
        figure[len(FIGURES) :] = 0.0
        visits, days = figure[len(FIGURES) : len(FIGURES) + stages], figure[len(FIGURES) + stages :]
        for event in range(firsts[row], ends[row]):
            if available[event] >= cutoffs[row] or of[event] == now:
                continue
            if now < 0:
                figure[1] = of[event]
                figure[3] = (cutoffs[row] - time[event]) / US_PER_DAY
                figure[5] = figure[6] = 0.0
            else:
                days[now] += time[event] - entered
                figure[5] += of[event] < now
                figure[6] += 1
            now, entered = of[event], time[event]
            visits[now] += 1
        if now >= 0:
            days[now] += cutoffs[row] - entered
            days[:] /= US_PER_DAY
            figure[0], figure[2] = now, (cutoffs[row] - entered) / US_PER_DAY
            highest = np.flatnonzero(visits)[-1]
            figure[4] = (visits[:highest] == 0).sum()


@dataclass(frozen=True)
class Visits:
    """Past visits of all entities, by when their end became known: stage (rank) and length in days."""

    known: np.ndarray
    stage: np.ndarray
    length: np.ndarray

    @classmethod
    def of(cls, steps: History, rank: np.ndarray, joined: np.ndarray) -> Self:
        """Find the ended visits among stage events; ``joined`` is when each member's lead row became known.

        Here an entity's stage events are taken in the order in which they became known, and a visit is as long as the
        time between the news of its begin and of its end: so a late event can only add visits, never change one that a
        cutoff has already seen.
        """
        known = np.maximum(steps.available, joined[steps.member])
        order = np.lexsort((rank, steps.time, known, steps.group))
        group, known, rank = steps.group[order], known[order], rank[order]
        starts = np.ones(len(order), bool)
        starts[1:] = (np.diff(group) != 0) | (np.diff(rank) != 0)
        group, known, rank = group[starts], known[starts], rank[starts]
        ended = np.flatnonzero(np.diff(group) == 0)
        return cls(known[ended + 1], rank[ended], (known[ended + 1] - known[ended]) / US_PER_DAY)

    @classmethod
    def joined(cls, parts: list[Visits]) -> Self:
        """Return the visits of all parts together."""
        columns = ([getattr(part, name) for part in parts] for name in ("known", "stage", "length"))
        return cls(*(np.concatenate(column) if column else np.empty(0) for column in columns))

    def shorter(self, stage: np.ndarray, age: np.ndarray, cutoff: np.ndarray) -> np.ndarray:
        """Return the share of visits to each row's ``stage``, known before its ``cutoff``, shorter than its ``age``.

        NaN without a stage (-1) and with fewer than LEAST_VISITS of them. Counts by a binary indexed tree over the
        lengths (Fenwick 1994) while the cutoffs go forward.
        """
        found = np.full(len(stage), np.nan)
        for rank in np.unique(stage[stage >= 0]):
            rows = np.flatnonzero(stage == rank)
            rows = rows[np.argsort(cutoff[rows], kind="stable")]
            own = np.flatnonzero(self.stage == rank)
            own = own[np.argsort(self.known[own], kind="stable")]
            sizes = np.sort(self.length[own])
            place, below = (
                np.searchsorted(sizes, self.length[own]),
                np.searchsorted(sizes, age[rows]),
            )
            share = np.empty(len(rows))
            _count(self.known[own], place, cutoff[rows], below, share)
            found[rows] = share
        return found


@jit_kernel
def _count(
    known: np.ndarray, place: np.ndarray, cutoff: np.ndarray, below: np.ndarray, share: np.ndarray
) -> None:
    """Give each cutoff the share of visits known before it whose length lies below its own."""
    tree = np.zeros(len(known) + 1, np.int64)
    entered = 0
    for row in range(len(cutoff)):
        while entered < len(known) and known[entered] < cutoff[row]:
            at = place[entered] + 1
            while at < len(tree):
                tree[at] += 1
                at += at & -at
            entered += 1
        fewer, at = 0, below[row]
        while at > 0:
            fewer += tree[at]
            at -= at & -at
        share[row] = fewer / entered if entered >= LEAST_VISITS else np.nan
