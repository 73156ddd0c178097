"""What becomes of stays that have lasted for some time: incidence after landmarks.

A landmark is an age at which stays were at risk. How these go on has an estimate of its own, with
the time counted from the landmark; stays that had ended before are no part of it. Between two
landmarks their shares are interpolated, linearly in the age. Landmarks follow each other where the
number at risk has changed by a quarter or a tenth of the exits lies between, so that they divide
the ages at which much happens as well as the high ages, at which most open stays are.

Source: van Houwelingen, "Dynamic prediction by landmarking in event history analysis",
*Scandinavian Journal of Statistics* 34 (2007).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from features.engine.lead_index import sort_by_code
from features.tools.jit import jit_kernel
from models.survival.incidence import ROUNDING, estimate_curve
from models.survival.stays import CENSORED, AgeCounts, Stays, count_stays

# Stays older than the last landmark are taken as being at it. Fewer stays at risk make shares
# vary more; more of them let old stays have the higher chances of younger ones.
MIN_AT_RISK = 20
# The ratio of the numbers at risk, and the share of the exits, that lie between two landmarks.
RISK_RATIO = 0.75
EXIT_SHARE = 0.1
LAST_TIME = np.iinfo(np.int64).max


@dataclass(frozen=True)
class LandmarkCurves:
    """Cumulative incidence of one exit after the landmarks of each group.

    Attributes:
        first: First landmark of each group; at last the number of landmarks, int64.
        age: Age of each landmark, ascending in a group, int64.
        row: First row of each landmark; at last the number of rows, int64.
        time: Time since the landmark, ascending in a landmark, int64.
        incidence: Share of the stays that has left by the exit at or before that time, float64.
    """

    first: np.ndarray
    age: np.ndarray
    row: np.ndarray
    time: np.ndarray
    incidence: np.ndarray

    def find_shares(self, group: np.ndarray, age: np.ndarray, time: np.ndarray) -> np.ndarray:
        """Return the share of stays of an age that leaves by the exit at or before a time from now.

        All arguments have one element per stay. It is NaN for a group without a landmark.
        """
        shares = np.full(len(group), np.nan)
        _fill_shares(self._list_arrays(), (group, age, time), shares)
        return shares

    def find_quantiles(self, group: np.ndarray, age: np.ndarray, share: float) -> np.ndarray:
        """Return the time from now by which a share of the stays that leave have left, float64.

        It is NaN where none leaves by the exit.
        """
        times = np.full(len(group), np.nan)
        _fill_quantiles(self._list_arrays(), (group, age), share - ROUNDING, times)
        return times

    def _list_arrays(self) -> tuple[np.ndarray, ...]:
        return (self.first, self.age, self.row, self.time, self.incidence)


def estimate_after_landmarks(
    stays: Stays, end: np.ndarray, ending: np.ndarray, groups: int, kinds: int
) -> LandmarkCurves:
    """Return the incidence of exit 0 of all ``kinds`` of exits after landmarks of stays.

    ``end`` is the age of each stay at the exit ``ending``, which may come later than the end of the
    stay itself, or at which its observation ends, CENSORED.
    """
    last = stays.end - (stays.exit == CENSORED)
    observed = np.flatnonzero(stays.begin <= last)
    observed = observed[sort_by_code(stays.group[observed], groups)]
    edges = np.searchsorted(stays.group[observed], np.arange(groups + 1))
    ages, members = [], []
    for group in range(groups):
        rows = observed[edges[group] : edges[group + 1]]
        begin, until = stays.begin[rows], last[rows]
        ages.append(choose_landmarks(begin, until, stays.exit[rows] != CENSORED))
        members += [rows[(begin <= age) & (until >= age)] for age in ages[-1]]
    age = np.concatenate([np.empty(0, np.int64), *ages])
    landmark = np.repeat(np.arange(len(age)), [len(rows) for rows in members])
    rows = np.concatenate([np.empty(0, np.int64), *members])
    began = np.zeros(len(rows), np.int64)
    after = Stays(landmark, began, end[rows] - age[landmark], ending[rows], stays.cluster[rows])
    first = np.cumsum([0, *(len(chosen) for chosen in ages)])
    return LandmarkCurves(first, age, *_list_rows(count_stays(after), len(age), kinds))


def choose_landmarks(begin: np.ndarray, last: np.ndarray, exited: np.ndarray) -> np.ndarray:
    """Return the ages of the landmarks of stays at risk at the ages from ``begin`` to ``last``.

    ``exited`` marks those that exit at ``last``. The first landmark has at least MIN_AT_RISK stays
    at risk, or as many as ever are; no later one has fewer.
    """
    ages = np.unique(np.concatenate([begin, last + 1]))
    at_risk = np.searchsorted(np.sort(begin), ages, side="right")
    at_risk -= np.searchsorted(np.sort(last), ages)
    enough = at_risk >= min(MIN_AT_RISK, at_risk.max(initial=1))
    ages, at_risk = ages[enough], at_risk[enough]
    gone = np.searchsorted(np.sort(last[exited]), ages)
    step = EXIT_SHARE * np.count_nonzero(exited)
    chosen, place = [], 0
    while place < len(ages):
        chosen.append(place)
        now, following = at_risk[place], at_risk[place + 1 :]
        is_next = (following <= now * RISK_RATIO) | (following * RISK_RATIO >= now)
        is_next |= (gone[place + 1 :] > gone[place]) & (gone[place + 1 :] - gone[place] >= step)
        place = place + 1 + int(is_next.argmax()) if is_next.any() else len(ages)
    return ages[chosen]


def _list_rows(
    counts: AgeCounts, landmarks: int, kinds: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the first row of each landmark, and the rows at which exit 0 happens."""
    edges = np.searchsorted(counts.group, np.arange(landmarks + 1))
    times, incidences = [np.empty(0, np.int64)], [np.empty(0)]
    for landmark in range(landmarks):
        own = slice(edges[landmark], edges[landmark + 1])
        columns = (counts.group, counts.age, counts.kind, counts.count)
        curve = estimate_curve(AgeCounts(*(column[own] for column in columns)), landmark, kinds)
        incidence = curve.incidence[:, 0]
        rises = np.flatnonzero(np.diff(incidence, prepend=0.0) > 0)
        times.append(curve.age[rises])
        incidences.append(incidence[rises])
    row = np.cumsum([len(time) for time in times])
    return row, np.concatenate(times), np.concatenate(incidences)


