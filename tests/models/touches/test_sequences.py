"""Sequences of touches against plain loops, with ties, and their invariants."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.tools.instants import NEVER_US
from models.touches.sequences import (
    AnswerTimes,
    LeadAnswers,
    TouchSequences,
    build_sequences,
    number_next_touch,
)
from tests.models.touches.plain import KINDS, Event, follow_leads

HORIZON, QUIET = 14, 40
# Few instants, so that ties, gaps on the edge of a window and simultaneous touches occur.
EVENTS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 60), st.sampled_from(KINDS), st.integers(0, 2)),
    max_size=40,
)


def build(events: list[Event], observed: int = 70) -> tuple[TouchSequences, LeadAnswers]:
    """Return the sequences of events and what the leads answered."""

    def take(kind: str) -> list[Event]:
        return [event for event in events if event[2] == kind]

    def make_times(kind: str) -> AnswerTimes:
        lead, time = (np.array([e[i] for e in take(kind)], np.int64) for i in (0, 1))
        return AnswerTimes.from_unordered(lead, time)

    answers = LeadAnswers(*(make_times(kind) for kind in KINDS[1:]))
    touches = [np.array([e[i] for e in take("touch")], np.int64) for i in (0, 1, 3)]
    return build_sequences(tuple(touches), answers, HORIZON, QUIET, observed), answers


@given(EVENTS)
def test_sequences_equal_plain_loops(events: list[Event]) -> None:
    sequences, _ = build(events)
    expected = follow_leads(events, HORIZON, QUIET, 70)
    names = ("lead", "time", "channel", "at_risk", "number", "replied", "opted_out", "mature")
    for name in names:
        assert getattr(sequences, name).tolist() == [row[name] for row in expected], name
    gaps = [None if gap == NEVER_US else gap for gap in sequences.gap.tolist()]
    assert gaps == [row["gap"] for row in expected]
    keys = [row["sequence"] for row in expected]
    pairs = set(zip(sequences.sequence.tolist(), keys, strict=True))
    assert len(pairs) == len({number for number, _ in pairs}) == len({key for _, key in pairs})


@given(EVENTS, st.randoms())
def test_order_of_the_rows_changes_nothing(events: list[Event], random) -> None:
    shuffled = random.sample(events, len(events))
    first, again = build(events)[0], build(shuffled)[0]
    for name in vars(first):
        assert np.array_equal(getattr(first, name), getattr(again, name)), name


@given(EVENTS, st.integers(0, 60))
def test_mature_touches_do_not_depend_on_later_events(events: list[Event], now: int) -> None:
    known = [event for event in events if event[1] < now]
    early, whole = build(known, now)[0], build(events, now)[0]
    old, new = early.counted, whole.counted
    for name in ("lead", "time", "channel", "number", "replied", "opted_out"):
        assert np.array_equal(getattr(early, name)[old], getattr(whole, name)[new]), name


@given(EVENTS)
def test_next_touch_has_the_number_of_one_that_is_added(events: list[Event]) -> None:
    sequences, answers = build(events)
    leads = np.arange(4)
    numbers = number_next_touch(sequences, answers, leads, 65)
    added = build([*events, *((lead, 65, "touch", 0) for lead in range(4))])[0]
    last = added.time == 65
    at_risk = added.at_risk[last]
    assert numbers[at_risk].tolist() == added.number[last][at_risk].tolist()


def test_reply_counts_for_the_last_touch_before_it_alone() -> None:
    sequences, _ = build([(0, 0, "touch", 0), (0, 10, "touch", 0), (0, 12, "reply", 0)])
    assert sequences.replied.tolist() == [False, True]


def test_reply_after_the_horizon_counts_for_no_touch() -> None:
    sequences, _ = build([(0, 0, "touch", 0), (0, HORIZON, "reply", 0)])
    assert sequences.replied.tolist() == [False]


def test_touches_are_immature_as_long_with_a_next_touch_as_without() -> None:
    # Only a lead without a reply gets a next touch: the replies of others would be missing.
    sequences, _ = build([(0, 0, "touch", 0), (0, 5, "touch", 0), (1, 0, "touch", 0)], observed=13)
    assert not sequences.mature.any()


def test_lead_is_at_risk_again_when_its_reply_is_old() -> None:
    touches = [(0, at, "touch", 0) for at in (0, 10, 41, 42, 50)]
    sequences, _ = build([*touches, (0, 2, "reply", 0)])
    assert sequences.at_risk.tolist() == [True, False, False, True, True]
    assert sequences.number.tolist() == [1, 0, 0, 1, 2]
