"""The kernel of breadth: how many kinds, channels, people and roles took part."""

from __future__ import annotations

import numpy as np

from features.engine.kernels.kernel_plan import Plan
from features.engine.kernels.windows import History, Looks
from features.tools.jit import jit_inline, jit_kernel

AGGREGATES = ("kinds", "ways", "roles", "people", "new_people")
PEOPLE = 3
"""From here on AGGREGATES count members, before it the bits of codes."""


def breadth(
    history: History, looks: Looks, plan: Plan, out: np.ndarray, role: np.ndarray | None = None
) -> None:
    """Write how many different ones there are into ``out[column, place]`` as ``plan`` says.

    Only kinds and channels with a code count, at most 64, as bits of a word. ``role`` is the code of each member's
    role, -1 for none. A person is new in the windows that hold the first event ever seen of them in the group.
    """
    members = int(history.member.max(initial=-1)) + 1
    subject, slot = np.divmod(plan.figure, plan.slots)
    what = plan.aggregate
    window = slot - np.array([plan.slot(name) for name in AGGREGATES])[what]
    _breadth(
        (history.time, history.available, history.kind, history.channel, history.member),
        plan.subjects_of(history.kind, history.channel),
        looks.rows,
        plan.edges,
        (
            np.full(members, -1) if role is None else role,
            np.full(members, -1),
            np.empty(members, np.int64),
        ),
        (subject, what, window, plan.column, bool((what >= PEOPLE).any())),
        np.zeros((plan.subjects, len(plan.edges), PEOPLE), np.int64),
        out,
    )


@jit_kernel
def _breadth(
    events: tuple,
    subjects: np.ndarray,
    rows: tuple,
    edges: np.ndarray,
    persons: tuple,
    wanted: tuple,
    bits: np.ndarray,
    out: np.ndarray,
) -> None:
    time, available, kind, channel, member = events
    firsts, ends, cutoffs, places = rows
    role, seen, oldest = persons
    met, counts = np.empty(len(seen), np.int64), np.zeros((len(edges), 2), np.int64)
    for row in range(len(cutoffs)):
        cutoff, window, known = cutoffs[row], 0, 0
        bits[:] = 0
        counts[:] = 0
        for event in range(ends[row] - 1, firsts[row] - 1, -1):
            if available[event] >= cutoff:
                continue
            back = cutoff - time[event]
            while back > edges[window]:
                window += 1
            who = member[event]
            for part in range(subjects.shape[1]):
                if subjects[event, part] >= 0:
                    _mark(
                        bits, subjects[event, part], window, kind[event], channel[event], role[who]
                    )
            if wanted[4]:
                if seen[who] != row:
                    seen[who] = row
                    met[known] = who
                    known += 1
                    counts[window, 0] += 1
                oldest[who] = window
        for index in range(known):
            counts[oldest[met[index]], 1] += 1
        _write(bits, counts, wanted, out, places[row])


@jit_inline
def _mark(bits: np.ndarray, of: int, window: int, kind: int, channel: int, role: int) -> None:
    """Set the bits of a kind, a channel and a role; -1 is none."""
    if kind >= 0:
        bits[of, window, 0] |= np.int64(1) << kind
    if channel >= 0:
        bits[of, window, 1] |= np.int64(1) << channel
    if role >= 0:
        bits[of, window, 2] |= np.int64(1) << role


@jit_kernel
def _write(
    bits: np.ndarray, counts: np.ndarray, wanted: tuple, out: np.ndarray, place: int
) -> None:
    """Add the nested windows up, and count what is wanted."""
    subject, what, window, column, _ = wanted
    for at in range(1, len(counts)):
        counts[at, 0] += counts[at - 1, 0]
        counts[at, 1] += counts[at - 1, 1]
        for of in range(len(bits)):
            for place_of in range(3):
                bits[of, at, place_of] |= bits[of, at - 1, place_of]
    for index in range(len(column)):
        at = window[index]
        if what[index] >= PEOPLE:
            out[column[index], place] = counts[at, what[index] - PEOPLE]
        else:
            out[column[index], place] = _ones(bits[subject[index], at, what[index]])


@jit_inline
def _ones(word: int) -> int:
    """Count the bits of a word by removing the lowest (Wegner 1960)."""
    found = 0
    while word:
        word &= word - 1
        found += 1
    return found
