"""Horizon, cutoffs and recording start follow from the times in the data."""

from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.tools.instants import US_PER_DAY
from pipelines.proposal.findings.event_logs import describe_events
from pipelines.proposal.findings.timing import (
    COMMON_DAYS,
    choose_timing,
    find_recording_start,
    parse_horizon,
    round_horizon,
)


def make_events(rows):
    """Return events of (entity, type, day)."""
    entity, kind, day = zip(*rows, strict=True)
    us = np.array(day, float) * US_PER_DAY
    return pa.table({"entity": list(entity), "type": list(kind), "us": us})


def make_sales(count=400, lag=12, touches=0, first_sale=0):
    rows = []
    for i in range(count):
        rows.append((f"L{i}", "", i))
        rows += [(f"L{i}", "visit", i + 1 + j) for j in range(touches)]
        if i % 3 == 0 and i + lag >= first_sale:
            rows.append((f"L{i}", "won", i + lag))
    return make_events(rows)


@given(st.lists(st.floats(0, 2000), min_size=1, max_size=50), st.floats(1, 3000))
def test_horizon_is_usual_and_fits_the_data(lags, span):
    days = round_horizon(np.sort(np.array(lags)), span)
    assert days in COMMON_DAYS
    assert days == COMMON_DAYS[0] or days <= span / 4


@pytest.mark.parametrize(("lag", "days"), [(0.5, 1), (6, 7), (25, 30), (31, 30), (50, 60)])
def test_horizon_covers_most_lags(lag, days):
    assert round_horizon(np.full(100, float(lag)), 1000) == days


def test_leads_without_touches_are_seen_once():
    events = make_sales()
    timing = choose_timing(events, describe_events(events)["won"], has_touches=False, daily=True)
    assert (timing.delay, timing.every, timing.horizon) == ("1d", None, 14)
    assert timing.observed_from is None


def test_leads_with_touches_are_seen_every_week():
    events = make_sales(touches=3)
    timing = choose_timing(events, describe_events(events)["won"], has_touches=True, daily=False)
    assert (timing.every, timing.max_age, timing.recurring) == (7, 60, False)
    many = choose_timing(
        events, describe_events(events)["won"], has_touches=True, daily=False, horizon=90
    )
    assert (many.horizon, many.max_age) == (90, 270)


def test_repeated_outcome_recurs():
    rows = [(f"C{i}", "purchase", i % 50 + 40 * j) for i in range(100) for j in range(1 + i % 4)]
    events = make_events(rows)
    facts = describe_events(events)["purchase"]
    timing = choose_timing(events, facts, has_touches=False, daily=True)
    assert timing.recurring and timing.max_age is None and timing.every == 7


def test_outcomes_that_begin_late_were_not_recorded_before():
    late = make_sales(first_sale=200)
    won = describe_events(late)["won"]
    assert find_recording_start(late, won, 14) == date(1970, 7, 21)
    few = make_events([*((f"L{i}", "", i) for i in range(100)), ("L90", "won", 95)])
    assert find_recording_start(few, describe_events(few)["won"], 7) is None
    whole = make_sales()
    assert find_recording_start(whole, describe_events(whole)["won"], 14) is None


def test_types_are_ordered_by_their_median_first_time():
    rows = []
    for i in range(30):
        rows += [(f"L{i}", "", i), (f"L{i}", "demo", i + 9), (f"L{i}", "mql", i + 2 + i % 3)]
    facts = describe_events(make_events(rows))
    assert list(facts) == ["mql", "demo"]
    assert facts["demo"].median_days == 9 and facts["demo"].entities == 30


@pytest.mark.parametrize("text", ["soon", "12h", "1.5d"])
def test_horizon_is_whole_days(text):
    with pytest.raises(ValueError, match=r"\w"):
        parse_horizon(text)
    assert parse_horizon("2w") == 14
