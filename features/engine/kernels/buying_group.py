"""Kernel of the buying group: which roles an account has, which are engaged, and who does most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from features.definitions.feature import Feature
from features.definitions.vocabulary import Vocabulary
from features.engine.kernels.kernel_plan import list_window_edges
from features.engine.kernels.walk import AsOfLookups, EventHistory, VisibleEvents, walk_back
from features.tools.jit import jit_kernel

AGGREGATES = ("role_known", "role_people", "engaged_people", "top_share")
KNOWN, PEOPLE, ENGAGED, TOP = range(4)


class GroupOutputs(NamedTuple):
    """One element per requested feature.

    Attributes:
        aggregate: position in AGGREGATES.
        role: code of the role; it has no meaning where people of all roles count.
        window: position among the window edges; of ``role_known`` it has no meaning.
        column: the column of the output.
    """

    aggregate: np.ndarray
    role: np.ndarray
    window: np.ndarray
    column: np.ndarray


class Members(NamedTuple):
    """One element per member of the shard, ordered by account; instants are microseconds.

    Attributes:
        known_at: when the member's lead row became known; it is in the account from then on.
        ends: when the member became another one by a merge, NEVER_US if it did not.
        role: code of the member's role, -1 for none.
    """

    known_at: np.ndarray
    ends: np.ndarray
    role: np.ndarray


class GroupState(NamedTuple):
    """What one row counts.

    Attributes:
        acts: (members, windows) events of each member by their narrowest window.
        people: (roles, windows + 1) engaged people by window; the last column is known people.
        engaged: (windows,) engaged people of any role or none.
        most: (windows,) events of the most engaged person.
        total: (windows,) events of all.
    """

    acts: np.ndarray
    people: np.ndarray
    engaged: np.ndarray
    most: np.ndarray
    total: np.ndarray


@dataclass(frozen=True)
class GroupPlan:
    """What ``compute_buying_group`` computes, and into which columns.

    Attributes:
        outputs: the requested features.
        window_edges: lengths of the windows in microseconds, ascending, the last one all of
            history.
        outbound: codes of the event types that are touches of ours, which engage nobody.
        roles: number of roles.
    """

    outputs: GroupOutputs
    window_edges: np.ndarray
    outbound: np.ndarray
    roles: int

    @classmethod
    def from_features(
        cls, vocabulary: Vocabulary, requested: Sequence[tuple[int, Feature]]
    ) -> Self | None:
        """Plan the features of AGGREGATES, each with its column; None if there are none."""
        own = [(column, f) for column, f in requested if f.aggregate in AGGREGATES]
        if not own:
            return None
        spans = vocabulary.spans
        columns = (
            [AGGREGATES.index(feature.aggregate) for _, feature in own],
            [feature.index for _, feature in own],
            [spans.index(feature.span) for _, feature in own],
            [column for column, _ in own],
        )
        codes = [vocabulary.types.index(name) for name in vocabulary.outbound]
        return cls(
            GroupOutputs(*(np.array(values, np.int64) for values in columns)),
            list_window_edges(spans),
            np.array(codes, np.int8),
            len(vocabulary.roles),
        )

    def new_state(self, members: int) -> GroupState:
        """Return the state that is filled for each row."""
        windows = len(self.window_edges)
        shapes = ((members, windows), (self.roles, windows + 1), windows, windows, windows)
        return GroupState(*(np.zeros(shape, np.int64) for shape in shapes))


def compute_buying_group(
    history: EventHistory,
    lookups: AsOfLookups,
    account: np.ndarray,
    members: Members,
    member_account: np.ndarray,
    plan: GroupPlan,
    out: np.ndarray,
) -> None:
    """Write the features of each row's account into ``out[column, row]``.

    ``history`` and ``lookups`` are those of accounts; ``account`` is the account of each row and
    ``member_account``, ascending, that of each member. A member counts if its lead row was known
    before the cutoff; it is engaged in a window that holds an event of it, no touch of ours.
    """
    engaging = ~np.isin(history.kind, plan.outbound)
    starts = np.searchsorted(member_account, [account, account + 1])
    _compute_buying_group(
        history,
        lookups,
        lookups.new_buffer(),
        engaging,
        starts,
        members,
        plan.window_edges,
        plan.new_state(len(members.role)),
        plan.outputs,
        out,
    )


@jit_kernel
def _compute_buying_group(
    history: EventHistory,
    lookups: AsOfLookups,
    visible: VisibleEvents,
    engaging: np.ndarray,
    starts: np.ndarray,
    members: Members,
    window_edges: np.ndarray,
    state: GroupState,
    outputs: GroupOutputs,
    out: np.ndarray,
) -> None:
    for row in range(len(lookups.cutoff)):
        first, end = starts[0, row], starts[1, row]
        state.acts[first:end] = 0
        for index in range(walk_back(history, lookups, row, window_edges, visible)):
            if engaging[visible.event[index]]:
                state.acts[history.member[visible.event[index]], visible.window[index]] += 1
        _sum_members(members, first, end, lookups.cutoff[row], state)
        _write_group(state, outputs, out, lookups.output_row[row])


@jit_kernel
def _sum_members(members: Members, first: int, end: int, cutoff: int, state: GroupState) -> None:
    """Add up what the members of one account did in each window, and which roles they have."""
    windows = len(state.total)
    state.people[:] = 0
    state.engaged[:] = 0
    state.most[:] = 0
    state.total[:] = 0
    for member in range(first, end):
        role, done = members.role[member], 0
        if role >= 0 and members.known_at[member] < cutoff <= members.ends[member]:
            state.people[role, windows] += 1
        for window in range(windows):
            done += state.acts[member, window]
            state.most[window] = max(state.most[window], done)
            state.total[window] += done
            if done > 0:
                state.engaged[window] += 1
                if role >= 0:
                    state.people[role, window] += 1


@jit_kernel
def _write_group(
    state: GroupState, outputs: GroupOutputs, out: np.ndarray, output_row: int
) -> None:
    known = len(state.total)
    for index in range(len(outputs.column)):
        window, aggregate = outputs.window[index], outputs.aggregate[index]
        if aggregate == KNOWN:
            value = float(state.people[outputs.role[index], known])
        elif aggregate == PEOPLE:
            value = float(state.people[outputs.role[index], window])
        elif aggregate == ENGAGED:
            value = float(state.engaged[window])
        else:
            total = state.total[window]
            value = state.most[window] / total if total > 0 else np.nan
        out[outputs.column[index], output_row] = value
