"""Kernel of sequence: latest and first events, hours of the week, outbound touches, and spells."""

from __future__ import annotations

from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from features.definitions.sequences import LAST_EVENTS
from features.definitions.vocabulary import Vocabulary
from features.engine.kernels.walk import AsOfLookups, EventHistory, is_visible
from features.timezones import find_offsets_at_instants
from features.tools.instants import US_PER_DAY, US_PER_HOUR
from features.tools.jit import jit_inline, jit_kernel

_SINGLE_COLUMNS = (
    "first_type",
    "last_channel",
    "first_channel",
    "last_hour",
    "office_hours",
    "weekend",
    "origin",
    "unanswered",
    "before_reply",
    "spells",
    "spell_age",
)
# Columns of ``compute_sequence`` as (aggregate, index) of a feature; categories are codes, -1 for
# none. The numbers below follow this order.
SEQUENCE_COLUMNS = (
    *(("last_type", k) for k in range(LAST_EVENTS)),
    *(("last_gap", k) for k in range(LAST_EVENTS - 1)),
    *((name, 0) for name in _SINGLE_COLUMNS),
)

LAST_TYPE, LAST_GAP = 0, LAST_EVENTS
(
    FIRST_TYPE,
    LAST_CHANNEL,
    FIRST_CHANNEL,
    LAST_HOUR,
    OFFICE_SHARE,
    WEEKEND_SHARE,
    ORIGIN,
    UNANSWERED,
    BEFORE_REPLY,
    SPELLS,
    SPELL_AGE,
) = range(2 * LAST_EVENTS - 1, len(SEQUENCE_COLUMNS))

# Counters of one row's events. HAS_REPLY is 1 once an event that is not a touch of ours was seen;
# OTHER_HOURS is counted only so that every hour has a counter.
(
    EVENTS,
    OFFICE_EVENTS,
    WEEKEND_EVENTS,
    TOUCHES_SINCE_REPLY,
    TOUCHES_BEFORE_REPLY,
    HAS_REPLY,
    SPELL_COUNT,
    OTHER_HOURS,
) = range(8)

# Hours of the week count from Monday 0:00, so Saturday begins after five days.
WEEKEND_START_HOUR = 5 * 24
EPOCH_HOUR_OF_WEEK = 3 * 24  # 1970 began on a Thursday


class SequenceEvents(NamedTuple):
    """Local time of each event.

    Attributes:
        hour: hour of the week, 0 for Monday 0:00 to 1:00.
        counter: the counter of that hour: office, weekend or other hours.
    """

    hour: np.ndarray
    counter: np.ndarray


class KindFlags(NamedTuple):
    """Flags of each event type by its code; the last element stands for the code -1.

    Attributes:
        outbound: events of this type are touches of ours.
        closing: events of this type close a spell.
    """

    outbound: np.ndarray
    closing: np.ndarray


def compute_sequence(
    history: EventHistory, lookups: AsOfLookups, vocabulary: Vocabulary
) -> np.ndarray:
    """Return (SEQUENCE_COLUMNS, rows): ages and gaps in days, hours in the vocabulary's zone."""
    hour = to_hour_of_week(history.time, vocabulary.timezone)
    flags = KindFlags(
        _flag_kinds(vocabulary, vocabulary.outbound), _flag_kinds(vocabulary, vocabulary.ends)
    )
    values = np.full((len(lookups.cutoff), len(SEQUENCE_COLUMNS)), np.nan)
    _compute_sequence(history, SequenceEvents(hour, HOUR_COUNTER[hour]), lookups, flags, values)
    return values.T


