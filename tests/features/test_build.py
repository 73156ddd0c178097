"""All features of the matrix against the oracle, on generated histories and on large ones.

``tests/features/oracle.py`` has the definitions, ``test_oracle.py`` cases calculated by hand.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import DataError
from features.build import build_features
from features.contracts import EVENTS, LEADS
from features.definitions.catalog import MAX_TYPES, Catalog
from features.tools.instants import to_microseconds
from tests.features.agreement import disagreements, same_bits
from tests.features.logs import (
    AUTUMN,
    CATALOG,
    CHANNELS,
    HOUR,
    ROLES,
    START,
    TICK,
    TYPES,
    crowd,
    crowds,
    dataset,
    delays,
    entities,
    examples,
    moments,
    of,
    one_of_each,
    spine_of,
    spines,
)

LEAD = {
    "entity_id": "a",
    "account_id": None,
    "created_at": START,
    "available_at": START,
    "size": 1.0,
    "role": None,
}
LATER = AUTUMN + timedelta(days=30)


def check(data, spine, catalog=CATALOG):
    assert disagreements(build_features(data, spine, catalog), data, spine, catalog) == []


@examples(120)
@given(dataset(), spines)
def test_features_equal_the_oracle(data, spine):
    check(data, spine)


@examples(12)
@given(crowds, st.data())
def test_features_of_many_entities_equal_the_oracle(data, draw):
    names = data.leads["entity_id"].to_pylist()
    rows = st.tuples(
        st.sampled_from(names), st.integers(6, 20).map(lambda day: START + timedelta(days=day))
    )
    check(data, spine_of(draw.draw(st.lists(rows, min_size=6, max_size=6))))


def some(names):
    return st.lists(st.sampled_from(names), unique=True).map(tuple)


@st.composite
def catalogs(draw):
    """Draw a catalog with some words of the histories; a window may be twice another."""
    types, channels = draw(some(TYPES)), draw(some(CHANNELS[:-1]))
    return Catalog(
        types=tuple(sorted(types)),
        channels=tuple(sorted(channels)),
        valued=types[::2],
        stages=draw(some(TYPES)),
        windows=tuple(
            sorted(draw(some([TICK, HOUR, 6 * HOUR, 12 * HOUR, 24 * HOUR, 36 * HOUR, 168 * HOUR])))
        ),
        half_lives=tuple(sorted(draw(some([12 * HOUR, 48 * HOUR])))),
        outbound=types[1:3],
        ends=types[2:],
        offline=channels[:1],
        role=draw(st.sampled_from(["", "role"])),
        roles=draw(some(ROLES[:-1])),
        accounts=draw(st.booleans()),
    )


@examples(25)
@given(dataset(), spines, catalogs())
def test_features_of_random_catalogs_equal_the_oracle(data, spine, catalog):
    check(data, spine, catalog)


def test_widest_catalog_equals_the_oracle():
    types, channels, roles = (
        tuple(f"{word}{number:02}" for number in range(MAX_TYPES)) for word in "tcr"
    )
    leads = [
        LEAD | {"entity_id": f"e{number}", "account_id": "x", "role": role}
        for number, role in enumerate(roles)
    ]
    events = [
        {
            "entity_id": f"e{number}",
            "event_time": START + number * HOUR,
            "available_at": START + number * HOUR,
        }
        | {"event_type": types[-1 - number], "channel": channels[number], "value": float(number)}
        for number in range(MAX_TYPES)
    ]
    words = {
        "types": types,
        "channels": channels,
        "valued": types,
        "stages": types,
        "outbound": types[::2],
    }
    words |= {"offline": channels[30:], "ends": types[50:], "roles": roles}
    catalog = replace(CATALOG, **words, windows=(24 * HOUR,), half_lives=())
    check(
        of(leads, events),
        spine_of([(name, START + 59 * HOUR) for name in ("e0", "e58", "e59")]),
        catalog,
    )


def test_generated_crowds_have_stalled_entities():
    data = crowd(7)
    spine = spine_of(
        [(name, START + timedelta(days=15)) for name in data.leads["entity_id"].to_pylist()]
    )
    found = build_features(data, spine, CATALOG.select(["stage_stalled"]))[
        "stage_stalled"
    ].to_numpy()
    assert np.isfinite(found).sum() > 0 and len(set(found[np.isfinite(found)])) > 3


zones = st.sampled_from(
    [
        "America/St_Johns",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "Europe/Amsterdam",
        "Pacific/Apia",
        "UTC",
    ]
)
ages = st.sampled_from(
    [datetime(1905, 6, 1, 7, 40, 27, tzinfo=UTC), datetime(2036, 7, 1, 16, 30, tzinfo=UTC)]
)
centuries = moments | st.builds(lambda at, hours: at + hours * HOUR, ages, st.integers(-40, 40))


@examples(40)
@given(
    dataset(centuries),
    st.lists(st.tuples(entities, centuries), min_size=1, max_size=6).map(spine_of),
    zones,
)
def test_hours_are_local_in_any_zone_and_century(data, spine, zone):
    aggregates = (
        "office_hours",
        "weekend",
        "last_hour",
        "created_hour",
        "created_age",
        "age",
        "first",
        "last_gap",
    )
    named = [feature.name for feature in CATALOG.features if feature.aggregate in aggregates]
    check(data, spine, replace(CATALOG.select(named), timezone=zone))


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/St_Johns"])
def test_hours_are_local_after_2037(zone):
    far = datetime(2150, 7, 1, 16, 30, tzinfo=UTC)
    one = {
        "entity_id": "a",
        "event_time": far,
        "available_at": far,
        "event_type": "call",
        "channel": None,
    }
    catalog = replace(CATALOG.select(["last_hour_of_week", "created_hour_of_week"]), timezone=zone)
    check(
        of([LEAD | {"created_at": far}], [one | {"value": 2.0}]),
        spine_of([("a", far + HOUR)]),
        catalog,
    )


values = st.builds(
    lambda name, attribute, since, delay, number: {
        "entity_id": name,
        "attribute": attribute,
        "valid_from": since,
        "available_at": since + delay,
        "value": number,
    },
    entities,
    st.sampled_from(["plan", "seats"]),
    moments,
    delays,
    st.sampled_from([None, "1", "12", "3.5"]),
)


@examples(20)
@given(dataset(), st.lists(values, max_size=12), spines)
def test_values_are_those_known_at_the_cutoff(data, history, spine):
    data = of(data.leads.to_pylist(), data.events.to_pylist(), history)
    catalog = replace(CATALOG, dated=(("plan", "category"), ("seats", "number")))
    check(data, spine, catalog.select(["size", "role", "plan", "seats", "any_count_all"]))


def test_entity_with_100000_events_equals_the_oracle():
    data = log_of(100_000, leads=1, seed=1)
    check(data, spine_of([("e0", LATER - timedelta(days=2))]), one_of_each(CATALOG))


def test_large_account_equals_the_oracle():
    data = log_of(10_000, leads=1_000, seed=3, account="x")
    names = data.leads["entity_id"].to_pylist()
    spine = spine_of([(name, LATER - timedelta(days=days)) for name in names for days in (20, 27)])
    catalog = one_of_each(CATALOG)
    matrix, some = build_features(data, spine, catalog), [0, 999, 1500]
    assert disagreements(matrix.take(some), data, spine.take(some), catalog) == []
    for row in some:
        assert same_bits(build_features(data, spine.slice(row, 1), catalog), matrix.slice(row, 1))


def log_of(events, leads, seed, account=None):
    """Draw a log of some weeks as arrays, with many ties and some late rows."""
    chance = np.random.default_rng(seed)
    names = pa.array([f"e{number}" for number in range(leads)])
    start, hour = to_microseconds(AUTUMN), 3_600_000_000
    joined = pa.array(start - hour + chance.integers(0, 500, leads) * hour).cast(
        LEADS.field("created_at").type
    )
    texts = {
        "account_id": pa.array([account] * leads, pa.string()),
        "role": pa.array(["it"] * leads),
    }
    people = {
        "entity_id": names,
        "created_at": joined,
        "available_at": joined,
        "size": pa.array(np.ones(leads)),
    }
    people |= texts
    time = start + chance.integers(0, 30 * 24 * 60, events) * hour // 60
    log = {
        "entity_id": names.take(pa.array(chance.integers(0, leads, events))),
        "event_time": pa.array(time).cast(EVENTS.field("event_time").type),
        "available_at": pa.array(time + chance.choice([0, 0, 0, 30 * hour], events)).cast(
            joined.type
        ),
        "event_type": pa.array(chance.choice(["call", "gone", "mail", "visit", "won"], events)),
        "channel": pa.array(chance.choice(["fax", "phone", "web"], events)),
        "value": pa.array(
            chance.choice([0.1, -2.25, 1e15, -1e15, 1e-9], events), mask=chance.random(events) < 0.2
        ),
    }
    table = pa.table(log).group_by(EVENTS.names).aggregate([])
    table = (
        table.select(EVENTS.names)
        .sort_by([(name, "ascending") for name in EVENTS.names])
        .cast(EVENTS)
    )
    data = of([], [])
    return replace(data, leads=pa.table(people).sort_by("entity_id"), events=table)


def test_empty_spine_and_empty_log_give_empty_matrix():
    nothing = spine_of([])
    empty = build_features(of([LEAD], []), nothing, CATALOG)
    assert (empty.num_rows, empty.column_names[2:]) == (
        0,
        [feature.name for feature in CATALOG.features],
    )
    check(of([LEAD], []), spine_of([("a", START), ("a", LATER)]))
    check(of([], []), nothing, replace(CATALOG, attributes=(), role=""))


def test_single_event_equals_the_oracle():
    one = {
        "entity_id": "a",
        "event_time": START,
        "available_at": START,
        "event_type": "call",
        "channel": None,
    }
    ticks = (-1, 0, 1, 43_200_000_000, 43_200_000_001)
    check(
        of([LEAD], [one | {"value": 2.0}]),
        spine_of([("a", START + timedelta(microseconds=n)) for n in ticks]),
    )


def test_untimed_data_has_only_attributes():
    untimed = replace(CATALOG, timed=False)
    matrix = build_features(of([LEAD], []), spine_of([("a", START)]), untimed)
    assert matrix.column_names == ["entity_id", "cutoff", "size", "role"]
    assert matrix["size"].to_pylist() == [1.0]


def test_numbers_are_float64_and_categories_are_text():
    matrix = build_features(crowd(3), spine_of([("e0000", LATER)]), CATALOG)
    for feature in CATALOG.features:
        assert matrix[feature.name].type == (
            pa.string() if feature.is_category else pa.float64()
        ), feature.name
        assert feature.is_category or matrix[feature.name].null_count == 0, feature.name


def test_spine_row_without_lead_raises():
    with pytest.raises(DataError, match="'zz'"):
        build_features(of([LEAD], []), spine_of([("zz", START)]), CATALOG)


def test_missing_or_retyped_attribute_raises():
    data, spine = of([LEAD], []), spine_of([("a", START)])
    with pytest.raises(DataError, match="is missing"):
        build_features(replace(data, leads=data.leads.drop_columns(["size"])), spine, CATALOG)
    text = data.leads.set_column(4, "size", pa.array(["large"]))
    with pytest.raises(DataError, match="text now"):
        build_features(replace(data, leads=text), spine, CATALOG)


def test_empty_catalog_keeps_lead_features():
    matrix = build_features(crowd(3), spine_of([("e0000", LATER)]), Catalog())
    assert matrix.column_names == ["entity_id", "cutoff", "created_age", "created_hour_of_week"]
    assert pc.all(pc.is_finite(matrix["created_age"])).as_py()
