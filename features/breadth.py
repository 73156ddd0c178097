"""The kernel of breadth: how many kinds, channels, people and roles took part."""

from __future__ import annotations

import numpy as np

from features.jit import inlined, kernel
from features.plan import Plan
from features.windows import History, Looks, write

AGGREGATES = ("kinds", "ways", "people", "new_people", "roles")


def breadth(history: History, looks: Looks, plan: Plan, out: np.ndarray, role: np.ndarray | None = None) -> None:
    """Write how many different ones there are into ``out[column, place]`` as ``plan`` says.

    Only kinds and channels with a code count, at most 64, as bits of a word. ``role`` is the code of each member's
    role, -1 for none. A person is new in the windows that hold the first event ever seen of them in the group.
    """
    members = int(history.member.max(initial=-1)) + 1
    people = any(plan.slot(aggregate) >= 0 for aggregate in AGGREGATES[2:])
    _breadth(
        (history.time, history.available, history.kind, history.channel, history.member),
        plan.subjects_of(history.kind, history.channel),
        (looks.first, looks.end, looks.cutoff, looks.place),
        plan.edges,
        (np.full(members, -1) if role is None else role, np.full(members, -1), np.empty(members, np.int64)),
        (tuple(plan.slot(aggregate) for aggregate in AGGREGATES), people),
        (plan.figure, plan.column),
        np.zeros((plan.subjects, plan.slots)),
        out,
    )


@kernel
def _breadth(
    events: tuple,
    subjects: np.ndarray,
    rows: tuple,
    edges: np.ndarray,
    persons: tuple,
    asked: tuple,
    wanted: tuple,
    state: np.ndarray,
    out: np.ndarray,
) -> None:
    time, available, kind, channel, member = events
    firsts, ends, cutoffs, places = rows
    role, seen, oldest = persons
    slots, people = asked
    met = np.empty(len(seen), np.int64)
    bits = np.zeros((len(state), len(edges), 3), np.int64)
    counts = np.zeros((len(edges), 2), np.int64)
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
                    _mark(bits[subjects[event, part], window], kind[event], channel[event], role[who])
            if people:
                if seen[who] != row:
                    seen[who] = row
                    met[known] = who
                    known += 1
                    counts[window, 0] += 1
                oldest[who] = window
        for index in range(known):
            counts[oldest[met[index]], 1] += 1
        _finish(state, bits, counts, slots)
        write(state, wanted, out, places[row])


@inlined
def _mark(bits: np.ndarray, kind: int, channel: int, role: int) -> None:
    if kind >= 0:
        bits[0] |= np.int64(1) << kind
    if channel >= 0:
        bits[1] |= np.int64(1) << channel
    if role >= 0:
        bits[2] |= np.int64(1) << role


@kernel
def _finish(state: np.ndarray, bits: np.ndarray, counts: np.ndarray, slots: tuple) -> None:
    """Add the nested windows up and count the bits."""
    kinds, ways, people, new_people, roles = slots
    for window in range(len(counts)):
        if window:
            bits[:, window] |= bits[:, window - 1]
            counts[window] += counts[window - 1]
        for subject in range(len(state)):
            if kinds >= 0:
                state[subject, kinds + window] = _ones(bits[subject, window, 0])
            if ways >= 0:
                state[subject, ways + window] = _ones(bits[subject, window, 1])
            if roles >= 0:
                state[subject, roles + window] = _ones(bits[subject, window, 2])
            if people >= 0:
                state[subject, people + window] = counts[window, 0]
            if new_people >= 0:
                state[subject, new_people + window] = counts[window, 1]


@kernel
def _ones(word: int) -> int:
    """Count the bits of a word by removing the lowest (Wegner 1960)."""
    found = 0
    while word:
        word &= word - 1
        found += 1
    return found
