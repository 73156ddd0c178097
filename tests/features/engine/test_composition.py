"""Compositions against a count of the events one by one, in plain Python."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from features.build import build_features
from features.engine.composition import EventCompositions
from features.engine.kernels.composition import MAX_LISTED_TYPES
from tests.features import logs
from tests.features.logs import CATALOG, START, TICK, of, spine_of
from tests.features.oracle import Row, World, instant, micros

COMPOSED = [feature for feature in CATALOG.features if feature.meaning.has_composition]


def list_events(row, feature):
    """Return the events behind a feature's value, oldest first, straight from the definitions."""
    events = sorted(row.of(feature), key=lambda event: event.time)
    if feature.aggregate == "age":
        return events[-1:]
    span = None if feature.span is None else micros(feature.span)
    return [event for event in events if span is None or row.back(event.time) <= span]


def composed(data, spine, features, unlisted=frozenset(), catalog=CATALOG):
    """Return (types, rest) of each feature of each spine row."""
    compositions = EventCompositions.from_dataset(data, spine, catalog, unlisted)
    rows = np.repeat(np.arange(spine.num_rows), len(features))
    which = np.tile(np.arange(len(features)), spine.num_rows)
    found = compositions.count_types(rows, [feature.meaning for feature in features], which)
    named = [
        [(catalog.types[code], count) for code, count in zip(codes, counts, strict=True) if count]
        for codes, counts in zip(found.types.tolist(), found.counts.tolist(), strict=True)
    ]
    flat = list(zip(named, found.rest.tolist(), strict=True))
    return [flat[start : start + len(features)] for start in range(0, len(flat), len(features))]


def by_hand(events, unlisted, catalog=CATALOG):
    """Return the largest types by count, ties by name, and the events of all others."""
    listed = set(catalog.types) - unlisted
    counts = Counter(event.type for event in events if event.type in listed)
    largest = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:MAX_LISTED_TYPES]
    return largest, len(events) - sum(count for _, count in largest)


def check(data, spine, unlisted=frozenset()):
    world = World(data, CATALOG)
    for (entity, cutoff), found in zip(
        zip(spine["entity_id"].to_pylist(), spine["cutoff"].to_pylist(), strict=True),
        composed(data, spine, COMPOSED, unlisted),
        strict=True,
    ):
        row = Row(world, entity, instant(cutoff))
        for feature, (types, rest) in zip(COMPOSED, found, strict=True):
            events = list_events(row, feature)
            if feature.aggregate == "age" and events:
                newest = {event.type for event in row.of(feature) if event.time == events[-1].time}
                assert sum(count for _, count in types) + rest == 1
                assert {name for name, _ in types} <= newest - unlisted
                assert types or newest - (set(CATALOG.types) - unlisted)
            else:
                assert (types, rest) == by_hand(events, unlisted), feature.name


@given(logs.dataset(), logs.spines, st.sampled_from([frozenset(), frozenset({"call", "won"})]))
@logs.examples(60)
def test_composition_counts_the_events_of_each_type(data, spine, unlisted):
    check(data, spine, unlisted)


@given(logs.crowds, st.lists(logs.moments, min_size=2, max_size=4))
@logs.examples(10)
def test_composition_of_a_larger_log(data, cutoffs):
    names = data.leads["entity_id"].to_pylist()
    check(
        data, spine_of([(name, cutoffs[place % len(cutoffs)]) for place, name in enumerate(names)])
    )


@given(logs.crowds, logs.moments)
@logs.examples(10)
def test_composition_adds_up_to_the_feature(data, cutoff):
    """The total is the value of the feature, which the kernels of the matrix compute."""
    spine = spine_of([(name, cutoff) for name in data.leads["entity_id"].to_pylist()])
    counted = [feature for feature in COMPOSED if feature.aggregate == "count"]
    assert {feature.scope for feature in counted} == {"entity", "account", "others"}
    matrix = build_features(data, spine, CATALOG.select(f.name for f in counted)).to_pylist()
    for row, found in zip(matrix, composed(data, spine, counted), strict=True):
        totals = [sum(count for _, count in types) + rest for types, rest in found]
        assert totals == [row[feature.name] for feature in counted]


@given(logs.dataset(), logs.spines, st.permutations(range(25)))
@logs.examples(20)
def test_composition_ignores_order_and_shards(data, spine, order):
    places = [place for place in order if place < data.events.num_rows]
    shuffled = replace(data, events=data.events.take(pa.array(places, pa.int64())))
    assert composed(data, spine, COMPOSED) == composed(shuffled, spine, COMPOSED)


def test_composition_sees_nothing_that_was_not_known():
    """Half-open on both sides: the window's first instant counts, the cutoff does not."""
    cutoff, week = START + timedelta(days=10), timedelta(days=7)
    day = timedelta(days=1)

    def event(at, kind, known=None):
        return {
            "entity_id": "a",
            "event_time": at,
            "available_at": known or at,
            "event_type": kind,
            "channel": "web",
            "value": None,
        }

    lead = {"entity_id": "a", "account_id": None, "created_at": START, "available_at": START}
    data = of(
        [lead | {"size": None, "role": None}],
        [
            event(cutoff - week, "call"),
            event(cutoff - week - TICK, "mail"),
            event(cutoff - day, "visit"),
            event(cutoff - 2 * day, "visit", known=cutoff),
            event(cutoff - 2 * day + TICK, "visit", known=cutoff - TICK),
            event(cutoff, "won"),
        ],
    )
    (feature,) = [f for f in COMPOSED if f.name == "any_count_7d"]
    (((types, rest),),) = composed(data, spine_of([("a", cutoff)]), [feature])
    assert (types, rest) == ([("visit", 2), ("call", 1)], 0)
