"""The counting sort against numpy's, and the matrix from a log in any order against the canonical one."""

from dataclasses import replace

import numpy as np
import pyarrow.compute as pc
from hypothesis import given, settings
from hypothesis import strategies as st

from features.build import build_features
from features.history import Log, grouped
from tests.features.logs import dataset
from tests.features.test_build import CATALOG, same_bits, spines


@given(st.sampled_from([1, 10, 5_000_000]), st.data())
def test_grouped_is_the_stable_order_of_the_codes(size, draw):
    code = np.array(draw.draw(st.lists(st.integers(0, size - 1), max_size=60)), np.int64)
    assert grouped(code, size).tolist() == np.argsort(code, kind="stable").tolist()


@settings(max_examples=60, deadline=None)
@given(dataset(), spines)
def test_a_log_in_the_order_of_time_gives_the_same_bits(data, spine):
    rest = ["entity_id", "available_at", "event_type", "channel", "value"]
    keys = [(name, "ascending", "at_start") for name in ("event_time", *rest)]
    in_time = replace(data, events=data.events.take(pc.sort_indices(data.events, sort_keys=keys)))
    assert same_bits(build_features(in_time, spine, CATALOG), build_features(data, spine, CATALOG))


@settings(max_examples=60, deadline=None)
@given(dataset())
def test_seats_of_one_account_lie_together_and_events_are_in_time(data):
    log = Log.of(data, CATALOG)
    assert sorted(log.seat.tolist()) == list(range(4))
    assert (np.diff(log.account) >= 0).all()
    accounts = [row or f"alone {n}" for n, row in enumerate(data.leads["account_id"].to_pylist())]
    for first in range(4):
        for second in range(4):
            together = log.account[log.seat[first]] == log.account[log.seat[second]]
            assert together == (accounts[first] == accounts[second])
    order = np.lexsort((log.events.time, log.events.group))
    assert order.tolist() == list(range(data.events.num_rows))
