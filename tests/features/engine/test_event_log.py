"""The counting sort against NumPy's, shards, and the matrix of a log in another order."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given, settings
from hypothesis import strategies as st

from features.build import build_features
from features.engine.event_log import EventLog
from features.engine.lead_index import LeadIndex, sort_by_code
from features.tools.id_index import IdIndex
from tests.features.agreement import same_bits
from tests.features.logs import CATALOG, dataset, spines


@given(st.sampled_from([1, 10, 5_000_000]), st.data())
def test_sort_by_code_is_stable(size, draw):
    code = np.array(draw.draw(st.lists(st.integers(0, size - 1), max_size=60)), np.int64)
    assert sort_by_code(code, size).tolist() == np.argsort(code, kind="stable").tolist()


@settings(max_examples=60, deadline=None)
@given(dataset(), spines)
def test_features_of_log_in_time_order_are_identical(data, spine):
    rest = ["entity_id", "available_at", "event_type", "channel", "value"]
    keys = [(name, "ascending", "at_start") for name in ("event_time", *rest)]
    in_time = replace(data, events=data.events.take(pc.sort_indices(data.events, sort_keys=keys)))
    assert same_bits(build_features(in_time, spine, CATALOG), build_features(data, spine, CATALOG))


@settings(max_examples=60, deadline=None)
@given(dataset(), spines, st.sets(st.sampled_from(["call", "mail", "won"])))
def test_unused_types_are_as_if_never_recorded(data, spine, unused):
    kept = data.events.filter(
        pc.invert(pc.is_in(data.events["event_type"], value_set=pa.array(unused, pa.string())))
    )
    catalog = replace(CATALOG, unused=tuple(sorted(unused)))
    without = build_features(replace(data, events=kept), spine, CATALOG)
    assert same_bits(build_features(data, spine, catalog), without)


@settings(max_examples=60, deadline=None)
@given(dataset(), st.integers(1, 4))
def test_shards_hold_whole_accounts_and_all_events(data, shards):
    index = LeadIndex.from_leads(data.leads, data.lead_ids, data.merges)
    assert sorted(index.position.tolist()) == list(range(4))
    accounts = [row or f"alone {n}" for n, row in enumerate(data.leads["account_id"].to_pylist())]
    log = EventLog.from_events(data.events, index, CATALOG, np.ones(4), shards)
    seen = 0
    for number, (first, end) in enumerate(pairwise(log.shard_starts)):
        events = log.sorted_shard(number)
        order = np.lexsort((events.time, events.group))
        assert order.tolist() == list(range(len(order)))
        assert len(order) == 0 or 0 <= events.group.min() <= events.group.max() < end - first
        seen += len(order)
        inside = {
            name
            for name, position in zip(accounts, index.position, strict=True)
            if first <= position < end
        }
        assert not inside & {
            name
            for name, position in zip(accounts, index.position, strict=True)
            if not first <= position < end
        }
    assert seen == data.events.num_rows


@given(
    st.lists(st.text(max_size=12), unique=True, max_size=40),
    st.lists(st.none() | st.text(max_size=12), max_size=60),
)
def test_id_index_agrees_with_arrow(known, asked):
    column = pa.chunked_array([pa.array(known[:1], pa.string()), pa.array(known[1:], pa.string())])
    asked = pa.chunked_array(
        [pa.array(asked + known, pa.string()).slice(1), pa.array(asked, pa.string())]
    )
    expected = pc.fill_null(
        pc.index_in(asked, value_set=column.combine_chunks(), skip_nulls=True), -1
    ).to_pylist()
    assert IdIndex.from_column(column).find(asked).tolist() == expected
    assert IdIndex.from_column(column).find(asked.dictionary_encode()).tolist() == expected
