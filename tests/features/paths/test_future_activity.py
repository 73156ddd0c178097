"""Future activity against a loop over all rows and all events."""

from dataclasses import replace

import numpy as np
import pyarrow.compute as pc
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.targets import ColumnOutcome, Cutoffs, Target
from features.contracts import ACTIVITY_SPAN
from features.paths.future_activity import count_future_events
from tests.features.logs import START, dataset, entities, moments, spine_of

TARGET = Target(outcome=("won", "call"), horizon="3d", cutoffs=Cutoffs(every="1d"))


def count_by_loop(data, row, unused):
    """Count the events of a week that were known at its end, apart from outcomes."""
    start, end = row["cutoff"], row["cutoff"] + ACTIVITY_SPAN
    return sum(
        start <= event["event_time"] < end and event["available_at"] < end
        for event in data.events.to_pylist()
        if event["entity_id"] == row["entity_id"]
        and event["event_type"] not in (*TARGET.outcome_types, *unused)
    )


@settings(max_examples=100, deadline=None)
@given(
    dataset(),
    st.lists(st.tuples(entities, moments), max_size=12),
    st.sets(st.sampled_from(["mail", "visit", "won"])),
)
def test_future_events_equal_a_loop(data, rows, unused):
    spine = spine_of(rows)
    expected = [count_by_loop(data, row, unused) for row in spine.to_pylist()]
    assert count_future_events(data, spine, TARGET, tuple(unused)).tolist() == expected


@settings(max_examples=50, deadline=None)
@given(dataset(), entities, moments)
def test_future_events_ignore_what_is_known_after_their_week(data, entity, cutoff):
    spine = spine_of([(entity, cutoff)])
    known = data.events.filter(pc.less(data.events["available_at"], cutoff + ACTIVITY_SPAN))
    cut = replace(data, events=known)
    counts = (count_future_events(log, spine, TARGET).tolist() for log in (data, cut))
    assert len(set(map(tuple, counts))) == 1


def test_outcome_column_has_no_activity():
    target = Target(outcome=ColumnOutcome(column="Converted", equals=1))
    spine = spine_of([("a", START)])
    assert np.isnan(count_future_events(None, spine, target)).tolist() == [True]
