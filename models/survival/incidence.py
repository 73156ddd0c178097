"""Cumulative incidence of competing exits by age: the estimator of Aalen and Johansen.

A stay that is still observed, or whose observation ended, is open, not lost: it counts among those
at risk for as long as it was observed. A loss is an exit like the others, not the end of an
observation: of what is lost, nothing advances any more. At an age with ``d`` exits of a kind among
``n`` at risk, the incidence of the kind rises by ``S · d / n``, where ``S`` is the share that had
not left before; ``S`` falls by the factor ``1 - d / n`` of all kinds. Exits at one age are tied and
are taken together. Sources: Aalen and Johansen, *Scandinavian Journal of Statistics* 5 (1978);
left truncation: Andersen, Borgan, Gill and Keiding, *Statistical Models Based on Counting
Processes* (1993), IV.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from features.tools.jit import jit_kernel
from models.survival.stays import BEGIN, AgeCounts

# Sums of shares differ from their exact value by rounding. A quantile whose share is reached
# exactly, such as the median of an even number of stays, must not lie at the next age for it.
ROUNDING = 1e-10


@dataclass(frozen=True)
class IncidenceCurve:
    """Cumulative incidence of one group, one row per age with an exit.

    Attributes:
        age: The ages, ascending, int64.
        at_risk: Number of stays at risk at each age, int64.
        incidence: Share that has left by each exit at or before each age, float64 (ages, kinds).
        staying: Share that has not left by then, float64. Rows of both add up to one.
    """

    age: np.ndarray
    at_risk: np.ndarray
    incidence: np.ndarray
    staying: np.ndarray


@dataclass(frozen=True)
class IncidenceSummary:
    """What tables need of each group's curves.

    Attributes:
        within: Share that has left by each exit at or before each age asked for, float64
            (groups, ages, kinds); NaN for a group without stays.
        final: The share at the last age that was observed, float64 (groups, kinds).
        quantile: Age by which a share of those that leave by an exit have left, float64
            (groups, kinds, shares); NaN where none leaves.
    """

    within: np.ndarray
    final: np.ndarray
    quantile: np.ndarray


def estimate_curve(counts: AgeCounts, group: int, kinds: int) -> IncidenceCurve:
    """Return the curve of one group; ``kinds`` is the number of kinds of exits."""
    rows = np.flatnonzero(counts.group == group)
    age, kind = counts.age[rows], counts.kind[rows]
    # Ages of a group are in order.
    exits = age[kind >= 0]
    size = np.count_nonzero(np.diff(exits)) + 1 if len(exits) else 0
    curve = IncidenceCurve(
        np.empty(size, np.int64), np.empty(size, np.int64), np.empty((size, kinds)), np.empty(size)
    )
    _fill_curve(
        (age, kind, counts.count[rows]),
        (curve.age, curve.at_risk, curve.incidence, curve.staying),
    )
    return curve


def summarize_incidence(
    counts: AgeCounts, groups: int, kinds: int, ages: np.ndarray, shares: np.ndarray
) -> IncidenceSummary:
    """Return the summary of groups ``0 … groups - 1`` at some ages and shares."""
    first = np.searchsorted(counts.group, np.arange(groups + 1))
    rows = counts.age, counts.kind, counts.count
    return summarize_rows(first, rows, kinds, ages, shares)


def summarize_rows(
    first: np.ndarray,
    rows: tuple[np.ndarray, np.ndarray, np.ndarray],
    kinds: int,
    ages: np.ndarray,
    shares: np.ndarray,
) -> IncidenceSummary:
    """Return the summary from rows of age, kind and count; ``first`` is each group's first row.

    Rows of a group are ordered by age and kind; a count may be zero.
    """
    groups = len(first) - 1
    within = np.empty((groups, len(ages), kinds))
    final = np.empty((groups, kinds))
    quantile = np.empty((groups, kinds, len(shares)))
    _summarize_groups(first, rows, (ages, shares), (within, final, quantile))
    return IncidenceSummary(within, final, quantile)


@jit_kernel
def _fill_curve(rows: Any, curve: Any) -> None:
    """Fill the curve of a group."""
    age, kind, _ = rows
    ages, risk, incidence, staying = curve
    left = np.zeros(incidence.shape[1])
    share, at_risk, row, place = 1.0, 0, 0, 0
    while row < len(age):
        row, at_risk = _pass_openings(rows, row, len(age), at_risk)
        if row < len(age) and kind[row] >= 0:
            now, before = age[row], at_risk
            row, at_risk, share = _take_exits(rows, row, len(age), at_risk, share, left)
            ages[place], risk[place], staying[place] = now, before, share
            incidence[place] = left
            place += 1


@jit_kernel
def _pass_openings(rows: Any, row: int, end: int, at_risk: int) -> Any:
    """Return the next row of an exit, and the stays at risk just before it."""
    _, kind, count = rows
    while row < end and kind[row] < 0:
        at_risk += count[row] if kind[row] == BEGIN else -count[row]
        row += 1
    return row, at_risk


@jit_kernel
def _take_exits(rows: Any, row: int, end: int, at_risk: int, share: float, left: Any) -> Any:
    """Add the exits of one age to ``left``; return the next row, the stays at risk, the share."""
    age, kind, count = rows
    now, gone = age[row], 0
    while row < end and age[row] == now and kind[row] >= 0:
        if count[row]:
            left[kind[row]] += share * (count[row] / at_risk)
            gone += count[row]
        row += 1
    if gone:
        # Of the last at risk nothing is left, without a rest from rounding.
        share *= (at_risk - gone) / at_risk
    return row, at_risk - gone, share


@jit_kernel
def _summarize_groups(first: Any, rows: Any, questions: Any, answers: Any) -> None:
    age, _, count = rows
    ages, shares = questions
    within, final, quantile = answers
    for group in range(len(first) - 1):
        begin, end = first[group], first[group + 1]
        left = np.zeros(final.shape[1])
        share, at_risk, row, place = 1.0, 0, begin, 0
        while row < end:
            row, at_risk = _pass_openings(rows, row, end, at_risk)
            while place < len(ages) and (row == end or age[row] > ages[place]):
                within[group, place] = left
                place += 1
            if row < end:
                row, at_risk, share = _take_exits(rows, row, end, at_risk, share, left)
        within[group, place:] = left
        final[group] = left
        # In a replicate the stays of a group may all have the weight zero.
        if not count[begin:end].any():
            within[group], final[group] = np.nan, np.nan
        if len(shares):
            _find_quantiles(rows, (begin, end), shares, left, quantile[group])


@jit_kernel
def _find_quantiles(rows: Any, span: Any, shares: Any, final: Any, quantile: Any) -> None:
    """Walk a group again, now that the final shares are known."""
    age = rows[0]
    row, end = span
    left = np.zeros(len(final))
    places = np.zeros(len(final), np.int64)
    quantile[:] = np.nan
    share, at_risk = 1.0, 0
    while row < end:
        row, at_risk = _pass_openings(rows, row, end, at_risk)
        if row == end:
            break
        now = age[row]
        row, at_risk, share = _take_exits(rows, row, end, at_risk, share, left)
        for kind in range(len(final)):
            reached = left[kind] + ROUNDING * final[kind]
            while (
                final[kind] > 0
                and places[kind] < len(shares)
                and reached >= shares[places[kind]] * final[kind]
            ):
                quantile[kind, places[kind]] = now
                places[kind] += 1
