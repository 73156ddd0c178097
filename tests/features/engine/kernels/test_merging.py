"""The order by time within groups against NumPy's own sort."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.engine.kernels.merging import by_time


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-5, 5)), max_size=60))
def test_it_is_the_stable_sort_by_time_within_each_group(events):
    events = sorted(events, key=lambda event: event[0])
    code = np.array([event[0] for event in events], np.int64)
    time = np.array([event[1] for event in events], np.int64)
    assert by_time(code, time).tolist() == np.lexsort((time, code)).tolist()


def test_one_long_group_of_many_runs():
    time = np.random.default_rng(7).integers(0, 1_000, 20_000)
    time[5_000:9_000].sort()
    assert (by_time(np.zeros(len(time), np.int64), time) == np.argsort(time, kind="stable")).all()
