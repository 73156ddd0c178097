"""The kernel of amounts: exact sums, means and extremes of what events carry."""

from __future__ import annotations

import numpy as np

from features.engine.kernels.exact_sums import exact_sum, two_sum
from features.engine.kernels.kernel_plan import Plan
from features.engine.kernels.windows import History, Looks, write
from features.tools.jit import jit_inline, jit_kernel

AGGREGATES = ("total", "mean", "least", "most")


def amounts(history: History, looks: Looks, plan: Plan, out: np.ndarray) -> None:
    """Write sums, means, smallest and largest values into ``out[column, place]`` as ``plan`` says.

    An event without a value (NaN) has no part. A sum is carried as two floats, the rounded sum and what rounding left
    out, so that it is rounded once (Ogita, Rump & Oishi 2005, “Accurate sum and dot product”). Where two floats could
    not hold it, which is noticed, it is added up again by ``exact_sum``. So sums are exact, and neither the order of
    the events nor how they fall into windows shows in them.
    """
    subjects = plan.subjects_of(history.kind, history.channel)
    kept = ~np.isnan(history.value) & (subjects >= 0).any(axis=1)
    looks, some = looks.among(kept), history.only(kept)
    _amounts(
        (some.time, some.available, some.value, subjects[kept]),
        looks.rows,
        plan.edges,
        tuple(plan.slot(aggregate) for aggregate in AGGREGATES),
        plan.wanted,
        plan.state(),
        out,
    )


@jit_kernel
def _amounts(
    events: tuple,
    rows: tuple,
    edges: np.ndarray,
    slots: tuple,
    wanted: tuple,
    state: np.ndarray,
    out: np.ndarray,
) -> None:
    time, available, value, subjects = events
    firsts, ends, cutoffs, places = rows
    sums = np.zeros((len(state), len(edges), 6))
    for row in range(len(cutoffs)):
        cutoff, window = cutoffs[row], 0
        sums[:] = 0.0
        for event in range(ends[row] - 1, firsts[row] - 1, -1):
            if available[event] >= cutoff:
                continue
            back = cutoff - time[event]
            while back > edges[window]:
                window += 1
            for part in range(subjects.shape[1]):
                if subjects[event, part] >= 0:
                    _add(sums, subjects[event, part], window, value[event])
        for subject in range(len(state)):
            _join(sums, subject)
            if sums[subject, len(edges) - 1, 3]:
                _again(events, (firsts[row], ends[row], cutoff), edges, subject, sums[subject])
            _finish(sums, state, subject, slots)
        write(state, wanted, out, places[row])


@jit_inline
def _add(sums: np.ndarray, of: int, at: int, value: float) -> None:
    """Add a value to (sum, rest, number, number of times that the rest itself was rounded, smallest, largest)."""
    sums[of, at, 0], left = two_sum(sums[of, at, 0], value)
    sums[of, at, 1], lost = two_sum(sums[of, at, 1], left)
    sums[of, at, 3] += lost != 0.0  # so it is after an infinity or an overflow: NaN is not 0
    sums[of, at, 4] = min(sums[of, at, 4], value) if sums[of, at, 2] else value
    sums[of, at, 5] = max(sums[of, at, 5], value) if sums[of, at, 2] else value
    sums[of, at, 2] += 1.0


@jit_inline
def _join(sums: np.ndarray, of: int) -> None:
    """Add to each window what the next narrower one holds."""
    for at in range(1, sums.shape[1]):
        if sums[of, at - 1, 2]:
            sums[of, at, 0], left = two_sum(sums[of, at, 0], sums[of, at - 1, 0])
            sums[of, at, 1], lost = two_sum(sums[of, at, 1], left)
            sums[of, at, 1], more = two_sum(sums[of, at, 1], sums[of, at - 1, 1])
            sums[of, at, 3] += sums[of, at - 1, 3] + (lost != 0.0) + (more != 0.0)
            least, most = sums[of, at - 1, 4], sums[of, at - 1, 5]
            sums[of, at, 4] = min(sums[of, at, 4], least) if sums[of, at, 2] else least
            sums[of, at, 5] = max(sums[of, at, 5], most) if sums[of, at, 2] else most
            sums[of, at, 2] += sums[of, at - 1, 2]


@jit_kernel
def _again(events: tuple, row: tuple, edges: np.ndarray, subject: int, held: np.ndarray) -> None:
    """Add up a row's values of one subject from the beginning, exactly, window by window."""
    time, available, value, subjects = events
    first, end, cutoff = row
    for window in range(len(edges)):
        found, count = np.empty(int(held[window, 2])), 0
        for event in range(first, end):
            seen = available[event] < cutoff and cutoff - time[event] <= edges[window]
            if seen and (subjects[event] == subject).any():
                found[count] = value[event]
                count += 1
        held[window, 0], held[window, 1] = exact_sum(found), 0.0


@jit_inline
def _finish(sums: np.ndarray, state: np.ndarray, of: int, slots: tuple) -> None:
    """Round each sum once, and note the figures."""
    total, mean, least, most = slots
    for window in range(sums.shape[1]):
        number, exact = sums[of, window, 2], sums[of, window, 0] + sums[of, window, 1]
        state[of, total + window] = exact
        if mean >= 0:
            state[of, mean + window] = exact / number if number else np.nan
        if least >= 0:
            state[of, least + window] = sums[of, window, 4] if number else np.nan
        if most >= 0:
            state[of, most + window] = sums[of, window, 5] if number else np.nan
