"""Kernel of counts, trends, shares and ages per subject and time window."""

from __future__ import annotations

from typing import NamedTuple

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

AGGREGATES = ("count", "trend", "share", "age", "first")


class CountSlots(NamedTuple):
    """Where the slots of each aggregate begin, -1 if it is not requested; counts begin at 0."""

    trend: int
    share: int
    age: int
    first: int


class TrendWindows(NamedTuple):
    """Positions among the window edges of each window and of the window twice as long."""

    single: np.ndarray
    double: np.ndarray


def compute_counts(
    history: EventHistory, lookups: AsOfLookups, plan: KernelPlan, out: np.ndarray
) -> None:
    """Write counts, trends, shares and ages into ``out[column, row]`` as ``plan`` says.

    A window w holds event times in ``[cutoff - w, cutoff)``. Ages are in days, NaN where there is
    no event.
    """
    _compute_counts(
        history,
        plan.find_subjects(history.kind, history.channel),
        lookups,
        lookups.new_buffer(),
        plan.window_edges,
        TrendWindows(plan.near, plan.far),
        CountSlots(*(plan.slot(aggregate) for aggregate in AGGREGATES[1:])),
        plan.outputs,
        plan.new_state(),
        out,
    )


@jit_kernel
def _compute_counts(
    history: EventHistory,
    subjects: np.ndarray,
    lookups: AsOfLookups,
    visible: VisibleEvents,
    window_edges: np.ndarray,
    trends: TrendWindows,
    slots: CountSlots,
    outputs: Outputs,
    state: np.ndarray,
    out: np.ndarray,
) -> None:
    """Count each event in the narrowest window that holds it, then finish each subject.

    All aggregates lie in one array: numba counts references to each further array at every event.
    """
    for row in range(len(lookups.cutoff)):
        state[:] = 0.0
        for index in range(walk_back(history, lookups, row, window_edges, visible)):
            event, age, window = visible.event[index], visible.age[index], visible.window[index]
            for route in range(subjects.shape[1]):
                subject = subjects[event, route]
                if subject >= 0:
                    state[subject, window] += 1.0
                    # An event is at least a microsecond old, so that 0 stands for none yet.
                    if state[subject, slots.age] == 0.0:
                        state[subject, slots.age] = age
                    state[subject, slots.first] = age
        for subject in range(len(state)):
            _finish_subject(state, subject, len(window_edges), trends, slots)
        write_outputs(state, outputs, out, lookups.output_row[row])


@jit_inline
def _finish_subject(
    state: np.ndarray, subject: int, windows: int, trends: TrendWindows, slots: CountSlots
) -> None:
    """Accumulate the nested windows, derive trends and shares, and turn ages into days."""
    for window in range(1, windows):
        state[subject, window] += state[subject, window - 1]
    # A trend is the count of the window less that of the window before: 2 * single - double.
    for index in range(len(trends.single)):
        state[subject, slots.trend + index] = (
            2.0 * state[subject, trends.single[index]] - state[subject, trends.double[index]]
        )
    # Subject 0 is "any" wherever shares are requested; it is finished first.
    if slots.share >= 0:
        for window in range(windows):
            state[subject, slots.share + window] = (
                state[subject, window] / state[0, window] if state[0, window] > 0 else np.nan
            )
    for slot in (slots.age, slots.first):
        age = state[subject, slot]
        state[subject, slot] = age / US_PER_DAY if age > 0 else np.nan
