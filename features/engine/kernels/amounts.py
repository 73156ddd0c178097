"""Kernel of amounts: exact sums, means, minima and maxima of the values that events carry."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from features.engine.kernels.exact_sums import exact_sum, two_sum
from features.engine.kernels.kernel_plan import KernelPlan, Outputs
from features.engine.kernels.walk import (
    AsOfLookups,
    EventHistory,
    VisibleEvents,
    is_visible,
    walk_back,
    write_outputs,
)
from features.tools.jit import jit_inline, jit_kernel

AGGREGATES = ("total", "mean", "least", "most")

# Columns of what is gathered for each subject and window: the rounded sum, what rounding left out,
# the number of values, how often the remainder itself was rounded, and the extremes.
SUM, REMAINDER, COUNT, INEXACT, MIN, MAX = range(6)


class AmountSlots(NamedTuple):
    """Where the slots of each aggregate begin, -1 if it is not requested."""

    total: int
    mean: int
    least: int
    most: int


def compute_amounts(
    history: EventHistory, lookups: AsOfLookups, plan: KernelPlan, out: np.ndarray
) -> None:
    """Write sums, means, minima and maxima of values into ``out[column, row]`` as ``plan`` says.

    An event without a value (NaN) is ignored. A sum is carried as two floats, the rounded sum and
    the remainder, so that it is rounded once (Ogita, Rump & Oishi 2005, "Accurate sum and dot
    product"). Where two floats cannot hold it, which is detected, ``exact_sum`` adds the values up
    again. So sums are exact and depend neither on the order of the events nor on the windows.
    """
    subjects = plan.find_subjects(history.kind, history.channel)
    mask = ~np.isnan(history.value) & (subjects >= 0).any(axis=1)
    lookups = lookups.within(mask)
    _compute_amounts(
        history.take(mask),
        subjects[mask],
        lookups,
        lookups.new_buffer(),
        plan.window_edges,
        AmountSlots(*(plan.slot(aggregate) for aggregate in AGGREGATES)),
        plan.outputs,
        plan.new_state(),
        out,
    )


@jit_kernel
def _compute_amounts(
    history: EventHistory,
    subjects: np.ndarray,
    lookups: AsOfLookups,
    visible: VisibleEvents,
    window_edges: np.ndarray,
    slots: AmountSlots,
    outputs: Outputs,
    state: np.ndarray,
    out: np.ndarray,
) -> None:
    sums = np.zeros((len(state), len(window_edges), 6))
    for row in range(len(lookups.cutoff)):
        sums[:] = 0.0
        for index in range(walk_back(history, lookups, row, window_edges, visible)):
            event, window = visible.event[index], visible.window[index]
            for route in range(subjects.shape[1]):
                if subjects[event, route] >= 0:
                    _add_value(sums, subjects[event, route], window, history.value[event])
        for subject in range(len(state)):
            _accumulate_windows(sums, subject)
            if sums[subject, len(window_edges) - 1, INEXACT]:
                _sum_again(history, subjects, lookups, row, window_edges, subject, sums[subject])
            _finish_subject(sums, state, subject, slots)
        write_outputs(state, outputs, out, lookups.output_row[row])


@jit_inline
def _add_value(sums: np.ndarray, subject: int, window: int, value: float) -> None:
    """Add a value to the sum, count and extremes of its narrowest window."""
    # Indexed in full: a slice of the array would be an object of its own, made at every event.
    s, w = subject, window
    sums[s, w, SUM], left = two_sum(sums[s, w, SUM], value)
    sums[s, w, REMAINDER], lost = two_sum(sums[s, w, REMAINDER], left)
    sums[s, w, INEXACT] += lost != 0.0  # true after an infinity or an overflow: NaN is not 0
    sums[s, w, MIN] = min(sums[s, w, MIN], value) if sums[s, w, COUNT] else value
    sums[s, w, MAX] = max(sums[s, w, MAX], value) if sums[s, w, COUNT] else value
    sums[s, w, COUNT] += 1.0


@jit_inline
def _accumulate_windows(sums: np.ndarray, subject: int) -> None:
    """Add to each window what the next narrower one holds."""
    s = subject
    for w in range(1, sums.shape[1]):
        if sums[s, w - 1, COUNT]:
            sums[s, w, SUM], left = two_sum(sums[s, w, SUM], sums[s, w - 1, SUM])
            sums[s, w, REMAINDER], lost = two_sum(sums[s, w, REMAINDER], left)
            sums[s, w, REMAINDER], more = two_sum(sums[s, w, REMAINDER], sums[s, w - 1, REMAINDER])
            sums[s, w, INEXACT] += sums[s, w - 1, INEXACT] + (lost != 0.0) + (more != 0.0)
            least, most = sums[s, w - 1, MIN], sums[s, w - 1, MAX]
            sums[s, w, MIN] = min(sums[s, w, MIN], least) if sums[s, w, COUNT] else least
            sums[s, w, MAX] = max(sums[s, w, MAX], most) if sums[s, w, COUNT] else most
            sums[s, w, COUNT] += sums[s, w - 1, COUNT]


@jit_kernel
def _sum_again(
    history: EventHistory,
    subjects: np.ndarray,
    lookups: AsOfLookups,
    row: int,
    window_edges: np.ndarray,
    subject: int,
    sums: np.ndarray,
) -> None:
    """Replace the sums of one row and subject by exact ones, window by window."""
    cutoff = lookups.cutoff[row]
    for window in range(len(window_edges)):
        values, count = np.empty(int(sums[window, COUNT])), 0
        for event in range(lookups.first[row], lookups.end[row]):
            is_inside = (
                is_visible(history, event, cutoff)
                and cutoff - history.time[event] <= window_edges[window]
            )
            if is_inside and (subjects[event] == subject).any():
                values[count] = history.value[event]
                count += 1
        sums[window, SUM], sums[window, REMAINDER] = exact_sum(values), 0.0


@jit_inline
def _finish_subject(sums: np.ndarray, state: np.ndarray, subject: int, slots: AmountSlots) -> None:
    """Round each sum once, and write the requested aggregates into ``state``."""
    for window in range(sums.shape[1]):
        count = sums[subject, window, COUNT]
        total = sums[subject, window, SUM] + sums[subject, window, REMAINDER]
        state[subject, slots.total + window] = total
        if slots.mean >= 0:
            state[subject, slots.mean + window] = total / count if count else np.nan
        if slots.least >= 0:
            state[subject, slots.least + window] = sums[subject, window, MIN] if count else np.nan
        if slots.most >= 0:
            state[subject, slots.most + window] = sums[subject, window, MAX] if count else np.nan
