"""The kernel of the others at an account: what it did without the entity itself."""

from __future__ import annotations

import numpy as np

from features.engine.kernels.kernel_plan import Plan
from features.engine.kernels.windows import History, Looks, write
from features.tools.instants import US_PER_DAY
from features.tools.jit import jit_inline, jit_kernel

AGGREGATES = ("count", "age", "people")


def together(
    history: History, looks: Looks, plan: Plan
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what ``others`` needs to know of whole accounts, one element a look.

    Counts (looks, subjects, windows); people (looks, windows); and (looks, subjects, 3): the age in microseconds of
    the newest event, its member, and the age of the newest event of anyone else, 0 for none.
    """
    shape = (len(looks.cutoff), plan.subjects, len(plan.edges))
    counts, people = np.zeros(shape), np.zeros((shape[0], shape[2]))
    newest = np.zeros((*shape[:2], 3), np.int64)
    _together(
        (
            history.time,
            history.available,
            history.member,
            plan.subjects_of(history.kind, history.channel),
        ),
        (looks.first, looks.end, looks.cutoff),
        plan.edges,
        np.full(int(history.member.max(initial=-1)) + 1, -1),
        (counts, people, newest),
    )
    np.cumsum(counts, axis=2, out=counts)
    np.cumsum(people, axis=1, out=people)
    return counts, people, newest


@jit_kernel
def _together(
    events: tuple, rows: tuple, edges: np.ndarray, seen: np.ndarray, found: tuple
) -> None:
    time, available, member, subjects = events
    firsts, ends, cutoffs = rows
    counts, people, newest = found
    for row in range(len(cutoffs)):
        cutoff, window = cutoffs[row], 0
        for event in range(ends[row] - 1, firsts[row] - 1, -1):
            if available[event] >= cutoff:
                continue
            back = cutoff - time[event]
            while back > edges[window]:
                window += 1
            who = member[event]
            if seen[who] != row:
                seen[who] = row
                people[row, window] += 1
            for part in range(subjects.shape[1]):
                subject = subjects[event, part]
                if subject >= 0:
                    counts[row, subject, window] += 1
                    last = newest[row, subject]
                    if last[0] == 0:
                        last[0], last[1] = back, who
                    elif last[2] == 0 and last[1] != who:
                        last[2] = back


def others(
    history: History,
    looks: Looks,
    who: tuple[np.ndarray, np.ndarray],
    back: np.ndarray,
    whole: tuple[np.ndarray, np.ndarray, np.ndarray],
    plan: Plan,
    out: np.ndarray,
) -> None:
    """Take each row's own events from what its account did together, and write the rest as ``plan`` says.

    ``history`` and ``looks`` are the entities' own, ``who`` each row's member and when its lead row became known
    (before that it is no part of the account), ``back`` the row's look in ``whole``. Counts of whole events lose
    nothing when they are subtracted; ages come from the newest event of anyone else.
    """
    _others(
        (history.time, history.available, plan.subjects_of(history.kind, history.channel)),
        (*looks.rows, *who, back),
        plan.edges,
        whole,
        (plan.slot("people"), plan.slot("age")),
        plan.wanted,
        plan.state(),
        out,
    )


@jit_kernel
def _others(
    events: tuple,
    rows: tuple,
    edges: np.ndarray,
    whole: tuple,
    slots: tuple,
    wanted: tuple,
    state: np.ndarray,
    out: np.ndarray,
) -> None:
    time, available, subjects = events
    firsts, ends, cutoffs, places, members, joined, looked = rows
    counts, persons, newest = whole
    people, age = slots
    spans = len(edges)
    for row in range(len(cutoffs)):
        cutoff, window, look, mine = cutoffs[row], 0, looked[row], spans
        own = state[:, :spans]
        own[:] = 0.0
        first = firsts[row] if joined[row] < cutoff else ends[row]
        for event in range(ends[row] - 1, first - 1, -1):
            if available[event] >= cutoff:
                continue
            back = cutoff - time[event]
            while back > edges[window]:
                window += 1
            mine = min(mine, window)
            for part in range(subjects.shape[1]):
                if subjects[event, part] >= 0:
                    own[subjects[event, part], window] += 1.0
        for subject in range(len(state)):
            _rest(own[subject], counts[look, subject])
            last = newest[look, subject]
            days = last[0] if last[1] != members[row] else last[2]
            state[subject, age] = days / US_PER_DAY if days > 0 else np.nan
            if people >= 0:
                for span in range(spans):
                    state[subject, people + span] = persons[look, span] - (mine <= span)
        write(state, wanted, out, places[row])


@jit_inline
def _rest(own: np.ndarray, whole: np.ndarray) -> None:
    """Add the own events' nested windows up and take them from the account's."""
    mine = 0.0
    for span in range(len(own)):
        mine += own[span]
        own[span] = whole[span] - mine
