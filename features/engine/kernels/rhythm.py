"""The kernel of rhythm: on how many days something happened, the pauses between, and silence against them."""

from __future__ import annotations

import numpy as np

from features.engine.kernels.kernel_plan import Plan
from features.engine.kernels.windows import History, Looks, write
from features.tools.instants import US_PER_DAY
from features.tools.jit import jit_inline, jit_kernel

AGGREGATES = ("active_days", "gap_mean", "gap_std", "gap_max", "silence")


def rhythm(history: History, looks: Looks, plan: Plan, out: np.ndarray) -> None:
    """Write days with an event and figures of the pauses into ``out[column, place]`` as ``plan`` says.

    Days are 24-hour periods back from the cutoff. A pause lies between two neighbouring events of a subject, in days;
    with fewer than two events its figures are NaN. The spread follows Welford (1962), which does not cancel. Silence
    is the time since the last event in usual (mean) pauses, NaN where these are 0.
    """
    _rhythm(
        (history.time, history.available, plan.subjects_of(history.kind, history.channel)),
        looks.rows,
        plan.edges,
        plan.slot("gap_mean"),
        plan.wanted,
        plan.state(),
        out,
    )


@jit_kernel
def _rhythm(
    events: tuple,
    rows: tuple,
    edges: np.ndarray,
    gaps: int,
    wanted: tuple,
    state: np.ndarray,
    out: np.ndarray,
) -> None:
    time, available, subjects = events
    firsts, ends, cutoffs, places = rows
    seen = np.zeros(
        (len(state), 4), np.int64
    )  # events, age of the last, age of the latest looked at, its day
    for row in range(len(cutoffs)):
        cutoff, window = cutoffs[row], 0
        state[:] = 0.0
        seen[:] = 0
        for event in range(ends[row] - 1, firsts[row] - 1, -1):
            if available[event] >= cutoff:
                continue
            back = cutoff - time[event]
            while back > edges[window]:
                window += 1
            day = (
                (back - 1) // US_PER_DAY + 1
            )  # a window of d days holds exactly the periods 1 .. d; 0 means none yet
            for part in range(subjects.shape[1]):
                subject = subjects[event, part]
                if subject >= 0:
                    if day != seen[subject, 3]:
                        seen[subject, 3] = day
                        state[subject, window] += 1.0
                    _see(state, seen, subject, back, gaps)
        for subject in range(len(state)):
            _finish(state, seen, subject, len(edges), gaps)
        write(state, wanted, out, places[row])


@jit_inline
def _see(state: np.ndarray, seen: np.ndarray, of: int, back: int, gaps: int) -> None:
    """Take in an event of a subject, older than those before; pauses are in microseconds."""
    if seen[of, 0]:
        gap = float(back - seen[of, 2])
        away = gap - state[of, gaps]
        state[of, gaps] += away / seen[of, 0]
        state[of, gaps + 1] += away * (gap - state[of, gaps])
        state[of, gaps + 2] = max(state[of, gaps + 2], gap)
    else:
        seen[of, 1] = back
    seen[of, 0] += 1
    seen[of, 2] = back


@jit_inline
def _finish(state: np.ndarray, seen: np.ndarray, of: int, spans: int, gaps: int) -> None:
    """Add the nested windows up and turn what was gathered of the pauses into their figures."""
    for window in range(1, spans):
        state[of, window] += state[of, window - 1]
    if seen[of, 0] < 2:
        for index in range(gaps, gaps + 4):
            state[of, index] = np.nan
    else:
        mean = (seen[of, 2] - seen[of, 1]) / (seen[of, 0] - 1)
        state[of, gaps] = mean / US_PER_DAY
        state[of, gaps + 1] = np.sqrt(state[of, gaps + 1] / (seen[of, 0] - 1)) / US_PER_DAY
        state[of, gaps + 2] /= US_PER_DAY
        state[of, gaps + 3] = seen[of, 1] / mean if mean > 0 else np.nan
