"""Values with an end of their validity, as the changes of the value that is valid.

At a cutoff a row counts if it was known before. Its end is known from the end on, or from when the
row became known if that is later: a warehouse writes the end when it closes the row. Of the rows
that are known and have not ended, the one with the newest start is valid. A row with the same start
that became known later replaces the earlier one for good, also after its own end.
"""

from __future__ import annotations

import heapq

import numpy as np

from features.tools.instants import NEVER_US
from features.tools.jit import jit_kernel


def find_value_changes(
    group: np.ndarray, since: np.ndarray, known: np.ndarray, until: np.ndarray, rank: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the changes of the valid value in each group, one element per change.

    Rows have a group from 0, instants in microseconds (``until`` is NEVER_US for a row without an
    end), and the rank of their value; of rows that tie in all else the greatest rank is valid.
    Return the group of each change, its instant, and the row whose value is valid from then on, -1
    if none is. Groups ascend, and in them the instants.
    """
    order = np.lexsort((rank, known, since, group))
    group, since, known, rank = group[order], since[order], known[order], rank[order]
    ends = np.where(until[order] < NEVER_US, np.maximum(until[order], known), NEVER_US)
    size = int(group.max(initial=-1)) + 1
    begin = np.searchsorted(group, np.arange(size + 1))
    changes = np.empty((2 * len(group), 3), np.int64)
    count = _sweep_groups(begin, since, known, ends, rank, changes)
    rows = changes[:count]
    valid = rows[:, 2] >= 0
    row = np.where(valid, order[np.where(valid, rows[:, 2], 0)] if len(order) else 0, -1)
    return rows[:, 0], rows[:, 1], row


@jit_kernel
def _sweep_groups(
    begin: np.ndarray,
    since: np.ndarray,
    known: np.ndarray,
    ends: np.ndarray,
    rank: np.ndarray,
    changes: np.ndarray,
) -> int:
    """Write group, instant and place of the valid row of each change; return their number."""
    count, dead = 0, np.zeros(len(since), np.bool_)
    for code in range(len(begin) - 1):
        low, high = begin[code], begin[code + 1]
        size = high - low
        instants = np.concatenate((known[low:high], ends[low:high]))
        order = np.argsort(instants, kind="mergesort")
        # The valid row is the last place among those that have arrived and have not ended.
        arrived = [np.int64(0)]
        arrived.pop()
        shown, at = np.int64(-1), 0
        while at < len(order) and instants[order[at]] < NEVER_US:
            now = instants[order[at]]
            while at < len(order) and instants[order[at]] == now:
                place = low + order[at] % size
                if order[at] < size:
                    _replace_earlier(since, known, dead, low, place)
                    heapq.heappush(arrived, -place)
                else:
                    dead[place] = True
                at += 1
            while len(arrived) and dead[-arrived[0]]:
                heapq.heappop(arrived)
            place = -arrived[0] if len(arrived) else np.int64(-1)
            same = place == shown or (place >= 0 and shown >= 0 and rank[place] == rank[shown])
            if not same:
                changes[count, 0], changes[count, 1], changes[count, 2] = code, now, place
                count += 1
            shown = place
    return count


@jit_kernel
def _replace_earlier(
    since: np.ndarray, known: np.ndarray, dead: np.ndarray, low: int, place: int
) -> None:
    """Mark the rows of the same start that became known before a row, which arrives now."""
    before = place - 1
    # The first of several that became known at the same time does it for all of them.
    if before < low or since[before] != since[place] or known[before] == known[place]:
        return
    last = known[before]
    # Rows that became known still earlier were marked when these arrived.
    while before >= low and since[before] == since[place] and known[before] == last:
        dead[before] = True
        before -= 1
