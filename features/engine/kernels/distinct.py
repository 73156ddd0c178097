"""Kernel of breadth: how many distinct event types, channels, people and roles took part."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from features.engine.kernels.kernel_plan import KernelPlan
from features.engine.kernels.walk import AsOfLookups, EventHistory, VisibleEvents, walk_back
from features.tools.jit import jit_inline, jit_kernel

AGGREGATES = ("kinds", "ways", "roles", "people", "new_people")

# Positions in AGGREGATES. The first three are sets of codes, kept as the bits of a word; the other
# two count members of the group.
KINDS, CHANNELS, ROLES, PEOPLE, NEW_PEOPLE = range(5)
BIT_SETS = 3


class DistinctOutputs(NamedTuple):
    """One element per requested feature.

    Attributes:
        subject: the subject whose events are counted.
        aggregate: position in AGGREGATES.
        window: position among the window edges.
        column: the column of the output.
    """

    subject: np.ndarray
    aggregate: np.ndarray
    window: np.ndarray
    column: np.ndarray


class MemberState(NamedTuple):
    """One element per member of the shard.

    Attributes:
        role: code of the member's role, -1 for none.
        seen_row: the last row that saw an event of the member.
        oldest_window: the window of the oldest event of the member that this row saw.
    """

    role: np.ndarray
    seen_row: np.ndarray
    oldest_window: np.ndarray


def compute_distinct(
    history: EventHistory,
    lookups: AsOfLookups,
    plan: KernelPlan,
    out: np.ndarray,
    role: np.ndarray | None = None,
) -> None:
    """Write distinct counts into ``out[column, row]`` as ``plan`` says.

    Event types and channels count if they have a code, at most 64 of each, kept as the bits of a
    word. ``role`` is the code of each member's role, -1 for none. A person is new in the windows
    that hold the first event seen of that person in the group.
    """
    members = int(history.member.max(initial=-1)) + 1
    subject, slot = np.divmod(plan.state_index, plan.slots)
    window = slot - np.array([plan.slot(name) for name in AGGREGATES])[plan.aggregate]
    _compute_distinct(
        history,
        plan.find_subjects(history.kind, history.channel),
        lookups,
        lookups.new_buffer(),
        plan.window_edges,
        MemberState(
            np.full(members, -1) if role is None else role,
            np.full(members, -1),
            np.empty(members, np.int64),
        ),
        bool((plan.aggregate >= PEOPLE).any()),
        DistinctOutputs(subject, plan.aggregate, window, plan.column),
        np.zeros((plan.subjects, len(plan.window_edges), BIT_SETS), np.int64),
        out,
    )


@jit_kernel
def _compute_distinct(
    history: EventHistory,
    subjects: np.ndarray,
    lookups: AsOfLookups,
    visible: VisibleEvents,
    window_edges: np.ndarray,
    members: MemberState,
    counts_people: bool,
    outputs: DistinctOutputs,
    bits: np.ndarray,
    out: np.ndarray,
) -> None:
    met = np.empty(len(members.seen_row), np.int64)
    people = np.zeros((len(window_edges), 2), np.int64)  # all, and new ones
    for row in range(len(lookups.cutoff)):
        met_count = 0
        bits[:] = 0
        people[:] = 0
        for index in range(walk_back(history, lookups, row, window_edges, visible)):
            event, window = visible.event[index], visible.window[index]
            member = history.member[event]
            for route in range(subjects.shape[1]):
                subject = subjects[event, route]
                if subject >= 0:
                    _set_bit(bits, subject, window, KINDS, history.kind[event])
                    _set_bit(bits, subject, window, CHANNELS, history.channel[event])
                    _set_bit(bits, subject, window, ROLES, members.role[member])
            if counts_people:
                if members.seen_row[member] != row:
                    members.seen_row[member] = row
                    met[met_count] = member
                    met_count += 1
                    people[window, 0] += 1
                # Events come newest first, so that the last one written is the oldest.
                members.oldest_window[member] = window
        for index in range(met_count):
            people[members.oldest_window[met[index]], 1] += 1
        _write_distinct(bits, people, outputs, out, lookups.output_row[row])


@jit_inline
def _set_bit(bits: np.ndarray, subject: int, window: int, bit_set: int, code: int) -> None:
    """Add a code to the set of a subject and window; -1 is none."""
    # The catalogue keeps 60 names of a kind (MAX_TYPES), so every code is a bit of an int64.
    if code >= 0:
        bits[subject, window, bit_set] |= np.int64(1) << code


@jit_kernel
def _write_distinct(
    bits: np.ndarray,
    people: np.ndarray,
    outputs: DistinctOutputs,
    out: np.ndarray,
    output_row: int,
) -> None:
    """Accumulate the nested windows, and write the requested counts to their columns."""
    for window in range(1, len(people)):
        people[window, 0] += people[window - 1, 0]
        people[window, 1] += people[window - 1, 1]
        for subject in range(len(bits)):
            for bit_set in range(BIT_SETS):
                bits[subject, window, bit_set] |= bits[subject, window - 1, bit_set]
    for index in range(len(outputs.column)):
        window, aggregate = outputs.window[index], outputs.aggregate[index]
        if aggregate >= PEOPLE:
            count = people[window, aggregate - PEOPLE]
        else:
            count = _count_ones(bits[outputs.subject[index], window, aggregate])
        out[outputs.column[index], output_row] = count


@jit_inline
def _count_ones(word: int) -> int:
    """Count the bits of a word by removing the lowest (Wegner 1960)."""
    count = 0
    while word:
        word &= word - 1
        count += 1
    return count
