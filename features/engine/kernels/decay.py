"""Kernel of decaying counts and amounts: an event weighs less the older it is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from features.engine.kernels.kernel_plan import KernelPlan, Outputs
from features.engine.kernels.walk import AsOfLookups, EventHistory, is_visible, write_outputs
from features.tools.jit import jit_inline, jit_kernel

AGGREGATES = ("decay", "decay_total")

# 2 ** -1100 is 0 as a float: the smallest positive one is 2 ** -1074.
MAX_HALVINGS = 1100


class HalfLifeParts(NamedTuple):
    """Instants in half-lives since 1970, (instants, half-lives).

    Attributes:
        whole: the whole half-lives, int64.
        factor: 2 to the power of the remaining share of one: in [1, 2) for events, and the inverse
            of that for rows.
    """

    whole: np.ndarray
    factor: np.ndarray


def compute_decay(
    history: EventHistory, lookups: AsOfLookups, plan: KernelPlan, out: np.ndarray
) -> None:
    """Write decayed counts and decayed sums of values into ``out[column, row]`` as ``plan`` says.

    An event of age a weighs ``2 ** (-a / h)`` for the half-life h. With both instants split into
    whole half-lives since 1970 and a remainder, that is a power of two, times a factor of the
    event, times a factor of the row: the costly powers are computed once an event and once a row
    instead of once a pair.
    """
    rows = _split_half_lives(lookups.cutoff, plan.half_lives)
    _compute_decay(
        history,
        plan.find_subjects(history.kind, history.channel),
        _split_half_lives(history.time, plan.half_lives),
        lookups,
        HalfLifeParts(rows.whole, 1.0 / rows.factor),
        0.5 ** np.arange(MAX_HALVINGS + 1.0),
        plan.slot("decay_total"),
        plan.outputs,
        plan.new_state(),
        out,
    )


def _split_half_lives(instant: np.ndarray, half_lives: np.ndarray) -> HalfLifeParts:
    """Return the instants in half-lives since 1970, with factors in [1, 2)."""
    shape = (len(instant), len(half_lives))
    whole, share = np.empty(shape, np.int64), np.empty(shape)
    _divide_by_half_lives(instant, half_lives, whole, share)
    return HalfLifeParts(whole, np.exp2(share))


@jit_kernel
def _divide_by_half_lives(
    instant: np.ndarray, half_lives: np.ndarray, whole: np.ndarray, share: np.ndarray
) -> None:
    """Divide instants by each half-life into a whole number and a share of one.

    A product with the inverse is off by one or two (it is rounded, and a negative one is cut
    towards 0), which is corrected: an integer division takes five times as long.
    """
    for k in range(len(half_lives)):
        length = half_lives[k]
        inverse = 1.0 / length
        for index in range(len(instant)):
            lives = np.int64(instant[index] * inverse)
            rest = instant[index] - lives * length
            while rest < 0:
                lives, rest = lives - 1, rest + length
            while rest >= length:
                lives, rest = lives + 1, rest - length
            whole[index, k], share[index, k] = lives, rest / length


@jit_kernel
def _compute_decay(
    history: EventHistory,
    subjects: np.ndarray,
    event_parts: HalfLifeParts,
    lookups: AsOfLookups,
    row_parts: HalfLifeParts,
    powers: np.ndarray,
    total_slot: int,
    outputs: Outputs,
    state: np.ndarray,
    out: np.ndarray,
) -> None:
    """Add up the weights of each row's events; ``powers`` are 2 ** -n.

    This walk needs no windows, so it does not use ``walk_back``.
    """
    half_lives = row_parts.whole.shape[1]
    weight = np.empty(half_lives)
    for row in range(len(lookups.cutoff)):
        state[:] = 0.0
        # Always in this order: sums of floats depend on it, and a row must agree to the bit.
        for event in range(lookups.end[row] - 1, lookups.first[row] - 1, -1):
            if not is_visible(history, event, lookups.cutoff[row]):
                continue
            for k in range(half_lives):
                halvings = row_parts.whole[row, k] - event_parts.whole[event, k]
                weight[k] = event_parts.factor[event, k] * powers[min(halvings, MAX_HALVINGS)]
            for route in range(subjects.shape[1]):
                if subjects[event, route] >= 0:
                    _add_weights(
                        state, subjects[event, route], weight, total_slot, history.value[event]
                    )
        # The row's factor is common to all its events, so it is applied to their sums. Slots hold
        # the half-lives of the counts, then those of the amounts.
        for subject in range(len(state)):
            for slot in range(state.shape[1]):
                state[subject, slot] *= row_parts.factor[row, slot % half_lives]
        write_outputs(state, outputs, out, lookups.output_row[row])


@jit_inline
def _add_weights(
    state: np.ndarray, subject: int, weight: np.ndarray, total_slot: int, value: float
) -> None:
    for k in range(len(weight)):
        state[subject, k] += weight[k]
    if total_slot >= 0 and not np.isnan(value):
        for k in range(len(weight)):
            state[subject, total_slot + k] += weight[k] * value
