"""The kernel of sequence: the latest events and the first, the hours they fall into, our touches, and spells."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import numpy as np

from features.definitions.sequences import LAST_EVENTS
from features.definitions.vocabulary import Vocabulary
from features.engine.kernels.windows import History, Looks
from features.timezones import find_offsets_at_instants
from features.tools.instants import US_PER_DAY
from features.tools.jit import jit_inline, jit_kernel

FIGURES = (
    *(("last_type", k) for k in range(LAST_EVENTS)),
    *(("last_gap", k) for k in range(LAST_EVENTS - 1)),
    *(
        (name, 0)
        for name in (
            "first_type",
            "last_channel",
            "first_channel",
            "last_hour",
            "office_hours",
            "weekend",
        )
    ),
    *((name, 0) for name in ("origin", "unanswered", "before_reply", "spells", "spell_age")),
)
"""What ``sequence`` returns, (aggregate, index) of a feature; categories are codes, -1 for none."""

WEEKEND = 5 * 24
"""Hours of the week count from Monday, 0:00."""


def sequence(history: History, looks: Looks, offer: Vocabulary) -> np.ndarray:
    """Return (FIGURES, rows). Ages and pauses are in days, hours those of the offer's time zone."""
    outbound = np.isin(
        np.arange(len(offer.types)), [offer.types.index(name) for name in offer.outbound]
    )
    ends = np.isin(np.arange(len(offer.types)), [offer.types.index(name) for name in offer.ends])
    hour = hour_of_week(history.time, offer.timezone)
    found = np.full((len(looks.cutoff), len(FIGURES)), np.nan)
    _sequence(
        (history.time, history.available, history.kind, history.channel, hour, PART_OF_WEEK[hour]),
        (looks.first, looks.end, looks.cutoff),
        (np.append(outbound, False), np.append(ends, False)),
        found,
    )
    return found.T


def hour_of_week(instant: np.ndarray, timezone: str) -> np.ndarray:
    """Return the local hour of the week of instants, 0 for Monday 0:00 to 1:00; int64."""
    local = instant + find_offsets_at_instants(instant, ZoneInfo(timezone))
    return (local // 3_600_000_000 + 3 * 24) % 168  # 1970 began on a Thursday


def _parts_of_week() -> np.ndarray:
    """Return for each hour of the week 1 in office hours, 2 at the weekend, else 7: where ``_sequence`` counts it."""
    hour = np.arange(7 * 24)
    office = (hour % 24 >= 8) & (hour % 24 < 18)
    return np.where(hour >= WEEKEND, 2, np.where(office, 1, 7)).astype(np.int8)


PART_OF_WEEK = _parts_of_week()


@jit_kernel
def _sequence(events: tuple, rows: tuple, marks: tuple, found: np.ndarray) -> None:
    """Walk each row's events from the newest to the oldest; codes index the marks, the last one standing for -1."""
    time, available, kind, channel, hour, part = events
    firsts, ends, cutoffs = rows
    outbound, closing = marks
    tally = np.zeros(8, np.int64)
    for row in range(len(cutoffs)):
        cutoff, figure = cutoffs[row], found[row]
        tally[:] = 0
        figure[:3], figure[5:8], figure[11] = -1.0, -1.0, -1.0
        newer = -1
        for event in range(ends[row] - 1, firsts[row] - 1, -1):
            if available[event] >= cutoff:
                continue
            _latest(figure, tally[0], time, kind, event, newer)
            if newer < 0:
                figure[6], figure[8] = channel[event], hour[event]
            tally[part[event]] += 1
            _touch(tally, outbound[kind[event]])
            if newer >= 0 and closing[kind[event]] and not closing[kind[newer]]:
                _begin(figure, tally, cutoff - time[newer])
            tally[0] += 1
            newer = event
        if newer >= 0:
            _begin(figure, tally, cutoff - time[newer])
            figure[5], figure[7] = kind[newer], channel[newer]
            figure[9], figure[10] = tally[1] / tally[0], tally[2] / tally[0]
            figure[11] = 0.0 if outbound[kind[newer]] else 1.0
        figure[12] = tally[3]
        figure[13] = tally[4]
        figure[14] = tally[6]


@jit_inline
def _latest(
    figure: np.ndarray, number: int, time: np.ndarray, kind: np.ndarray, event: int, newer: int
) -> None:
    """Note the newest events' types, and the pauses between them."""
    if number < 3:
        figure[number] = kind[event]
        if number:
            figure[2 + number] = (time[newer] - time[event]) / US_PER_DAY


@jit_inline
def _touch(tally: np.ndarray, outbound: bool) -> None:
    """Count touches of ours since the newest answer (3) and before the oldest one (4); 5 says there was one."""
    if outbound:
        tally[4] += 1
        if not tally[5]:
            tally[3] += 1
    else:
        tally[4] = 0
        tally[5] = 1


@jit_inline
def _begin(figure: np.ndarray, tally: np.ndarray, back: int) -> None:
    """Note the beginning of a spell; the first one noted is the latest."""
    if tally[6] == 0:
        figure[15] = back / US_PER_DAY
    tally[6] += 1
