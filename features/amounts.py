"""The kernel of amounts: exact sums, means and extremes of what events carry."""

from __future__ import annotations

import numba as nb
import numpy as np

from features.plan import Plan
from features.windows import History, Looks, write

AGGREGATES = ("total", "mean", "least", "most")


def amounts(history: History, looks: Looks, plan: Plan, out: np.ndarray) -> None:
    """Write sums, means, smallest and largest values into ``out[column, place]`` as ``plan`` says.

    An event without a value (NaN) has no part. A sum is kept as a pair of floats, the rounded sum and what rounding
    left out (TwoSum of Knuth; with a second float carried along, Ogita, Rump & Oishi 2005 show the result to be as if
    computed in twice the working precision). So it is rounded once, and neither the order of the events nor how they
    fall into windows shows in it.
    """
    _amounts(
        (history.time, history.available, history.value, plan.subjects_of(history.kind, history.channel)),
        (looks.first, looks.end, looks.cutoff, looks.place),
        plan.edges,
        tuple(plan.slot(aggregate) for aggregate in AGGREGATES),
        (plan.figure, plan.column),
        np.zeros((plan.subjects, plan.slots)),
        out,
    )


@nb.njit(cache=True, nogil=True)
def _amounts(
    events: tuple, rows: tuple, edges: np.ndarray, slots: tuple, wanted: tuple, state: np.ndarray, out: np.ndarray
) -> None:
    time, available, value, subjects = events
    firsts, ends, cutoffs, places = rows
    sums = np.zeros((len(state), len(edges), 5))
    for row in range(len(cutoffs)):
        cutoff, window = cutoffs[row], 0
        sums[:, :, :3] = 0.0
        sums[:, :, 3], sums[:, :, 4] = np.inf, -np.inf
        for event in range(ends[row] - 1, firsts[row] - 1, -1):
            if available[event] >= cutoff or np.isnan(value[event]):
                continue
            back = cutoff - time[event]
            while back > edges[window]:
                window += 1
            for part in range(subjects.shape[1]):
                if subjects[event, part] >= 0:
                    _add(sums[subjects[event, part], window], value[event], 0.0, 1.0, value[event], value[event])
        for subject in range(len(state)):
            _finish(sums[subject], state[subject], slots)
        write(state, wanted, out, places[row])


@nb.njit(cache=True, nogil=True, inline="always")
def _add(held: np.ndarray, value: float, rest: float, number: float, least: float, most: float) -> None:
    """Add a value and what its own rounding left out to (sum, rest, number, smallest, largest)."""
    total = held[0] + value
    part = total - held[0]
    left = (held[0] - (total - part)) + (value - part)
    held[1] += rest + (left if np.isfinite(left) else 0.0)
    held[0] = total
    held[2] += number
    held[3], held[4] = min(held[3], least), max(held[4], most)


@nb.njit(cache=True, nogil=True, inline="always")
def _finish(sums: np.ndarray, state: np.ndarray, slots: tuple) -> None:
    """Add the nested windows up and round each sum once."""
    total, mean, least, most = slots
    for window in range(len(sums)):
        held = sums[window]
        if window:
            before = sums[window - 1]
            _add(held, before[0], before[1], before[2], before[3], before[4])
        exact = held[0] + held[1]
        state[total + window] = exact
        if mean >= 0:
            state[mean + window] = exact / held[2] if held[2] else np.nan
        if least >= 0:
            state[least + window] = held[3] if held[2] else np.nan
        if most >= 0:
            state[most + window] = held[4] if held[2] else np.nan
