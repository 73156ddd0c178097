"""The order by time within groups against NumPy's sort."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.engine.kernels.merging import order_by_time


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-5, 5)), max_size=60))
def test_order_by_time_is_stable_within_groups(events):
    events = sorted(events, key=lambda event: event[0])
    code = np.array([event[0] for event in events], np.int64)
    time = np.array([event[1] for event in events], np.int64)
    assert order_by_time(code, time).tolist() == np.lexsort((time, code)).tolist()


def test_order_by_time_merges_many_runs():
    time = np.random.default_rng(7).integers(0, 1_000, 20_000)
    time[5_000:9_000].sort()
    assert (
        order_by_time(np.zeros(len(time), np.int64), time) == np.argsort(time, kind="stable")
    ).all()
