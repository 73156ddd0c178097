"""The kernel of amounts: exact sums, means and extremes of what events carry."""

from __future__ import annotations

import numpy as np

from features.exact import exact_sum, two_sum
from features.jit import inlined, kernel
from features.plan import Plan
from features.windows import History, Looks, write

AGGREGATES = ("total", "mean", "least", "most")


def amounts(history: History, looks: Looks, plan: Plan, out: np.ndarray) -> None:
    """Write sums, means, smallest and largest values into ``out[column, place]`` as ``plan`` says.

    An event without a value (NaN) has no part. A sum is carried as two floats, the rounded sum and what rounding left
    out, so that it is rounded once (Ogita, Rump & Oishi 2005, “Accurate sum and dot product”). Where two floats could
    not hold it, which is noticed, it is added up again by ``exact_sum``. So sums are exact, and neither the order of
    the events nor how they fall into windows shows in them.
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


@kernel
def _amounts(
    events: tuple, rows: tuple, edges: np.ndarray, slots: tuple, wanted: tuple, state: np.ndarray, out: np.ndarray
) -> None:
    time, available, value, subjects = events
    firsts, ends, cutoffs, places = rows
    sums = np.zeros((len(state), len(edges), 6))
    for row in range(len(cutoffs)):
        cutoff, window = cutoffs[row], 0
        sums[:] = 0.0
        sums[:, :, 4], sums[:, :, 5] = np.inf, -np.inf
        for event in range(ends[row] - 1, firsts[row] - 1, -1):
            if available[event] >= cutoff or np.isnan(value[event]):
                continue
            back = cutoff - time[event]
            while back > edges[window]:
                window += 1
            for part in range(subjects.shape[1]):
                if subjects[event, part] >= 0:
                    _add(sums[subjects[event, part], window], value[event])
        for subject in range(len(state)):
            _close(events, (firsts[row], ends[row], cutoff), edges, subject, sums[subject])
            for window in range(len(edges)):
                _finish(sums[subject, window], state[subject], window, slots)
        write(state, wanted, out, places[row])


@inlined
def _add(held: np.ndarray, value: float) -> None:
    """Add a value to (sum, rest, number, number of times that the rest itself was rounded, smallest, largest)."""
    held[0], left = two_sum(held[0], value)
    held[1], lost = two_sum(held[1], left)
    held[2] += 1.0
    held[3] += lost != 0.0  # so it is after an infinity or an overflow: NaN is not 0
    held[4], held[5] = min(held[4], value), max(held[5], value)


@inlined
def _join(held: np.ndarray, other: np.ndarray) -> None:
    """Add what a narrower window holds."""
    held[0], left = two_sum(held[0], other[0])
    held[1], lost = two_sum(held[1], left)
    held[1], more = two_sum(held[1], other[1])
    held[2] += other[2]
    held[3] += other[3] + (lost != 0.0) + (more != 0.0)
    held[4], held[5] = min(held[4], other[4]), max(held[5], other[5])


@inlined
def _close(events: tuple, row: tuple, edges: np.ndarray, subject: int, held: np.ndarray) -> None:
    """Add the nested windows up, and once more where two floats could not hold a sum."""
    for window in range(1, len(edges)):
        _join(held[window], held[window - 1])
    if held[-1, 3]:
        _again(events, row, edges, subject, held)


@kernel
def _again(events: tuple, row: tuple, edges: np.ndarray, subject: int, held: np.ndarray) -> None:
    """Add up a row's values of one subject from the beginning, exactly, window by window."""
    time, available, value, subjects = events
    first, end, cutoff = row
    for window in range(len(edges)):
        found, count = np.empty(int(held[window, 2])), 0
        for event in range(first, end):
            seen = available[event] < cutoff and cutoff - time[event] <= edges[window] and not np.isnan(value[event])
            if seen and (subjects[event] == subject).any():
                found[count] = value[event]
                count += 1
        held[window, 0], held[window, 1] = exact_sum(found), 0.0


@inlined
def _finish(held: np.ndarray, state: np.ndarray, window: int, slots: tuple) -> None:
    """Round a sum once, and write the figures of one window."""
    total, mean, least, most = slots
    state[total + window] = held[0] + held[1]
    if mean >= 0:
        state[mean + window] = state[total + window] / held[2] if held[2] else np.nan
    if least >= 0:
        state[least + window] = held[4] if held[2] else np.nan
    if most >= 0:
        state[most + window] = held[5] if held[2] else np.nan
