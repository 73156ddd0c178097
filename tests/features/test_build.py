"""Every feature of the matrix against SQL written from its definition, and the invariants that make it honest."""

from datetime import timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import DataError
from features.build import build_features
from features.catalog import Catalog
from features.contracts import INSTANT, to_us
from tests.features.logs import START, dataset, entities, event, moments, of, spine_of

CATALOG = Catalog(
    types=("call", "visit", "won"),
    channels=("phone", "web"),
    valued=("call", "visit"),
    stages=("call", "won"),
    attributes=(("size", "number"),),
    windows=(timedelta(hours=12), timedelta(days=1), timedelta(days=7)),
    half_lives=(timedelta(days=3),),
    accounts=True,
)
DAY = 86_400_000_000
spines = st.lists(st.tuples(entities, moments), min_size=1, max_size=12).map(spine_of)


def connect(data, spine):
    """Put the tables into DuckDB with instants as integers, and every event that each row of each scope may see."""
    con = duckdb.connect()
    for name, table in (("leads", data.leads), ("events", data.events), ("spine", spine)):
        plain = {
            n: pc.cast(c, pa.int64()) if pa.types.is_timestamp(c.type) else c
            for n, c in zip(table.column_names, table.columns, strict=True)
        }
        con.register(name, pa.table(plain))
    con.execute(
        """create table seen as
        with owned as (
            select e.*, l.available_at joined, coalesce(account_id, '(alone) ' || e.entity_id) account
            from events e join leads l using (entity_id)),
        looked as (select s.*, coalesce(account_id, '(alone) ' || s.entity_id) account
            from spine s join leads using (entity_id))
        select 'entity' scope, r.entity_id, r.cutoff, r.cutoff - event_time back, event_type, channel, value,
            o.entity_id member
        from looked r join owned o using (entity_id) where o.available_at < r.cutoff and event_time < r.cutoff
        union all
        select 'account', r.entity_id, r.cutoff, r.cutoff - event_time, event_type, channel, value, o.entity_id
        from looked r join owned o using (account)
        where o.available_at < r.cutoff and event_time < r.cutoff and joined < r.cutoff"""
    )
    return con


def definition(feature):
    """Return a feature's definition as SQL over the events that its row may see."""
    kind, _, name = feature.subject.partition(":")
    where = {"any": "true", "type": f"event_type = '{name}'", "channel": f"channel = '{name}'"}[kind]
    span = feature.span // timedelta(microseconds=1) if feature.span else None
    if span and feature.aggregate != "decay":
        where += f" and back <= {span}"
    select, otherwise = {
        "count": ("count(back)", 0),
        "total": ("sum(value)", 0),
        "age": ("min(back)", "'nan'::double"),
        "first": ("max(back)", "'nan'::double"),
        "kinds": ("count(distinct event_type)", 0),
        "ways": ("count(distinct channel)", 0),
        "active_days": (f"count(distinct (back - 1) // {DAY})", 0),
        "people": ("count(distinct member)", 0),
        "decay": (f"sum(power(2, -back / {span}::double))", 0),
    }[feature.aggregate]
    known = {"kinds": " and event_type in ('call', 'visit', 'won')"}.get(feature.aggregate, "")
    unit = DAY if feature.aggregate in ("age", "first") else 1
    return f'coalesce({select} filter ({where}{known}) / {unit}::double, {otherwise})::double as "{feature.name}"'


@settings(max_examples=60, deadline=None)
@given(dataset(), spines)
def test_every_history_feature_equals_sql(data, spine):
    matrix, con = build_features(data, spine, CATALOG), connect(data, spine)
    for scope in ("entity", "account"):
        features = [f for f in CATALOG.features if f.scope == scope and not f.aggregate.startswith("stage")]
        expected = con.execute(
            f"""select {", ".join(map(definition, features))} from spine s
            left join seen on seen.entity_id = s.entity_id and seen.cutoff = s.cutoff and scope = '{scope}'
            group by s.entity_id, s.cutoff order by s.cutoff, s.entity_id"""
        ).fetchnumpy()
        for feature in features:
            found = matrix[feature.name].to_numpy()
            np.testing.assert_allclose(found, expected[feature.name], rtol=1e-12, atol=1e-9, err_msg=feature.name)


@settings(max_examples=200, deadline=None)
@given(dataset(), spines)
def test_stage_is_that_of_the_newest_known_stage_event(data, spine):
    found = build_features(data, spine, CATALOG).select(["stage_now", "stage_age"]).to_pylist()
    for row, stage in zip(spine.to_pylist(), found, strict=True):
        known = [
            (e["event_time"], CATALOG.stages.index(e["event_type"]))
            for e in data.events.to_pylist()
            if e["entity_id"] == row["entity_id"]
            and e["available_at"] < row["cutoff"]
            and e["event_type"] in CATALOG.stages
        ]
        if not known:
            assert stage["stage_now"] is None and np.isnan(stage["stage_age"])
            continue
        assert stage["stage_now"] == CATALOG.stages[max(known)[1]]
        assert stage["stage_age"] == pytest.approx((row["cutoff"] - max(known)[0]) / timedelta(days=1))


