"""Labels against a loop over all rows and all events."""

from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from math import nan
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import ConfigError
from configs.targets import ColumnOutcome, Cutoffs, Target
from features.contracts import EVENTS
from features.labels import compute_labels, find_outcome_values
from features.spine import build_scoring_spine, build_training_spine
from features.times.data_end import find_data_end
from tests.features.logs import HOUR, START, TICK, dataset, entities, moments, of, spine_of

ORDER = ("event_time", "available_at", "event_type", "channel", "value")
UTC = ZoneInfo("UTC")
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
            if e["entity_id"] == row["entity_id"]
            and e["event_type"] in TARGET.outcome_types
            and start <= e["event_time"]
        ]
        mature, label = end <= observed, int(any(time < end for time in later))
        at = min(later, default=None)
        expected.append(
            {**row, "mature": mature, "label": label if mature else None, "outcome_at": at}
        )
    assert compute_labels(data, spine, TARGET, observed).to_pylist() == expected


@settings(max_examples=60, deadline=None)
@given(dataset(), st.lists(st.tuples(entities, moments), max_size=12))
def test_outcome_value_is_that_of_the_first_event(data, rows):
    spine = spine_of(rows)
    expected = []
    for row in spine.to_pylist():
        later = [
            e
            for e in data.events.to_pylist()
            if e["entity_id"] == row["entity_id"]
            and e["event_type"] in TARGET.outcome_types
            and row["cutoff"] <= e["event_time"]
        ]
        first = min(
            later,
            key=lambda e: [[] if e[n] is None else [e[n]] for n in ORDER],
            default={"value": None},
        )
        expected.append(nan if first["value"] is None else first["value"])
    assert find_outcome_values(data, spine, TARGET) == pytest.approx(
        expected, rel=0, abs=0, nan_ok=True
    )


@pytest.mark.parametrize(
    ("column", "others"),
    [
        ("available_at", [START + HOUR, START + 2 * HOUR]),
        ("event_type", ["call", "won"]),
        ("channel", [None, "web"]),
    ],
)
def test_outcome_value_at_tied_instants_follows_column_order(column, others):
    same = {
        "entity_id": "a",
        "event_time": START,
        "available_at": START,
        "event_type": "won",
        "channel": "web",
    }
    lead = {
        "entity_id": "a",
        "account_id": None,
        "created_at": START,
        "available_at": START,
        "size": 1.0,
    }
    events = [
        same | {column: other, "value": value}
        for other, value in zip(others, (7.0, 1.0), strict=True)
    ]
    events.append(same | {column: others[0], "value": 8.0})
    for log in permutations(events):
        data = replace(of([lead], []), events=pa.Table.from_pylist(list(log), schema=EVENTS))
        assert find_outcome_values(data, spine_of([("a", START)]), TARGET).tolist() == [7.0]


@pytest.mark.parametrize(
    ("column", "equals", "expected"),
    [
        ([1.0, 0.0, None, 1.0], 1, [1, 0, 1]),
        ([1.0, 0.0, None, 1.0], True, [1, 0, 1]),
        (["Won", "Lost", None, "Won"], "Won", [1, 0, 1]),
    ],
)
def test_outcome_column_is_mature_if_filled_else_scored(column, equals, expected):
    leads = [
        {
            "entity_id": n,
            "account_id": None,
            "created_at": START,
            "available_at": START,
            "size": 1.0,
        }
        for n in "abcd"
    ]
    data = of(leads, [])
    data = replace(data, leads=data.leads.append_column("result", pa.array(column)), timed=False)
    target = Target(outcome=ColumnOutcome(column="result", equals=equals))
    spine = build_training_spine(data, target, START)
    assert spine["entity_id"].to_pylist() == ["a", "b", "d"]
    found = compute_labels(data, spine, target, START)
    assert found["label"].to_pylist() == expected and all(found["mature"].to_pylist())
    assert build_scoring_spine(data, target, START)["entity_id"].to_pylist() == ["c"]


