"""Intervals: weights by cluster, additive over shards, and their coverage."""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.survival.bootstrap import (
    arrange_rows,
    count_replicate,
    find_interval,
    summarize_replicates,
    widen_at_bounds,
)
from models.survival.incidence import summarize_incidence
from models.survival.stays import CENSORED, AgeCounts, Stays
from tests.models.survival.oracle import make_stays

FULL = os.environ.get("LEADSCORE_ATTACK", "") not in ("", "0")
rows_with_cluster = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.integers(0, 3),
        st.integers(0, 9),
        st.sampled_from([CENSORED, 0, 1]),
        st.integers(0, 5),
    ),
    min_size=1,
    max_size=20,
)


def split(rows):
    return make_stays([row[:4] for row in rows], [row[4] for row in rows])


@settings(max_examples=50)
@given(rows_with_cluster, st.integers(0, 50))
def test_replicates_of_shards_add_up(rows, replicate):
    whole = count_replicate(split(rows), replicate)
    parts = [[row for row in rows if row[4] % 3 == shard] for shard in range(3)]
    added = AgeCounts.add_up([count_replicate(split(part), replicate) for part in parts if part])
    for name in ("group", "age", "kind", "count"):
        assert getattr(added, name).tolist() == getattr(whole, name).tolist()


@settings(max_examples=40)
@given(rows_with_cluster)
def test_replicates_repeat_whole_clusters(rows):
    """Each replicate counts every stay as often as its cluster's weight says."""
    stays = split(rows)
    questions = (2, 2, np.array([4]), np.array([0.5]))
    drawn = summarize_replicates(stays, *questions, replicates=3)
    for replicate in range(3):
        weight = {
            cluster: arrange_rows(make_stays([(0, 0, 1, 0)], [cluster]), 1).weigh(replicate)[0]
            for cluster in range(6)
        }
        repeated = [row for row in rows for _ in range(weight[row[4]])]
        alone = [count_replicate(split(rows), replicate)]
        expected = summarize_incidence(AgeCounts.add_up(alone), *questions)
        assert drawn.within[replicate].tobytes() == expected.within.tobytes()
        observed = split(repeated).select_observed()
        assert alone[0].count.sum() == 2 * len(observed)


def test_weights_are_poisson():
    clusters = np.arange(20_000)
    stays = make_stays([(0, 0, place + 1, 0) for place in clusters], clusters * 7919)
    weights = arrange_rows(stays, 1).weigh(3)[1:]
    shares = np.bincount(weights, minlength=4)[:4] / len(weights)
    assert weights.mean() == pytest.approx(1, abs=0.03)
    assert shares == pytest.approx([0.3679, 0.3679, 0.1839, 0.0613], abs=0.01)


def test_replicates_differ_from_each_other():
    stays = make_stays([(0, 0, 5, place % 2) for place in range(200)])
    drawn = summarize_replicates(stays, 1, 2, np.array([9]), np.array([0.5]), replicates=50)
    assert len(np.unique(drawn.within[:, 0, 0, 0])) > 20


def test_interval_ends_are_order_statistics():
    low, high = find_interval(np.arange(101.0)[::-1, None])
    assert (low.tolist(), high.tolist()) == ([5.0], [95.0])
    low, high = find_interval(np.array([[np.nan], [1.0], [2.0]]))
    assert (low.tolist(), high.tolist()) == ([1.0], [2.0])
    assert np.isnan(find_interval(np.full((3, 1), np.nan))).all()


def test_interval_is_wider_than_a_point_where_none_leaves():
    value, size = np.array([0.0, 1.0, 0.5]), np.array([10, 10, 10])
    low, high = widen_at_bounds(value, value, value, size)
    # (1 - 0.2589)^10 = 0.05: with a rate of a quarter, none of ten would be a rare case.
    assert high == pytest.approx([0.2589, 1.0, 0.5], abs=1e-4)
    assert low == pytest.approx([0.0, 0.7411, 0.5], abs=1e-4)


def draw_exponential_stays(rng, accounts):
    """Draw stays with rates 0.04 won and 0.06 lost a day, of accounts that enter over 100 days.

    Some accounts are quicker and have several stays, so stays are dependent; a fifth of the stays
    is observed from day 3 on.
    """
    members = rng.integers(1, 4, accounts)
    cluster = np.repeat(np.arange(accounts), members)
    speed = rng.choice([0.5, 1.5], accounts)[cluster]
    length = rng.exponential(1 / (0.1 * speed))
    limit = rng.uniform(0, 100, len(cluster))
    late = rng.random(len(cluster)) < 0.2
    begin = np.where(late, 3_000, 0)
    end = np.minimum(length, limit)
    exits = np.where(length < limit, rng.random(len(cluster)) < 0.6, CENSORED)
    words = rng.integers(0, 2**63, accounts).astype(np.uint64)[cluster]
    columns = (np.zeros(len(cluster)), begin, np.floor(end * 1000), exits)
    return Stays(*(column.astype(np.int64) for column in columns), words)


def test_intervals_hold_the_truth():
    """The 90 % intervals of a known law hold it in 85 to 95 % of the cases; bias is under 1 %."""
    rng, runs = np.random.default_rng(11), 400 if FULL else 60
    mixture = np.mean([1 - np.exp(-0.1 * speed * 10) for speed in (0.5, 1.5)])
    truth = 0.4 * mixture
    questions = (1, 2, np.array([10_000]), np.array([0.5]))
    held, values = [], []
    for _ in range(runs):
        stays = draw_exponential_stays(rng, 300)
        drawn = summarize_replicates(stays, *questions).within[:, 0, 0, 0]
        low, high = find_interval(drawn)
        held.append(low <= truth <= high)
        values.append(np.mean(drawn))
    noise = 2 * np.std(values) / np.sqrt(runs)
    # Late entries are the slower ones here, a dependence that no estimator without the speed sees.
    assert abs(np.mean(values) / truth - 1) < 0.01 + noise / truth
    assert 0.85 - (0 if FULL else 0.06) <= np.mean(held) <= 0.95 + (0 if FULL else 0.04)
