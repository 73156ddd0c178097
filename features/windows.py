"""The point-in-time kernel: what one shard's history looks like from each cutoff.

A pure function of its arguments, Arrow arrays in and numpy blocks out, that knows nothing of where it runs. Every
row is computed from the events themselves, so a row alone and a row among millions agree to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba as nb
import numpy as np

from features.contracts import US_PER_DAY


@dataclass(frozen=True)
class History:
    """One shard's events, ordered by (group, time, then all other columns), one element an event.

    ``group`` is the entity or the account whose history is looked at, ``member`` the entity that acted. ``kind`` and
    ``channel`` are codes, -1 for one the catalogue does not know. Instants are int64 microseconds since 1970.
    """

    group: np.ndarray
    member: np.ndarray
    time: np.ndarray
    available: np.ndarray
    kind: np.ndarray
    channel: np.ndarray
    value: np.ndarray


@dataclass(frozen=True)
class Blocks:
    """What the kernel saw, one row a spine row. Subjects are: any event, then each event type, then each channel.

    ``count`` and ``total`` are (rows, subjects, windows + 1), the last window being all of history; ``age``
    and ``first`` (rows, subjects) days since the last and the first event, NaN if none; ``decay`` (rows,
    subjects, half-lives); ``active_days`` and ``people`` (rows, windows + 1): 24-hour periods back from the
    cutoff with an event, and distinct members.
    """

    count: np.ndarray
    total: np.ndarray
    age: np.ndarray
    first: np.ndarray
    decay: np.ndarray
    active_days: np.ndarray
    people: np.ndarray


def look_back(
    history: History,
    group: np.ndarray,
    cutoff: np.ndarray,
    subjects: tuple[int, int],
    windows: np.ndarray,
    half_lives: np.ndarray,
) -> Blocks:
    """Look back from each (group, cutoff), seeing events with ``available < cutoff`` only.

    ``subjects`` is (number of event types, number of channels), ``windows`` and ``half_lives`` int64 microseconds,
    windows ascending. A window w holds event times in ``[cutoff - w, cutoff)``. An event of age a adds
    ``2 ** (-a / h)`` to the decayed count of half-life h. Sums run over the events in History's order,
    newest first, each row afresh.
    """
    start = np.searchsorted(history.group, group, "left")
    end = np.searchsorted(history.group, group, "right")
    rows, size, spans = len(group), 1 + sum(subjects), len(windows) + 1
    blocks = Blocks(
        count=np.zeros((rows, size, spans)),
        total=np.zeros((rows, size, spans)),
        age=np.full((rows, size), np.nan),
        first=np.full((rows, size), np.nan),
        decay=np.zeros((rows, size, len(half_lives))),
        active_days=np.zeros((rows, spans)),
        people=np.zeros((rows, spans)),
    )
    edges = np.append(windows, np.iinfo(np.int64).max).astype(np.int64)
    members = int(history.member.max(initial=-1)) + 1
    _walk(
        (history.time, history.available, history.kind, history.channel, history.member, history.value),
        (start, end, cutoff),
        (subjects[0], edges, half_lives.astype(np.int64), np.full(members, -1)),
        (
            blocks.count,
            blocks.total,
            blocks.age,
            blocks.first,
            blocks.decay,
            blocks.active_days,
            blocks.people,
        ),
    )
    return blocks


@nb.njit(cache=True, nogil=True)
def _walk(events: tuple, rows: tuple, shape: tuple, blocks: tuple) -> None:
    """Walk each row's events from the newest before the cutoff to the oldest."""
    time, available, kind, channel, member, value = events
    starts, ends, cutoffs = rows
    types, edges, half_lives, seen = shape
    count, total, age, first, decay, active_days, people = blocks
    for row in range(len(cutoffs)):
        cutoff = cutoffs[row]
        latest_day = np.int64(-1)
        event = starts[row] + np.searchsorted(time[starts[row] : ends[row]], cutoff) - 1
        while event >= starts[row]:
            if available[event] < cutoff:
                back = cutoff - time[event]
                narrowest = np.searchsorted(edges, back)  # first window that reaches back this far
                _add(count[row], total[row], age[row], first[row], 0, narrowest, back, value[event])
                _fade(decay[row, 0], half_lives, back)
                if kind[event] >= 0:
                    subject = 1 + kind[event]
                    _add(count[row], total[row], age[row], first[row], subject, narrowest, back, value[event])
                    _fade(decay[row, subject], half_lives, back)
                if channel[event] >= 0:
                    subject = 1 + types + channel[event]
                    _add(count[row], total[row], age[row], first[row], subject, narrowest, back, value[event])
                    _fade(decay[row, subject], half_lives, back)
                if seen[member[event]] != row:  # newest event of this member, so its narrowest window
                    seen[member[event]] = row
                    people[row, narrowest:] += 1
                day = (back - 1) // US_PER_DAY  # a window of d days holds exactly the periods 0 .. d - 1
                if day != latest_day:
                    latest_day = day
                    active_days[row, narrowest:] += 1
            event -= 1


@nb.njit(cache=True, inline="always")
def _add(
    count: np.ndarray,
    total: np.ndarray,
    age: np.ndarray,
    first: np.ndarray,
    subject: int,
    narrowest: int,
    back: int,
    value: float,
) -> None:
    for window in range(narrowest, count.shape[1]):
        count[subject, window] += 1
        if not np.isnan(value):
            total[subject, window] += value
    if np.isnan(age[subject]):
        age[subject] = back / US_PER_DAY
    first[subject] = back / US_PER_DAY


@nb.njit(cache=True, inline="always")
def _fade(decay: np.ndarray, half_lives: np.ndarray, back: int) -> None:
    for k in range(len(half_lives)):
        decay[k] += 2.0 ** (-back / half_lives[k])