@jit_kernel
def _find_place(curves: Any, group: int, age: int) -> Any:
    """Return the landmarks before and after an age, and the weight of the latter; -1 for none."""
    first, ages, _, _, _ = curves
    begin, end = first[group], first[group + 1]
    if begin == end:
        return -1, -1, 0.0
    place = begin + np.searchsorted(ages[begin:end], age, side="right") - 1
    if place < begin or place + 1 == end:
        place = max(place, begin)
        return place, place, 0.0
    return place, place + 1, (age - ages[place]) / (ages[place + 1] - ages[place])


@jit_kernel
def _find_share(curves: Any, landmark: int, time: int) -> float:
    """Return the share of a landmark's stays that has left at or before a time."""
    _, _, row, times, incidence = curves
    begin, end = row[landmark], row[landmark + 1]
    place = begin + np.searchsorted(times[begin:end], time, side="right") - 1
    return incidence[place] if place >= begin else 0.0


@jit_kernel
def _mix_shares(curves: Any, place: Any, time: int) -> float:
    """Return the share at a place between two landmarks."""
    before, after, weight = place
    share = _find_share(curves, before, time)
    if before == after:
        return share
    return (1 - weight) * share + weight * _find_share(curves, after, time)


@jit_kernel
def _fill_shares(curves: Any, queries: Any, shares: Any) -> None:
    group, age, time = queries
    for query in range(len(shares)):
        place = _find_place(curves, group[query], age[query])
        if place[0] >= 0:
            shares[query] = _mix_shares(curves, place, time[query])


@jit_kernel
def _fill_quantiles(curves: Any, queries: Any, share: float, times: Any) -> None:
    group, age = queries
    for query in range(len(times)):
        place = _find_place(curves, group[query], age[query])
        if place[0] < 0:
            continue
        least = share * _mix_shares(curves, place, LAST_TIME)
        if least > 0:
            # The mixed share rises only where one of the two does.
            times[query] = min(
                _find_first_time(curves, place, place[0], least),
                _find_first_time(curves, place, place[1], least),
            )


@jit_kernel
def _find_first_time(curves: Any, place: Any, landmark: int, least: float) -> int:
    """Return the first time of a landmark's rows at which the mixed share is ``least`` or more."""
    _, _, row, times, _ = curves
    low, end = row[landmark], row[landmark + 1]
    high = end
    while low < high:
        middle = (low + high) // 2
        if _mix_shares(curves, place, times[middle]) >= least:
            high = middle
        else:
            low = middle + 1
    return times[low] if low < end else LAST_TIME
