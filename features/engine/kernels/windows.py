"""The point-in-time kernel: counts and ages of one shard's history, as each row sees it from its cutoff.

A pure function of its arguments that knows nothing of where it runs. Each row walks its own group's events from the
newest before the cutoff to the oldest and counts them afresh: no state is carried from row to row, so a late event
needs no bookkeeping, nothing drifts, and a row alone and a row among millions agree to the bit. The walk is
proportional to the events behind each row, which for leads is less than the features that come out. The other kernels
walk in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from features.engine.kernels.kernel_plan import Plan
from features.tools.binary_search import find_lower_bounds
from features.tools.instants import US_PER_DAY
from features.tools.jit import jit_inline, jit_kernel


@dataclass(frozen=True)
class History:
    """One shard's events, ordered by (group, time) and at ties by all else, one element an event.

    ``group`` is the entity or the account whose history is looked at, ``member`` the entity that acted. ``kind`` and
    ``channel`` are codes, -1 for one the catalogue does not know. Instants are int64 microseconds since 1970. A
    ``value`` is NaN where there is none.
    """

    group: np.ndarray
    member: np.ndarray
    time: np.ndarray
    available: np.ndarray
    kind: np.ndarray
    channel: np.ndarray
    value: np.ndarray

    def only(self, wanted: np.ndarray) -> Self:
        """Return the history of the events that are wanted: a mask, or their places in the order wanted."""
        places = np.flatnonzero(wanted) if wanted.dtype == bool else wanted
        columns = (
            self.group,
            self.member,
            self.time,
            self.available,
            self.kind,
            self.channel,
            self.value,
        )
        return type(self)(*(column.take(places) for column in columns))


@dataclass(frozen=True)
class Looks:
    """One shard's rows: for each, its group's events before its cutoff, ``[first, end)``, and where it is written.

    Events in that range are seen if they also were ``available`` before the cutoff.
    """

    first: np.ndarray
    end: np.ndarray
    cutoff: np.ndarray
    place: np.ndarray

    @classmethod
    def of(cls, history: History, group: np.ndarray, cutoff: np.ndarray, place: np.ndarray) -> Self:
        """Find the events behind each (group, cutoff)."""
        last = int(max(history.group.max(initial=-1), group.max(initial=-1)))
        begins = np.searchsorted(history.group, np.arange(last + 2))
        return cls(
            begins[group],
            find_lower_bounds(history.time, begins[group], begins[group + 1], cutoff),
            cutoff,
            place,
        )

    @property
    def rows(self) -> tuple[np.ndarray, ...]:
        """The columns as a kernel takes them."""
        return self.first, self.end, self.cutoff, self.place

    def among(self, kept: np.ndarray) -> Self:
        """Return the same rows as they look at some of the events, ``kept`` being a mask of them."""
        before = np.append(0, np.cumsum(kept))
        return type(self)(before[self.first], before[self.end], self.cutoff, self.place)


AGGREGATES = ("count", "trend", "share", "age", "first")


def tally(history: History, looks: Looks, plan: Plan, out: np.ndarray) -> None:
    """Write counts, trends, shares and ages into ``out[column, place]`` as ``plan`` says.

    A window w holds event times in ``[cutoff - w, cutoff)``. Ages are in days, NaN where there is no event.
    """
    _tally(
        (history.time, history.available, plan.subjects_of(history.kind, history.channel)),
        looks.rows,
        plan.edges,
        np.array([plan.near, plan.far]),
        tuple(plan.slot(aggregate) for aggregate in AGGREGATES),
        plan.wanted,
        plan.state(),
        out,
    )


@jit_kernel
def _tally(
    events: tuple,
    rows: tuple,
    edges: np.ndarray,
    doubles: np.ndarray,
    slots: tuple,
    wanted: tuple,
    state: np.ndarray,
    out: np.ndarray,
) -> None:
    """Walk each row's events from the newest to the oldest.

    An event is put into the narrowest window that reaches it; the windows are nested, so adding up from the narrowest
    gives them all. What is gathered lies in one array, since each further one would be counted at every event.
    """
    time, available, subjects = events
    firsts, ends, cutoffs, places = rows
    _, trend, share, age, first = slots
    for row in range(len(cutoffs)):
        cutoff, window = cutoffs[row], 0
        state[:] = 0.0
        for event in range(ends[row] - 1, firsts[row] - 1, -1):
            if available[event] >= cutoff:
                continue
            back = cutoff - time[event]
            while back > edges[window]:
                window += 1
            for part in range(subjects.shape[1]):
                subject = subjects[event, part]
                if subject >= 0:
                    state[subject, window] += 1.0
                    if (
                        state[subject, age] == 0.0
                    ):  # an event lies at least a microsecond back, so 0 means none yet
                        state[subject, age] = back
                    state[subject, first] = back
        for subject in range(len(state)):
            _finish(state, subject, len(edges), doubles, (trend, share, age, first))
        write(state, wanted, out, places[row])


@jit_inline
def _finish(state: np.ndarray, of: int, spans: int, doubles: np.ndarray, slots: tuple) -> None:
    """Add the nested windows up, compare each with the one before and with any event, turn ages into days."""
    trend, share, age, first = slots
    for window in range(1, spans):
        state[of, window] += state[of, window - 1]
    for index in range(doubles.shape[1]):
        state[of, trend + index] = 2.0 * state[of, doubles[0, index]] - state[of, doubles[1, index]]
    if share >= 0:
        for window in range(spans):
            state[of, share + window] = (
                state[of, window] / state[0, window] if state[0, window] > 0 else np.nan
            )
    state[of, age] = state[of, age] / US_PER_DAY if state[of, age] > 0 else np.nan
    state[of, first] = state[of, first] / US_PER_DAY if state[of, first] > 0 else np.nan


@jit_inline
def write(state: np.ndarray, wanted: tuple, out: np.ndarray, place: int) -> None:
    """Copy the figures that are wanted of a row's ``state`` (subjects, slots) to their columns."""
    figure, column = wanted
    flat = state.reshape(-1)
    for index in range(len(figure)):
        out[column[index], place] = flat[figure[index]]
