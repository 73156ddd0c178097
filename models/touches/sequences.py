"""Sequences of touches: which lead was at risk of a reply at which touch, and what came of it.

A touch at t is at risk if just before t the lead was unresponsive (its last reply, if any, lies at
least ``quiet_after`` before) and reachable (no opt-out, not ended). It is numbered among the
touches at risk since the last reply. A reply, or an opt-out, belongs to the last touch before it,
and to none after the horizon: the window of a touch is ``[t, min(t + horizon, next touch))``. It
ends with the lead's opt-out or end, at whose instant a reply still counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from features.tools.binary_search import find_lower_bounds
from features.tools.instants import NEVER_US

# Before every instant, as NEVER_US is after it; half the range, so that differences do not wrap.
ALWAYS_US = -(NEVER_US // 2)


@dataclass(frozen=True)
class AnswerTimes:
    """Instants of one kind of event, ordered by lead and time.

    Attributes:
        lead: Lead of each, int64.
        time: Its instant, int64 microseconds.
    """

    lead: np.ndarray
    time: np.ndarray

    @classmethod
    def from_unordered(cls, lead: np.ndarray, time: np.ndarray) -> AnswerTimes:
        """Return instants in any order as ordered ones."""
        order = np.lexsort((time, lead))
        return cls(lead[order], time[order])

    def find_next(self, lead: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Return the first instant of each lead that is not before ``at``; NEVER_US without one."""
        place, _, last = self._find_places(lead, at)
        instant = np.append(self.time, NEVER_US)[place]
        return np.where(place < last, instant, NEVER_US)

    def find_last(self, lead: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Return the last instant of each lead before ``at``; ALWAYS_US without one."""
        place, first, _ = self._find_places(lead, at)
        instant = np.append(self.time, ALWAYS_US)[place - 1]
        return np.where(place > first, instant, ALWAYS_US)

    def count_before(self, lead: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Return the number of instants of each lead before ``at``, int64."""
        place, first, _ = self._find_places(lead, at)
        return place - first

    def _find_places(
        self, lead: np.ndarray, at: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        first, last = (np.searchsorted(self.lead, lead, side) for side in ("left", "right"))
        return find_lower_bounds(self.time, first, last, at), first, last


@dataclass(frozen=True)
class LeadAnswers:
    """What leads did, and what became of them.

    Attributes:
        replies: Their replies.
        opt_outs: Their opt-outs.
        ends: What ended their touches.
        reopens: What opened them again.
    """

    replies: AnswerTimes
    opt_outs: AnswerTimes
    ends: AnswerTimes
    reopens: AnswerTimes

    def find_opted_out(self, lead: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Return whether each lead had opted out before ``at``."""
        return self.opt_outs.count_before(lead, at) > 0

    def find_ended(self, lead: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Return whether each lead had ended before ``at``, and had not opened again since."""
        ended = self.ends.find_last(lead, at)
        result: np.ndarray = (ended > ALWAYS_US) & (ended >= self.reopens.find_last(lead, at))
        return result

    def find_responsive(self, lead: np.ndarray, at: np.ndarray, quiet_after: int) -> np.ndarray:
        """Return whether each lead had replied less than ``quiet_after`` before ``at``."""
        result: np.ndarray = self.replies.find_last(lead, at) > at - quiet_after
        return result


@dataclass(frozen=True)
class TouchSequences:
    """Touches ordered by lead and time, at most one at an instant of a lead.

    Attributes:
        lead: Lead of each, int64.
        time: Its instant, int64 microseconds.
        channel: Number of its channel, int64.
        sequence: Number of the sequence it belongs to: the touches since a reply, int64.
        at_risk: Whether the lead was unresponsive and reachable.
        number: Touches of its sequence at risk until it, itself included, int64.
        gap: Microseconds since the touch before, int64; NEVER_US for a lead's first.
        replied: Whether a reply belongs to it.
        opted_out: Whether an opt-out belongs to it.
        mature: Whether its whole horizon lies before the observation date.
    """

    lead: np.ndarray
    time: np.ndarray
    channel: np.ndarray
    sequence: np.ndarray
    at_risk: np.ndarray
    number: np.ndarray
    gap: np.ndarray
    replied: np.ndarray
    opted_out: np.ndarray
    mature: np.ndarray

    @cached_property
    def counted(self) -> np.ndarray:
        """Return the rows of touches that are at risk and mature, int64."""
        return np.flatnonzero(self.at_risk & self.mature)

    @cached_property
    def times(self) -> AnswerTimes:
        """Return the instants of all touches."""
        return AnswerTimes(self.lead, self.time)


def build_sequences(
    touches: tuple[np.ndarray, np.ndarray, np.ndarray],
    answers: LeadAnswers,
    horizon: int,
    quiet_after: int,
    observed: int,
) -> TouchSequences:
    """Return the sequences of touches, given as lead, time and channel in any order.

    Of several touches of a lead at one instant it is that of the lowest channel. Durations and the
    observation date are int64 microseconds.
    """
    lead, time, channel = _drop_simultaneous(*touches)
    replies_before = answers.replies.count_before(lead, time)
    at_risk = ~(
        answers.find_responsive(lead, time, quiet_after)
        | answers.find_opted_out(lead, time)
        | answers.find_ended(lead, time)
    )
    is_new_lead = np.diff(lead, prepend=-1) != 0
    is_new = is_new_lead | (np.diff(replies_before, prepend=-1) != 0)
    next_touch = np.append(np.where(is_new_lead[1:], NEVER_US, time[1:]), NEVER_US)[: len(time)]
    close = np.minimum(time + horizon, next_touch)
    opt_out = answers.opt_outs.find_next(lead, time)
    stop = np.minimum(opt_out, answers.ends.find_next(lead, time))
    reply = answers.replies.find_next(lead, time)
    return TouchSequences(
        lead,
        time,
        channel,
        np.cumsum(is_new) - 1,
        at_risk,
        _number_touches(at_risk, is_new),
        np.where(is_new_lead, NEVER_US, np.diff(time, prepend=0)),
        (reply < close) & (reply <= stop),
        opt_out < close,
        # Not sooner where the next touch comes: only touches without a reply are followed by one.
        time + horizon <= observed,
    )


def number_next_touch(
    sequences: TouchSequences, answers: LeadAnswers, leads: np.ndarray, as_of: int
) -> np.ndarray:
    """Return the number that a touch of each lead at ``as_of`` would have if it is at risk."""
    at = np.full(len(leads), as_of)
    last = sequences.times.find_last(leads, at)
    # Touches before the last reply belong to another sequence.
    has_own = (last > ALWAYS_US) & (last > answers.replies.find_last(leads, at))
    place = np.searchsorted(sequences.lead, leads, "right") - 1
    # Place -1 is of leads without a touch.
    return np.where(has_own, np.append(sequences.number, 0)[place] + 1, 1)


def _drop_simultaneous(
    lead: np.ndarray, time: np.ndarray, channel: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    order = np.lexsort((channel, time, lead))
    lead, time, channel = lead[order], time[order], channel[order]
    is_other = (np.diff(lead, prepend=-1) != 0) | (np.diff(time, prepend=ALWAYS_US) != 0)
    return lead[is_other], time[is_other], channel[is_other]


def _number_touches(at_risk: np.ndarray, is_new: np.ndarray) -> np.ndarray:
    """Return the touches at risk from the start of each sequence to each touch, int64."""
    total = np.cumsum(at_risk)
    start = np.flatnonzero(is_new)
    before = np.repeat(total[start] - at_risk[start], np.diff(np.append(start, len(at_risk))))
    number: np.ndarray = total - before
    return number