def test_text_outcome_of_numeric_column_raises():
    leads = [
        {
            "entity_id": "a",
            "account_id": None,
            "created_at": START,
            "available_at": START,
            "size": 1.0,
        }
    ]
    data, target = of(leads, []), Target(outcome=ColumnOutcome(column="size", equals="yes"))
    with pytest.raises(ConfigError, match="'yes'"):
        compute_labels(data, build_training_spine(data, target, START), target, START)


def aged(ages, column, timed=True):
    """Return leads of these ages in days at START, with a column ``result``."""
    leads = [
        {
            "entity_id": f"L{number:03}",
            "account_id": None,
            "created_at": START - timedelta(days=age),
            "available_at": START - timedelta(days=age),
            "size": 1.0,
        }
        for number, age in enumerate(ages)
    ]
    data = of(leads, [])
    result = pa.array(column, pa.float64())
    return replace(data, leads=data.leads.append_column("result", result), timed=timed)


AGED_LEADS = st.lists(
    st.tuples(st.floats(0, 60), st.sampled_from([1.0, 0.0, None])), min_size=1, max_size=8
)


@settings(max_examples=200, deadline=None)
@given(AGED_LEADS, st.sampled_from([None, "0d", "7d", "30d"]), st.sampled_from([0, 5]))
def test_outcome_column_is_mature_from_an_age_on(leads, mature_after, wait):
    data = aged([age for age, _ in leads], [value for _, value in leads])
    outcome = ColumnOutcome(column="result", equals=1, mature_after=mature_after)
    target = Target(outcome=outcome)
    observed = (find_data_end(data.cut_at(START), UTC) or START) - timedelta(days=wait)
    least = outcome.mature_after or timedelta(0)
    expected = [
        int(value) if row["created_at"] + least <= observed else None
        for row, (_, value) in zip(data.leads.to_pylist(), leads, strict=True)
        if value is not None
    ]
    spine = build_training_spine(data, target, START + TICK)
    found = compute_labels(data, spine, target, observed)
    by_entity = dict(zip(found["entity_id"].to_pylist(), found["label"].to_pylist(), strict=True))
    assert [by_entity[entity] for entity in sorted(by_entity)] == expected
    assert found["mature"].to_pylist() == [
        label is not None for label in found["label"].to_pylist()
    ]


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(AGED_LEADS, AGED_LEADS)
def test_young_leads_change_no_label_of_older_ones(old, young):
    target = Target(outcome=ColumnOutcome(column="result", equals=1, mature_after="90d"))
    # All young leads are younger than 90 days; the newest of all is from START in both data sets.
    ages = [0, *(age + 60 for age, _ in old)]
    values = [0.0, *(value for _, value in old)]
    more = aged([*ages, *(age for age, _ in young)], [*values, *(value for _, value in young)])
    labels = []
    for data in (aged(ages, values), more):
        observed = find_data_end(data.cut_at(START + TICK), UTC)
        spine = build_training_spine(data, target, START + TICK)
        rows = compute_labels(data, spine, target, observed).to_pylist()
        labels.append({row["entity_id"]: row for row in rows})
    alone, together = labels
    assert {name: together[name] for name in alone} == alone
    assert sum(row["mature"] for row in together.values()) == sum(
        row["mature"] for row in alone.values()
    )


@pytest.mark.parametrize(
    ("column", "equals", "expected"),
    [
        (["Won", "won", "Lost", "Signed"], ["Won", "Signed"], [1, 0, 0, 1]),
        ([1.0, 0.0, 2.0, None], [1, 2], [1, 0, 1]),
        ([1.0, 0.0, 2.0, None], [True, 2.0], [1, 0, 1]),
        (["1", "yes", "True", "no"], [1, True, "yes"], [1, 1, 1, 0]),
    ],
)
def test_values_of_a_list_are_the_outcome(column, equals, expected):
    data = aged([1, 1, 1, 1], [1.0] * 4)
    at = data.leads.column_names.index("result")
    data = replace(data, leads=data.leads.set_column(at, "result", pa.array(column)))
    target = Target(outcome=ColumnOutcome(column="result", equals=equals))
    spine = build_training_spine(data, target, START)
    assert compute_labels(data, spine, target, START)["label"].to_pylist() == expected
