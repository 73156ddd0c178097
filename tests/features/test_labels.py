"""Labels against a loop over every row and every event."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from configs.schema import Cutoffs, Target
from features.labels import labels, observation_date
from tests.features.logs import dataset, entities, moments, spine_of

TARGET = Target(outcome=("won", "call"), horizon="3d", cutoffs=Cutoffs(every="1d"))


@settings(max_examples=300, deadline=None)
@given(dataset(), st.lists(st.tuples(entities, moments), max_size=12), moments)
def test_labels_look_exactly_one_horizon_ahead(data, rows, observed):
    spine = spine_of(rows)
    expected = []
    for row in spine.to_pylist():
        start, end = row["cutoff"], row["cutoff"] + TARGET.horizon
        hits = [
            e
            for e in data.events.to_pylist()
            if e["entity_id"] == row["entity_id"]
            and e["event_type"] in TARGET.outcomes
            and start <= e["event_time"] < end
        ]
        mature = end <= observed
        expected.append({**row, "mature": mature, "label": int(bool(hits)) if mature else None})
    assert labels(data, spine, TARGET, observed).to_pylist() == expected


@settings(max_examples=50, deadline=None)
@given(dataset(), moments)
def test_observation_date_never_lies_beyond_what_is_known(data, as_of):
    known = [t for t in data.leads["available_at"].to_pylist() + data.events["available_at"].to_pylist() if t < as_of]
    lag = timedelta(days=2)
    assert observation_date(data, as_of, lag) == (max(known) if known else as_of) - lag
