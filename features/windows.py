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
    ``half_lives`` are int64 microseconds; the window after the last is all of history. ``subject`` is (subjects,
    slots), see ``slot``; ``overall`` is (4, windows + 1): OVERALL in each window.
    """

    types: int
    windows: np.ndarray
    half_lives: np.ndarray
    subject: np.ndarray
    overall: np.ndarray


OVERALL = ("active_days", "people", "kinds", "ways")
"""24-hour periods back from the cutoff with an event, distinct members, distinct event types, distinct channels."""


def slot(aggregate: str, spans: int, index: int = 0) -> int:
    """Return where a figure of one subject stands among ``2 * spans + 2 + half-lives`` slots.

    ``count`` and ``total`` have one slot a window (``index``), ``age`` and ``first`` one each, in days since the last
    and the first event, ``decay`` one a half-life (``index``).
    """
    begin = {"count": 0, "total": spans, "age": 2 * spans, "first": 2 * spans + 1, "decay": 2 * spans + 2}
    return begin[aggregate] + index


def look_back(
    history: History, group: np.ndarray, cutoff: np.ndarray, plan: Plan, out: np.ndarray, place: np.ndarray
) -> None:
    """Look back from each (group, cutoff) and write its features into ``out[column, place]`` as ``plan`` says.

    Events are seen if ``available < cutoff``. A window w holds event times in ``[cutoff - w, cutoff)``. An event of age
    a adds ``2 ** (-a / h)`` to the fading count of half-life h. Sums run over History's order from the newest event,
    window by window. Ages are NaN where there is no event.
    """
    spans = len(plan.windows) + 1
    _walk(
        (history.time, history.available, history.kind, history.channel, history.member, history.value),
        (np.searchsorted(history.group, group, "left"), np.searchsorted(history.group, group, "right"), cutoff, place),
        (plan.types, np.append(plan.windows, np.iinfo(np.int64).max), plan.half_lives),
        (
            plan.subject[:, spans : 2 * spans].max(axis=1) >= 0,
            plan.subject[:, 2 * spans + 2 :].max(axis=1, initial=-1) >= 0,
        ),
        plan.subject,
        plan.overall,
        np.full(int(history.member.max(initial=-1)) + 1, -1),
        out,
    )


@nb.njit(cache=True, nogil=True)
def _walk(
    events: tuple,
    rows: tuple,
    asked: tuple,
    wanted: tuple,
    columns: np.ndarray,
    overall: np.ndarray,
    seen: np.ndarray,
    out: np.ndarray,
) -> None:
    """Walk each row's events from the newest before the cutoff to the oldest.

    An event is put into the narrowest window that reaches it; the windows are nested, so adding up from the narrowest
    gives them all. What is gathered lies in one array, since each further one would be counted at every event.
    """
    time, available, kind, channel, member, value = events
    starts, ends, cutoffs, places = rows
    types, edges, half_lives = asked
    summed, faded = wanted
    spans = len(edges)
    state, sums = np.zeros(columns.shape), np.zeros((2, spans))
    fading = np.zeros(len(half_lives))
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
                for part in range(3):
                    subject = _subject(part, kind[event], channel[event], types)
                    if subject >= 0:
                        _gather(state[subject], window, spans, back)
                        _add(state[subject], window, spans, value[event], summed[subject], faded[subject], fading)
                day = (back - 1) // US_PER_DAY  # a window of d days holds exactly the periods 0 .. d - 1
                if day != latest_day:
                    latest_day = day
                    sums[0, window] += 1
                if seen[member[event]] != row:
                    seen[member[event]] = row
                    sums[1, window] += 1
            event -= 1
        _write_subjects(state, columns, spans, out, places[row])
        _write_overall(state, types, sums, overall, out, places[row])
        state[:] = 0.0
        sums[:] = 0.0


@nb.njit(cache=True, nogil=True, inline="always")
def _subject(part: int, kind: int, channel: int, types: int) -> int:
    """Return what an event counts as, -1 for nothing: part 0 is any event, 1 its type, 2 its channel."""
    if part == 0:
        return 0
    if part == 1:
        return 1 + kind if kind >= 0 else -1
    return 1 + types + channel if channel >= 0 else -1


@nb.njit(cache=True, nogil=True, inline="always")
def _gather(state: np.ndarray, window: int, spans: int, back: int) -> None:
    """Count an event of a subject in the narrowest window that reaches it, and note its age in microseconds."""
    state[window] += 1.0
    if state[2 * spans] == 0.0:  # an event lies at least a microsecond back, so 0 means none yet
        state[2 * spans] = back
    state[2 * spans + 1] = back


@nb.njit(cache=True, nogil=True, inline="always")
def _add(
    state: np.ndarray, window: int, spans: int, value: float, summed: bool, faded: bool, fading: np.ndarray
) -> None:
    """Add an event's value and its faded weight, where they are asked for."""
    if summed and not np.isnan(value):
        state[spans + window] += value
    if faded:
        for k in range(len(fading)):
            state[2 * spans + 2 + k] += fading[k]


@nb.njit(cache=True, nogil=True, inline="always")
def _write_subjects(state: np.ndarray, columns: np.ndarray, spans: int, out: np.ndarray, place: int) -> None:
    """Add the nested windows up, turn ages into days, and write what is wanted."""
    for subject in range(columns.shape[0]):
        for window in range(1, spans):
            state[subject, window] += state[subject, window - 1]
            state[subject, spans + window] += state[subject, spans + window - 1]
        for age in range(2 * spans, 2 * spans + 2):
            state[subject, age] = state[subject, age] / US_PER_DAY if state[subject, age] > 0 else np.nan
        for index in range(columns.shape[1]):
            if columns[subject, index] >= 0:
                out[columns[subject, index], place] = state[subject, index]


@nb.njit(cache=True, nogil=True, inline="always")
def _write_overall(
    state: np.ndarray, types: int, sums: np.ndarray, columns: np.ndarray, out: np.ndarray, place: int
) -> None:
    """Write OVERALL; the counts in ``state`` are added up already."""
    for window in range(sums.shape[1]):
        for index in range(2):
            if window:
                sums[index, window] += sums[index, window - 1]
            if columns[index, window] >= 0:
                out[columns[index, window], place] = sums[index, window]
        if columns[2, window] >= 0:
            out[columns[2, window], place] = (state[1 : 1 + types, window] > 0).sum()
        if columns[3, window] >= 0:
            out[columns[3, window], place] = (state[1 + types :, window] > 0).sum()
