"""The point-in-time kernel: what one shard's history looks like from each cutoff.

A pure function of its arguments that knows nothing of where it runs. Each row walks its own group's events from the
newest before the cutoff to the oldest and sums them afresh: no state is carried from row to row, so a late event needs
no bookkeeping, nothing drifts, and a row alone and a row among millions agree to the bit. The walk is proportional to
the events behind each row, which for leads is less than the features that come out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba as nb
import numpy as np

from features.contracts import US_PER_DAY


@dataclass(frozen=True)
class History:
    """One shard's events, ordered by (group, time) and at ties by all else, one element an event.

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
class Question:
    """What to look for. Subjects are: any event, then each event type, then each channel.

    ``windows`` (ascending) and ``half_lives`` are int64 microseconds. The first ``faded`` subjects get fading counts,
    and sums are taken where ``valued`` (one bool a subject) says so.
    """

    types: int
    channels: int
    windows: np.ndarray
    half_lives: np.ndarray
    faded: int
    valued: np.ndarray


@dataclass(frozen=True)
class Blocks:
    """What the kernel saw; the last axis is the row, so that each feature is contiguous.

    ``count`` and ``total`` are (subjects, windows + 1, rows), the last window being all of history; ``age`` and
    ``first`` (subjects, rows) days since the last and the first event, NaN if none; ``decay`` (faded subjects,
    half-lives, rows); ``active_days`` and ``people`` (windows + 1, rows): 24-hour periods back from the cutoff with an
    event, and distinct members.
    """

    count: np.ndarray
    total: np.ndarray
    age: np.ndarray
    first: np.ndarray
    decay: np.ndarray
    active_days: np.ndarray
    people: np.ndarray


def look_back(history: History, group: np.ndarray, cutoff: np.ndarray, question: Question) -> Blocks:
    """Look back from each (group, cutoff), seeing events with ``available < cutoff`` only.

    A window w holds event times in ``[cutoff - w, cutoff)``. An event of age a adds ``2 ** (-a / h)`` to the fading
    count of half-life h. Sums run over History's order from the newest event, window by window.
    """
    rows, size, spans = len(group), 1 + question.types + question.channels, len(question.windows) + 1
    blocks = Blocks(
        count=np.empty((size, spans, rows)),
        total=np.empty((size if question.valued.any() else 0, spans, rows)),
        age=np.empty((size, rows)),
        first=np.empty((size, rows)),
        decay=np.empty((question.faded, len(question.half_lives), rows)),
        active_days=np.empty((spans, rows)),
        people=np.empty((spans, rows)),
    )
    _walk(
        (history.time, history.available, history.kind, history.channel, history.member, history.value),
        (np.searchsorted(history.group, group, "left"), np.searchsorted(history.group, group, "right"), cutoff),
        (question.types, question.faded, question.half_lives, question.valued),
        np.append(question.windows, np.iinfo(np.int64).max),
        np.full(int(history.member.max(initial=-1)) + 1, -1),
        (blocks.count, blocks.total, blocks.age, blocks.first, blocks.decay, blocks.active_days, blocks.people),
    )
    return blocks


@nb.njit(cache=True, nogil=True)
def _walk(events: tuple, rows: tuple, asked: tuple, edges: np.ndarray, seen: np.ndarray, blocks: tuple) -> None:
    """Walk each row's events from the newest before the cutoff to the oldest.

    An event is put into the narrowest window that reaches it; the windows are nested, so adding up from the narrowest
    gives them all.
    """
    time, available, kind, channel, member, value = events
    starts, ends, cutoffs = rows
    types, faded, half_lives, _ = asked
    size, spans = blocks[0].shape[0], len(edges)
    counts, totals = np.zeros((size, spans), np.int64), np.zeros((size, spans))
    last, first = np.zeros(size, np.int64), np.zeros(size, np.int64)
    gathered = (counts, totals, last, first, np.zeros((faded, len(half_lives))))
    days, people = np.zeros(spans, np.int64), np.zeros(spans, np.int64)
    subjects = np.zeros(3, np.int64)
    for row in range(len(cutoffs)):
        cutoff, latest_day, window = cutoffs[row], np.int64(-1), 0
        event = starts[row] + np.searchsorted(time[starts[row] : ends[row]], cutoff) - 1
        while event >= starts[row]:
            if available[event] < cutoff:
                back = cutoff - time[event]
                while back > edges[window]:
                    window += 1
                for place in range(_subjects(kind[event], channel[event], types, subjects)):
                    _gather(subjects[place], window, back, value[event], asked, gathered)
                if seen[member[event]] != row:
                    seen[member[event]] = row
                    people[window] += 1
                day = (back - 1) // US_PER_DAY  # a window of d days holds exactly the periods 0 .. d - 1
                if day != latest_day:
                    latest_day = day
                    days[window] += 1
            event -= 1
        _write_out(row, gathered, days, people, blocks)


@nb.njit(cache=True, nogil=True, inline="always")
def _subjects(kind: int, channel: int, types: int, subjects: np.ndarray) -> int:
    """Put what an event counts as behind “any” (0) and return how many that are."""
    found = 1
    if kind >= 0:
        subjects[found] = 1 + kind
        found += 1
    if channel >= 0:
        subjects[found] = 1 + types + channel
        found += 1
    return found


@nb.njit(cache=True, nogil=True, inline="always")
def _gather(subject: int, window: int, back: int, value: float, asked: tuple, gathered: tuple) -> None:
    """Add one event to what was gathered of a subject; ``window`` is the narrowest that reaches it."""
    _, faded, half_lives, valued = asked
    counts, totals, last, first, decays = gathered
    counts[subject, window] += 1
    if valued[subject] and not np.isnan(value):
        totals[subject, window] += value
    if last[subject] == 0:  # an event lies at least a microsecond back, so 0 means none yet
        last[subject] = back
    first[subject] = back
    if subject < faded:
        for k in range(len(half_lives)):
            decays[subject, k] += 2.0 ** (-back / half_lives[k])


@nb.njit(cache=True, nogil=True, inline="always")
def _write_out(row: int, gathered: tuple, days: np.ndarray, people: np.ndarray, blocks: tuple) -> None:
    """Add the nested windows up into a row's place in the blocks, and clear what was gathered."""
    counts, totals, last, first, decays = gathered
    count, total, age, earliest, decay, active_days, persons = blocks
    for subject in range(counts.shape[0]):
        number, amount = 0, 0.0
        for window in range(counts.shape[1]):
            number += counts[subject, window]
            count[subject, window, row] = number
            if total.shape[0] > 0:
                amount += totals[subject, window]
                total[subject, window, row] = amount
        age[subject, row] = last[subject] / US_PER_DAY if last[subject] else np.nan
        earliest[subject, row] = first[subject] / US_PER_DAY if last[subject] else np.nan
    active, acting = 0, 0
    for window in range(len(days)):
        active += days[window]
        acting += people[window]
        active_days[window, row], persons[window, row] = active, acting
    for subject in range(decays.shape[0]):
        for k in range(decays.shape[1]):
            decay[subject, k, row] = decays[subject, k]
    counts[:], totals[:], last[:], first[:], decays[:], days[:], people[:] = 0, 0.0, 0, 0, 0.0, 0, 0
