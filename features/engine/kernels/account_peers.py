"""Kernel of account peers: what an account did apart from the entity itself.

The account is summarised once per (account, cutoff); each entity's own events are subtracted.
"""

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

AGGREGATES = ("count", "age", "people")

# Columns of AccountSummary.newest.
AGE, MEMBER, OTHER_AGE = range(3)


class AccountSummary(NamedTuple):
    """What whole accounts did, one element per account lookup.

    Attributes:
        counts: (lookups, subjects, windows) events.
        people: (lookups, windows) members with an event.
        newest: (lookups, subjects, 3) the age of the newest event in microseconds, its member, and
            the age of the newest event of any other member; ages are 0 for none.
    """

    counts: np.ndarray
    people: np.ndarray
    newest: np.ndarray


class PeerRows(NamedTuple):
    """One element per row of an entity.

    Attributes:
        member: the entity.
        known_at: when its lead row became known; before that it is no part of the account.
        account_lookup: position in the AccountSummary.
    """

    member: np.ndarray
    known_at: np.ndarray
    account_lookup: np.ndarray


class PeerSlots(NamedTuple):
    """Where the slots of each aggregate begin, -1 if it is not requested; counts begin at 0."""

    age: int
    people: int


def summarize_accounts(
    history: EventHistory, lookups: AsOfLookups, plan: KernelPlan
) -> AccountSummary:
    """Return what ``compute_account_peers`` subtracts from: the events of whole accounts."""
    shape = (len(lookups.cutoff), plan.subjects, len(plan.window_edges))
    summary = AccountSummary(
        np.zeros(shape), np.zeros((shape[0], shape[2])), np.zeros((*shape[:2], 3), np.int64)
    )
    _summarize_accounts(
        history,
        plan.find_subjects(history.kind, history.channel),
        lookups,
        lookups.new_buffer(),
        plan.window_edges,
        np.full(int(history.member.max(initial=-1)) + 1, -1),
        summary,
    )
    # The kernel counts each event in its narrowest window only; every wider one contains it too.
    np.cumsum(summary.counts, axis=2, out=summary.counts)
    np.cumsum(summary.people, axis=1, out=summary.people)
    return summary


@jit_kernel
def _summarize_accounts(
    history: EventHistory,
    subjects: np.ndarray,
    lookups: AsOfLookups,
    visible: VisibleEvents,
    window_edges: np.ndarray,
    seen_row: np.ndarray,
    summary: AccountSummary,
) -> None:
    for row in range(len(lookups.cutoff)):
        for index in range(walk_back(history, lookups, row, window_edges, visible)):
            event, age, window = visible.event[index], visible.age[index], visible.window[index]
            member = history.member[event]
            if seen_row[member] != row:
                seen_row[member] = row
                summary.people[row, window] += 1
            for route in range(subjects.shape[1]):
                subject = subjects[event, route]
                if subject >= 0:
                    summary.counts[row, subject, window] += 1
                    newest = summary.newest[row, subject]
                    # Events come newest first, so the first of a member is its newest. They are at
                    # least a microsecond old, so that 0 stands for none yet.
                    if newest[AGE] == 0:
                        newest[AGE], newest[MEMBER] = age, member
                    elif newest[OTHER_AGE] == 0 and newest[MEMBER] != member:
                        newest[OTHER_AGE] = age


def compute_account_peers(
    history: EventHistory,
    lookups: AsOfLookups,
    rows: PeerRows,
    summary: AccountSummary,
    plan: KernelPlan,
    out: np.ndarray,
) -> None:
    """Subtract each row's own events from its account's; write into ``out[column, row]``.

    ``history`` and ``lookups`` are those of the entities. Counts are whole numbers, so nothing is
    lost by subtracting; an age is that of the newest event of any other member.
    """
    _compute_account_peers(
        history,
        plan.find_subjects(history.kind, history.channel),
        lookups,
        lookups.new_buffer(),
        plan.window_edges,
        rows,
        summary,
        PeerSlots(plan.slot("age"), plan.slot("people")),
        plan.outputs,
        plan.new_state(),
        out,
    )


@jit_kernel
def _compute_account_peers(
    history: EventHistory,
    subjects: np.ndarray,
    lookups: AsOfLookups,
    visible: VisibleEvents,
    window_edges: np.ndarray,
    rows: PeerRows,
    summary: AccountSummary,
    slots: PeerSlots,
    outputs: Outputs,
    state: np.ndarray,
    out: np.ndarray,
) -> None:
    windows = len(window_edges)
    own = state[:, :windows]
    for row in range(len(lookups.cutoff)):
        account, own_first_window, count = rows.account_lookup[row], windows, 0
        own[:] = 0.0
        # Until its lead row is known, the account's summary does not contain the entity's events.
        if rows.known_at[row] < lookups.cutoff[row]:
            count = walk_back(history, lookups, row, window_edges, visible)
        for index in range(count):
            event, window = visible.event[index], visible.window[index]
            own_first_window = min(own_first_window, window)
            for route in range(subjects.shape[1]):
                if subjects[event, route] >= 0:
                    own[subjects[event, route], window] += 1.0
        for subject in range(len(state)):
            _subtract_own(own[subject], summary.counts[account, subject])
            newest = summary.newest[account, subject]
            age = newest[AGE] if newest[MEMBER] != rows.member[row] else newest[OTHER_AGE]
            # Needs no check as people does: slots of aggregates computed once always exist.
            state[subject, slots.age] = age / US_PER_DAY if age > 0 else np.nan
            if slots.people >= 0:
                for window in range(windows):
                    state[subject, slots.people + window] = summary.people[account, window] - (
                        own_first_window <= window
                    )
        write_outputs(state, outputs, out, lookups.output_row[row])


@jit_inline
def _subtract_own(own: np.ndarray, account: np.ndarray) -> None:
    """Accumulate the nested windows of the own events and subtract them from the account's."""
    total = 0.0
    for window in range(len(own)):
        total += own[window]
        own[window] = account[window] - total