@settings(max_examples=100, deadline=None)
@given(dataset(), spines)
def test_lead_features_come_from_the_lead_row(data, spine):
    matrix = build_features(data, spine, CATALOG)
    created = {row["entity_id"]: row["created_at"] for row in data.leads.to_pylist()}
    for row in matrix.to_pylist():
        assert row["size"] == 1.0
        assert row["created_age"] == pytest.approx((row["cutoff"] - created[row["entity_id"]]) / timedelta(days=1))


def same_bits(a, b):
    """Say whether two matrices are equal to the bit, NaN included."""
    pairs = ((a[n].combine_chunks(), b[n].combine_chunks()) for n in a.column_names)
    return a.column_names == b.column_names and all(
        x.to_numpy(zero_copy_only=False).tobytes() == y.to_numpy(zero_copy_only=False).tobytes()
        if pa.types.is_floating(x.type)
        else x.equals(y)
        for x, y in pairs
    )


@settings(max_examples=150, deadline=None)
@given(dataset(), st.lists(event(), max_size=8), moments)
def test_what_is_not_known_yet_changes_no_bit(data, later, cutoff):
    spine = spine_of([(name, cutoff) for name in "abcd"])
    unknown = [{**e, "available_at": max(e["event_time"], cutoff)} for e in later]
    more = of(data.leads.to_pylist(), data.events.to_pylist() + unknown)
    expected = build_features(data, spine, CATALOG)
    assert same_bits(build_features(more, spine, CATALOG), expected)
    assert same_bits(
        build_features(data.upto(cutoff), spine_known(data, spine, cutoff), CATALOG),
        expected_known(expected, data, cutoff),
    )


def spine_known(data, spine, cutoff):
    known = data.upto(cutoff).leads["entity_id"].combine_chunks()
    return spine.filter(pc.is_in(spine["entity_id"], value_set=known))


def expected_known(matrix, data, cutoff):
    """Keep the rows of the entities that are known at the cutoff."""
    known = data.upto(cutoff).leads["entity_id"].combine_chunks()
    return matrix.filter(pc.is_in(matrix["entity_id"], value_set=known))


@settings(max_examples=60, deadline=None)
@given(dataset(), spines, st.integers(1, 5), st.integers(1, 2))
def test_shards_and_workers_change_no_bit(data, spine, shards, workers):
    expected = build_features(data, spine, CATALOG)
    assert same_bits(build_features(data, spine, CATALOG, shards=shards, workers=workers), expected)


@settings(max_examples=60, deadline=None)
@given(dataset(), spines, st.data())
def test_a_row_alone_equals_the_row_among_others(data, spine, draw):
    matrix = build_features(data, spine, CATALOG)
    row = draw.draw(st.integers(0, spine.num_rows - 1))
    assert same_bits(build_features(data, spine.slice(row, 1), CATALOG), matrix.slice(row, 1))


def test_window_edges_are_half_open():
    cutoff = START + timedelta(days=10)
    lead = {"entity_id": "a", "account_id": None, "created_at": START, "available_at": START, "size": 1.0}
    tick = timedelta(microseconds=1)
    times = [cutoff, cutoff - tick, cutoff - timedelta(days=1), cutoff - timedelta(days=1) - tick]
    events = [
        {
            "entity_id": "a",
            "event_time": t,
            "available_at": t,
            "event_type": "visit",
            "channel": None,
            "value": None,
        }
        for t in times
    ]
    row = build_features(of([lead], events), spine_of([("a", cutoff)]), CATALOG).to_pylist()[0]
    assert row["visit_count_1d"] == 2
    assert row["visit_count_all"] == 3
    assert row["visit_age"] == tick / timedelta(days=1)


def test_a_spine_row_without_a_lead_is_an_error():
    data = of([{"entity_id": "a", "account_id": None, "created_at": START, "available_at": START, "size": 1.0}], [])
    with pytest.raises(DataError, match="'zz'"):
        build_features(data, spine_of([("zz", START)]), CATALOG)


def test_no_two_features_share_a_name_even_when_types_look_alike():
    twins = Catalog(types=("A b", "a_b", "any", "", "письмо"), channels=("b",), windows=CATALOG.windows, half_lives=())
    names = [feature.name for feature in twins.features]
    assert len(names) == len(set(names))
    assert "письмо_age" in names
    assert "b_channel_age" in names


def test_catalog_survives_json():
    assert Catalog.from_json(CATALOG.to_json()) == CATALOG
    assert to_us(START) == pc.cast(pa.scalar(START, INSTANT), pa.int64()).as_py()
