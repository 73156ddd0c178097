"""Labels against a loop over every row and every event."""

from dataclasses import replace
from datetime import timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import ConfigError
from configs.schema import ColumnOutcome, Cutoffs, Target
from features.labels import labels, observation_date
from features.spine import scoring_spine, training_spine
from tests.features.logs import START, dataset, entities, moments, of, spine_of

TARGET = Target(outcome=("won", "call"), horizon="3d", cutoffs=Cutoffs(every="1d"))


@settings(max_examples=300, deadline=None)
@given(dataset(), st.lists(st.tuples(entities, moments), max_size=12), moments)
def test_labels_look_exactly_one_horizon_ahead(data, rows, observed):
    spine = spine_of(rows)
    expected = []
    for row in spine.to_pylist():
        start, end = row["cutoff"], row["cutoff"] + TARGET.horizon
        later = [
            e["event_time"]
            for e in data.events.to_pylist()
            if e["entity_id"] == row["entity_id"] and e["event_type"] in TARGET.outcomes and start <= e["event_time"]
        ]
        mature, label = end <= observed, int(any(time < end for time in later))
        at = min(later, default=None)
        expected.append({**row, "mature": mature, "label": label if mature else None, "outcome_at": at})
    assert labels(data, spine, TARGET, observed).to_pylist() == expected


@settings(max_examples=50, deadline=None)
@given(dataset(), moments)
def test_observation_date_never_lies_beyond_what_is_known(data, as_of):
    known = [t for t in data.leads["available_at"].to_pylist() + data.events["available_at"].to_pylist() if t < as_of]
    lag = timedelta(days=2)
    assert observation_date(data, as_of, lag) == (max(known) if known else as_of) - lag


@pytest.mark.parametrize(
    ("column", "equals", "expected"),
    [
        ([1.0, 0.0, None, 1.0], 1, [1, 0, 1]),
        ([1.0, 0.0, None, 1.0], True, [1, 0, 1]),
        (["Won", "Lost", None, "Won"], "Won", [1, 0, 1]),
    ],
)
def test_an_outcome_column_is_mature_where_it_is_filled_and_scored_where_it_is_not(column, equals, expected):
    leads = [
        {"entity_id": n, "account_id": None, "created_at": START, "available_at": START, "size": 1.0} for n in "abcd"
    ]
    data = of(leads, [])
    data = replace(data, leads=data.leads.append_column("result", pa.array(column)), timed=False)
    target = Target(outcome=ColumnOutcome(column="result", equals=equals))
    spine = training_spine(data, target, START)
    assert spine["entity_id"].to_pylist() == ["a", "b", "d"]
    found = labels(data, spine, target, START)
    assert found["label"].to_pylist() == expected and all(found["mature"].to_pylist())
    assert scoring_spine(data, target, START)["entity_id"].to_pylist() == ["c"]


def test_a_text_outcome_of_a_column_of_numbers_is_a_config_error():
    leads = [{"entity_id": "a", "account_id": None, "created_at": START, "available_at": START, "size": 1.0}]
    data, target = of(leads, []), Target(outcome=ColumnOutcome(column="size", equals="yes"))
    with pytest.raises(ConfigError, match="'yes'"):
        labels(data, training_spine(data, target, START), target, START)
