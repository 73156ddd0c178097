"""Kernel of rhythm: days with an event, the gaps between events, and the silence since the last."""

from __future__ import annotations

import numpy as np

from features.engine.kernels.kernel_plan import KernelPlan, Outputs
from features.engine.kernels.walk import (
    AsOfLookups,
    EventHistory,
    VisibleEvents,
    walk_back,
    write_outputs,
)
from features.tools.instants import US_PER_DAY
from features.tools.jit import jit_inline, jit_kernel

AGGREGATES = ("active_days", "gap_mean", "gap_std", "gap_max", "silence")

# Columns of what is remembered of each subject's events: their number, the ages of the newest and
# of the oldest so far in microseconds, and the day of the oldest, counted back from the cutoff.
COUNT, NEWEST_AGE, OLDEST_AGE, DAY = range(4)

# Slots of the gap aggregates, in the order of AGGREGATES and counted from the first of them.
MEAN, SPREAD, LONGEST, SILENCE = range(4)


def compute_rhythm(
    history: EventHistory, lookups: AsOfLookups, plan: KernelPlan, out: np.ndarray
) -> None:
    """Write active days and gap statistics into ``out[column, row]`` as ``plan`` says.

    Days are 24-hour periods back from the cutoff. A gap lies between two consecutive events of a
    subject, in days; with fewer than two events the gap statistics are NaN. The standard deviation
    is computed as in Welford (1962), which does not cancel. Silence is the time since the last
    event in mean gaps, NaN where the mean gap is 0.
    """
    _compute_rhythm(
        history,
        plan.find_subjects(history.kind, history.channel),
        lookups,
        lookups.new_buffer(),
        plan.window_edges,
        plan.slot("gap_mean"),
        plan.outputs,
        plan.new_state(),
        out,
    )


@jit_kernel
def _compute_rhythm(
    history: EventHistory,
    subjects: np.ndarray,
    lookups: AsOfLookups,
    visible: VisibleEvents,
    window_edges: np.ndarray,
    gap_slot: int,
    outputs: Outputs,
    state: np.ndarray,
    out: np.ndarray,
) -> None:
    seen = np.zeros((len(state), 4), np.int64)
    for row in range(len(lookups.cutoff)):
        state[:] = 0.0
        seen[:] = 0
        for index in range(walk_back(history, lookups, row, window_edges, visible)):
            event, age, window = visible.event[index], visible.age[index], visible.window[index]
            # A window of d days holds exactly the days 1 to d; 0 stands for none yet.
            day = (age - 1) // US_PER_DAY + 1
            for route in range(subjects.shape[1]):
                subject = subjects[event, route]
                if subject >= 0:
                    if day != seen[subject, DAY]:
                        seen[subject, DAY] = day
                        state[subject, window] += 1.0
                    _add_gap(state, seen, subject, gap_slot, age)
        for subject in range(len(state)):
            for window in range(1, len(window_edges)):
                state[subject, window] += state[subject, window - 1]
            _finish_gaps(state, seen, subject, gap_slot)
        write_outputs(state, outputs, out, lookups.output_row[row])


@jit_inline
def _add_gap(state: np.ndarray, seen: np.ndarray, subject: int, gap_slot: int, age: int) -> None:
    """Add the gap from an event to the next newer one of its subject, in microseconds."""
    if seen[subject, COUNT]:
        gap = float(age - seen[subject, OLDEST_AGE])
        deviation = gap - state[subject, gap_slot + MEAN]
        state[subject, gap_slot + MEAN] += deviation / seen[subject, COUNT]
        state[subject, gap_slot + SPREAD] += deviation * (gap - state[subject, gap_slot + MEAN])
        state[subject, gap_slot + LONGEST] = max(state[subject, gap_slot + LONGEST], gap)
    else:
        seen[subject, NEWEST_AGE] = age
    seen[subject, COUNT] += 1
    seen[subject, OLDEST_AGE] = age


@jit_inline
def _finish_gaps(state: np.ndarray, seen: np.ndarray, subject: int, gap_slot: int) -> None:
    """Turn what was gathered of a subject's gaps into its statistics, in days."""
    if seen[subject, COUNT] < 2:
        for slot in range(gap_slot, gap_slot + 4):
            state[subject, slot] = np.nan
    else:
        gaps = seen[subject, COUNT] - 1
        mean = (seen[subject, OLDEST_AGE] - seen[subject, NEWEST_AGE]) / gaps
        variance = state[subject, gap_slot + SPREAD] / gaps
        state[subject, gap_slot + MEAN] = mean / US_PER_DAY
        state[subject, gap_slot + SPREAD] = np.sqrt(variance) / US_PER_DAY
        state[subject, gap_slot + LONGEST] /= US_PER_DAY
        silence = seen[subject, NEWEST_AGE] / mean if mean > 0 else np.nan
        state[subject, gap_slot + SILENCE] = silence
