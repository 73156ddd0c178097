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
class Plan:
    """Which column each figure goes to, -1 for none.

    Subjects are: any event, then each of ``types`` event types, then each channel. ``windows`` (ascending) and
    ``half_lives`` are int64 microseconds; the window after the last is all of history. ``count`` and ``total`` are
    (subjects, windows + 1), ``age`` and ``first`` (subjects,): days since the last and the first event, NaN if none;
    ``decay`` (subjects, half-lives); the rest (windows + 1,): ``active_days``, 24-hour periods back from the cutoff
    with an event, ``people``, distinct members, and ``kinds`` and ``ways``, distinct event types and channels.
    """

    types: int
    windows: np.ndarray
    half_lives: np.ndarray
    count: np.ndarray
    total: np.ndarray
    age: np.ndarray
    first: np.ndarray
    decay: np.ndarray
    active_days: np.ndarray
    people: np.ndarray
    kinds: np.ndarray
    ways: np.ndarray


def look_back(
    history: History, group: np.ndarray, cutoff: np.ndarray, plan: Plan, out: np.ndarray, place: np.ndarray
) -> None:
    """Look back from each (group, cutoff) and write its features into ``out[column, place]`` as ``plan`` says.

    Events are seen if ``available < cutoff``. A window w holds event times in ``[cutoff - w, cutoff)``. An event of age
    a adds ``2 ** (-a / h)`` to the fading count of half-life h. Sums run over History's order from the newest event,
    window by window.
    """
    _walk(
        (history.time, history.available, history.kind, history.channel, history.member, history.value),
        (np.searchsorted(history.group, group, "left"), np.searchsorted(history.group, group, "right"), cutoff, place),
        (plan.types, np.append(plan.windows, np.iinfo(np.int64).max), plan.half_lives),
        (plan.count, plan.total, plan.age, plan.first, plan.decay),
        (plan.active_days, plan.people, plan.kinds, plan.ways),
        np.full(int(history.member.max(initial=-1)) + 1, -1),
        out,
    )


@nb.njit(cache=True, nogil=True)
def _walk(
    events: tuple, rows: tuple, asked: tuple, per_subject: tuple, overall: tuple, seen: np.ndarray, out: np.ndarray
) -> None:
    """Walk each row's events from the newest before the cutoff to the oldest.

    An event is put into the narrowest window that reaches it; the windows are nested, so adding up from the narrowest
    gives them all.
    """
    time, available, kind, channel, member, value = events
    starts, ends, cutoffs, places = rows
    types, edges, half_lives = asked
    size, spans = per_subject[0].shape[0], len(edges)
    summed, faded = _any_asked(per_subject[1]), _any_asked(per_subject[4])
    counts, totals = np.zeros((size, spans), np.int64), np.zeros((size, spans))
    last, first = np.zeros(size, np.int64), np.zeros(size, np.int64)
    gathered = (counts, totals, last, first, np.zeros((size, len(half_lives))))
    days, people = np.zeros(spans, np.int64), np.zeros(spans, np.int64)
    subjects, fading = np.zeros(3, np.int64), np.zeros(len(half_lives))
    for row in range(len(cutoffs)):
        cutoff, latest_day, window = cutoffs[row], np.int64(-1), 0
        event = starts[row] + np.searchsorted(time[starts[row] : ends[row]], cutoff) - 1
        while event >= starts[row]:
            if available[event] < cutoff:
                back = cutoff - time[event]
                while back > edges[window]:
                    window += 1
                for k in range(len(half_lives)):
                    fading[k] = 2.0 ** (-back / half_lives[k])
                for index in range(_subjects(kind[event], channel[event], types, subjects)):
                    _gather(subjects[index], window, back, value[event], fading, summed, faded, gathered)
                if seen[member[event]] != row:
                    seen[member[event]] = row
                    people[window] += 1
                day = (back - 1) // US_PER_DAY  # a window of d days holds exactly the periods 0 .. d - 1
                if day != latest_day:
                    latest_day = day
                    days[window] += 1
            event -= 1
        _write_overall(counts, types, days, people, overall, out, places[row])
        _write_subjects(gathered, per_subject, out, places[row])


@nb.njit(cache=True, nogil=True)
def _any_asked(columns: np.ndarray) -> np.ndarray:
    """Say for each subject whether any of its columns is wanted."""
    found = np.zeros(columns.shape[0], np.bool_)
    for subject in range(columns.shape[0]):
        for index in range(columns.shape[1]):
            found[subject] |= columns[subject, index] >= 0
    return found


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
def _gather(
    subject: int,
    window: int,
    back: int,
    value: float,
    fading: np.ndarray,
    summed: np.ndarray,
    faded: np.ndarray,
    gathered: tuple,
) -> None:
    """Add one event to what was gathered of a subject; ``window`` is the narrowest that reaches it."""
    counts, totals, last, first, decays = gathered
    counts[subject, window] += 1
    if summed[subject] and not np.isnan(value):
        totals[subject, window] += value
    if last[subject] == 0:  # an event lies at least a microsecond back, so 0 means none yet
        last[subject] = back
    first[subject] = back
    if faded[subject]:
        for k in range(len(fading)):
            decays[subject, k] += fading[k]


@nb.njit(cache=True, nogil=True, inline="always")
def _write_subjects(gathered: tuple, columns: tuple, out: np.ndarray, place: int) -> None:
    """Write each subject's figures, adding the nested windows up, and clear them for the next row."""
    counts, totals, last, first, decays = gathered
    count, total, age, earliest, decay = columns
    for subject in range(counts.shape[0]):
        number, amount = 0, 0.0
        for window in range(counts.shape[1]):
            number += counts[subject, window]
            amount += totals[subject, window]
            _put(out, count[subject, window], place, number)
            _put(out, total[subject, window], place, amount)
        _put(out, age[subject], place, last[subject] / US_PER_DAY if last[subject] else np.nan)
        _put(out, earliest[subject], place, first[subject] / US_PER_DAY if last[subject] else np.nan)
        for k in range(decays.shape[1]):
            _put(out, decay[subject, k], place, decays[subject, k])
    counts[:], totals[:], last[:], first[:], decays[:] = 0, 0.0, 0, 0, 0.0


@nb.njit(cache=True, nogil=True, inline="always")
def _write_overall(
    counts: np.ndarray,
    types: int,
    days: np.ndarray,
    people: np.ndarray,
    columns: tuple,
    out: np.ndarray,
    place: int,
) -> None:
    """Write the figures that are not of one subject, and clear them for the next row."""
    active_days, persons, kinds, ways = columns
    active, acting = 0, 0
    for window in range(len(days)):
        active += days[window]
        acting += people[window]
        _put(out, active_days[window], place, active)
        _put(out, persons[window], place, acting)
        if kinds[window] >= 0:
            out[kinds[window], place] = _distinct(counts, 1, 1 + types, window)
        if ways[window] >= 0:
            out[ways[window], place] = _distinct(counts, 1 + types, counts.shape[0], window)
    days[:], people[:] = 0, 0


@nb.njit(cache=True, nogil=True, inline="always")
def _put(out: np.ndarray, column: int, place: int, figure: float) -> None:
    if column >= 0:
        out[column, place] = figure


@nb.njit(cache=True, nogil=True)
def _distinct(counts: np.ndarray, start: int, end: int, widest: int) -> int:
    """Count the subjects that occurred in a window or a narrower one."""
    found = 0
    for subject in range(start, end):
        for window in range(widest + 1):
            if counts[subject, window] > 0:
                found += 1
                break
    return found
