"""The kernel of fading counts and amounts: what happened weighs less the longer ago it is."""

from __future__ import annotations

import numpy as np

from features.engine.kernels.kernel_plan import Plan
from features.engine.kernels.windows import History, Looks, write
from features.tools.jit import jit_inline, jit_kernel

AGGREGATES = ("decay", "decay_total")

SMALLEST = 1100
"""2 to the power of minus this is 0 as a float."""


def fade(history: History, looks: Looks, plan: Plan, out: np.ndarray) -> None:
    """Write fading counts and fading sums of values into ``out[column, place]`` as ``plan`` says.

    An event of age a weighs ``2 ** (-a / h)`` for the half-life h. With both instants cut into whole half-lives since
    1970 and a rest, that is a power of two, times a factor of the event, times a factor of the row: the costly powers
    are taken once an event and once a row instead of once a pair.
    """
    whole, factor = _halved(history.time, plan.half_lives)
    row_whole, row_factor = _halved(looks.cutoff, plan.half_lives)
    _fade(
        (
            history.available,
            history.value,
            plan.subjects_of(history.kind, history.channel),
            whole,
            factor,
        ),
        (*looks.rows, row_whole, 1.0 / row_factor),
        0.5 ** np.arange(SMALLEST + 1.0),
        plan.slot("decay_total"),
        plan.wanted,
        plan.state(),
        out,
    )


def _halved(instant: np.ndarray, half_lives: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (instants, half-lives) whole half-lives since 1970, and 2 to the power of the rest, in [1, 2)."""
    whole, share = (
        np.empty((len(instant), len(half_lives)), np.int64),
        np.empty((len(instant), len(half_lives))),
    )
    _cut(instant, half_lives, whole, share)
    return whole, np.exp2(share)


@jit_kernel
def _cut(instant: np.ndarray, half_lives: np.ndarray, whole: np.ndarray, share: np.ndarray) -> None:
    """Divide by each half-life into a whole number and a share of one.

    A product with the inverse is off by one or two (it is rounded, and a negative one is cut towards 0), which is put
    right: a division of integers takes five times as long.
    """
    for k in range(len(half_lives)):
        length = half_lives[k]
        inverse = 1.0 / length
        for place in range(len(instant)):
            lives = np.int64(instant[place] * inverse)
            rest = instant[place] - lives * length
            while rest < 0:
                lives, rest = lives - 1, rest + length
            while rest >= length:
                lives, rest = lives + 1, rest - length
            whole[place, k], share[place, k] = lives, rest / length


@jit_kernel
def _fade(
    events: tuple,
    rows: tuple,
    halves: np.ndarray,
    total: int,
    wanted: tuple,
    state: np.ndarray,
    out: np.ndarray,
) -> None:
    available, value, subjects, whole, factor = events
    firsts, ends, cutoffs, places, row_whole, row_factor = rows
    lives = whole.shape[1]
    weight = np.empty(lives)
    for row in range(len(cutoffs)):
        state[:] = 0.0
        for event in range(ends[row] - 1, firsts[row] - 1, -1):
            if available[event] >= cutoffs[row]:
                continue
            for k in range(lives):
                weight[k] = (
                    factor[event, k] * halves[min(row_whole[row, k] - whole[event, k], SMALLEST)]
                )
            for part in range(subjects.shape[1]):
                if subjects[event, part] >= 0:
                    _add(state, subjects[event, part], weight, total, value[event])
        for subject in range(len(state)):
            for k in range(state.shape[1]):
                state[subject, k] *= row_factor[row, k % lives]
        write(state, wanted, out, places[row])


@jit_inline
def _add(state: np.ndarray, of: int, weight: np.ndarray, total: int, value: float) -> None:
    for k in range(len(weight)):
        state[of, k] += weight[k]
    if total >= 0 and not np.isnan(value):
        for k in range(len(weight)):
            state[of, total + k] += weight[k] * value
