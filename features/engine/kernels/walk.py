"""Events of one shard, the lookups into them, and the walk back from a cutoff that kernels share.

Each row walks the events of its own group from the newest before the cutoff to the oldest and
aggregates them afresh. No state is carried from row to row: a late event needs no bookkeeping,
nothing drifts, and a row alone and a row among millions agree to the bit. The cost is proportional
to the events behind each row, which for leads is less than the features that come out.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np

from features.engine.kernels.kernel_plan import Outputs
from features.tools.binary_search import find_lower_bounds
from features.tools.jit import jit_inline

# ``until`` of a history in which no event ends.
NO_ENDS = np.empty(0, np.int64)


class EventHistory(NamedTuple):
    """Events of one shard, ordered by (group, time) and at ties by all other columns.

    Attributes:
        group: the entity or the account whose history is read.
        member: the entity that acted.
        time: when the event happened, int64 microseconds since 1970.
        available: when the event became known, int64 microseconds since 1970.
        kind: code of the event type, -1 for one that the catalogue does not have.
        channel: code of the channel, -1 for one that the catalogue does not have.
        value: the amount that the event carries, NaN where there is none.
        until: the last cutoff that sees the event, int64 microseconds since 1970; NO_ENDS where
            none ends.
    """

    group: np.ndarray
    member: np.ndarray
    time: np.ndarray
    available: np.ndarray
    kind: np.ndarray
    channel: np.ndarray
    value: np.ndarray
    until: np.ndarray

    def take(self, selection: np.ndarray) -> Self:
        """Return the selected events: a mask, or their positions in the order to return."""
        positions = np.flatnonzero(selection) if selection.dtype == bool else selection
        # NO_ENDS has no element to take.
        return type(self)(*(part.take(positions) if len(part) else part for part in self))


class AsOfLookups(NamedTuple):
    """Rows of one shard, each with the range of its group's events that happened before its cutoff.

    An event in that range is visible to the row if it also became available before the cutoff.

    Attributes:
        first: position of the group's first event.
        end: position behind the last event before the cutoff.
        cutoff: int64 microseconds since 1970.
        output_row: the row of the output that is computed.
    """

    first: np.ndarray
    end: np.ndarray
    cutoff: np.ndarray
    output_row: np.ndarray

    @classmethod
    def find(
        cls, history: EventHistory, group: np.ndarray, cutoff: np.ndarray, output_row: np.ndarray
    ) -> Self:
        """Find the range of events behind each (group, cutoff)."""
        # A row's group may have no event and lie behind all that have one.
        last = int(max(history.group.max(initial=-1), group.max(initial=-1)))
        starts = np.searchsorted(history.group, np.arange(last + 2))
        ends = find_lower_bounds(history.time, starts[group], starts[group + 1], cutoff)
        return cls(starts[group], ends, cutoff, output_row)

    def within(self, mask: np.ndarray) -> Self:
        """Return the same rows as lookups into those events alone that ``mask`` keeps."""
        # Kernels that use few of the events walk over these alone, not over all of them.
        kept_before = np.append(0, np.cumsum(mask))
        return self._replace(first=kept_before[self.first], end=kept_before[self.end])

    def new_buffer(self) -> VisibleEvents:
        """Return a buffer large enough for the visible events of every row."""
        size = int((self.end - self.first).max(initial=0))
        return VisibleEvents(*(np.empty(size, np.int64) for _ in VisibleEvents._fields))


class VisibleEvents(NamedTuple):
    """Buffer for the events that one row sees, newest first.

    Attributes:
        event: position in the history.
        age: microseconds from the event to the cutoff, at least 1.
        window: the narrowest window that holds the event.
    """

    event: np.ndarray
    age: np.ndarray
    window: np.ndarray


@jit_inline
def is_visible(history: EventHistory, event: int, cutoff: int) -> bool:
    """Return whether an event was known before a cutoff, and still counts for its group there."""
    return history.available[event] < cutoff and (
        len(history.until) == 0 or cutoff <= history.until[event]
    )


@jit_inline
def walk_back(
    history: EventHistory,
    lookups: AsOfLookups,
    row: int,
    window_edges: np.ndarray,
    visible: VisibleEvents,
) -> int:
    """Write the events that a row sees into ``visible``, newest first; return their number."""
    cutoff, window, count = lookups.cutoff[row], 0, 0
    # Newest first: kernels rely on it for the newest and oldest events. Ages then only rise, so the
    # window never starts over; its last edge is later than every age.
    for event in range(lookups.end[row] - 1, lookups.first[row] - 1, -1):
        if is_visible(history, event, cutoff):
            age = cutoff - history.time[event]
            while age > window_edges[window]:
                window += 1
            visible.event[count] = event
            visible.age[count] = age
            visible.window[count] = window
            count += 1
    return count


@jit_inline
def write_outputs(state: np.ndarray, outputs: Outputs, out: np.ndarray, output_row: int) -> None:
    """Copy the requested elements of a row's ``state`` (subjects, slots) to their columns."""
    flat = state.reshape(-1)
    for index in range(len(outputs.column)):
        out[outputs.column[index], output_row] = flat[outputs.state_index[index]]