def to_hour_of_week(instant: np.ndarray, timezone: str) -> np.ndarray:
    """Return the local hour of the week, 0 for Monday 0:00 to 1:00; int64.

    ``instant`` is in microseconds since 1970.
    """
    local = instant + find_offsets_at_instants(instant, ZoneInfo(timezone))
    return (local // US_PER_HOUR + EPOCH_HOUR_OF_WEEK) % (7 * 24)


def _flag_kinds(vocabulary: Vocabulary, names: tuple[str, ...]) -> np.ndarray:
    codes = [vocabulary.types.index(name) for name in names]
    return np.append(np.isin(np.arange(len(vocabulary.types)), codes), False)


def _classify_hours() -> np.ndarray:
    """Return for each hour of the week the counter of its events."""
    hour = np.arange(7 * 24)
    is_office = (hour % 24 >= 8) & (hour % 24 < 18)
    weekday = np.where(is_office, OFFICE_EVENTS, OTHER_HOURS)
    return np.where(hour >= WEEKEND_START_HOUR, WEEKEND_EVENTS, weekday).astype(np.int8)


# Looked up for each event once, since many rows walk over the same event.
HOUR_COUNTER = _classify_hours()


@jit_kernel
def _compute_sequence(
    history: EventHistory,
    local: SequenceEvents,
    lookups: AsOfLookups,
    flags: KindFlags,
    values: np.ndarray,
) -> None:
    """Walk each row's events from the newest to the oldest.

    This walk needs the next newer event and no windows, so it does not use ``walk_back``.
    """
    kind, time, counters = history.kind, history.time, np.zeros(8, np.int64)
    for row in range(len(lookups.cutoff)):
        cutoff, value, newer = lookups.cutoff[row], values[row], -1
        counters[:] = 0
        value[LAST_TYPE:LAST_GAP], value[FIRST_TYPE:LAST_HOUR], value[ORIGIN] = -1.0, -1.0, -1.0
        for event in range(lookups.end[row] - 1, lookups.first[row] - 1, -1):
            if not is_visible(history, event, cutoff):
                continue
            _record_latest(value, counters[EVENTS], time, kind, event, newer)
            if newer < 0:
                value[LAST_CHANNEL], value[LAST_HOUR] = history.channel[event], local.hour[event]
            counters[local.counter[event]] += 1
            _count_touch(counters, flags.outbound[kind[event]])
            if newer >= 0 and flags.closing[kind[event]] and not flags.closing[kind[newer]]:
                _begin_spell(value, counters, cutoff - time[newer])
            counters[EVENTS] += 1
            newer = event
        if newer >= 0:
            _begin_spell(value, counters, cutoff - time[newer])
            value[FIRST_TYPE], value[FIRST_CHANNEL] = kind[newer], history.channel[newer]
            value[OFFICE_SHARE] = counters[OFFICE_EVENTS] / counters[EVENTS]
            value[WEEKEND_SHARE] = counters[WEEKEND_EVENTS] / counters[EVENTS]
            value[ORIGIN] = 0.0 if flags.outbound[kind[newer]] else 1.0  # as in ORIGINS
        value[UNANSWERED] = counters[TOUCHES_SINCE_REPLY]
        value[BEFORE_REPLY] = counters[TOUCHES_BEFORE_REPLY]
        value[SPELLS] = counters[SPELL_COUNT]


@jit_inline
def _record_latest(
    value: np.ndarray, number: int, time: np.ndarray, kind: np.ndarray, event: int, newer: int
) -> None:
    """Record the types of the latest events, and the gaps between them."""
    if number < LAST_EVENTS:
        value[LAST_TYPE + number] = kind[event]
        if number:
            value[LAST_GAP + number - 1] = (time[newer] - time[event]) / US_PER_DAY


@jit_inline
def _count_touch(counters: np.ndarray, is_outbound: bool) -> None:
    """Count our touches since the newest reply and before the oldest one."""
    if is_outbound:
        counters[TOUCHES_BEFORE_REPLY] += 1
        if not counters[HAS_REPLY]:
            counters[TOUCHES_SINCE_REPLY] += 1
    else:
        counters[TOUCHES_BEFORE_REPLY] = 0
        counters[HAS_REPLY] = 1


@jit_inline
def _begin_spell(value: np.ndarray, counters: np.ndarray, age: int) -> None:
    """Record the beginning of a spell; the first one recorded is that of the latest spell."""
    if counters[SPELL_COUNT] == 0:
        value[SPELL_AGE] = age / US_PER_DAY
    counters[SPELL_COUNT] += 1
