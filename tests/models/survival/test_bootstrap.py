"""Intervals: weights by cluster, additive over shards, and their coverage."""

import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.survival.bootstrap import (
    BUCKETS,
    MAX_STEPS,
    choose_steps,
    count_steps,
    draw_weights,
    find_interval,
    summarize_replicates,
    summarize_steps,
    widen_at_bounds,
)
from models.survival.incidence import summarize_incidence
from models.survival.stays import CENSORED, Stays, count_stays
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


def summarize(stays, *questions, replicates):
    return summarize_replicates(stays, count_stays(stays), *questions, replicates=replicates)


@given(rows_with_cluster, st.integers(1, 4))
def test_counts_of_shards_add_up(rows, shards):
    stays = split([(0, *row[1:]) for row in rows]).select_observed()
    steps = choose_steps(count_stays(stays), 0, np.array([4])) if len(stays) else np.array([9])
    whole = count_steps(stays, steps, 2).counts
    parts = [count_steps(stays.take(stays.cluster % shards == k), steps, 2) for k in range(shards)]
    assert sum(part.counts for part in parts).tobytes() == whole.tobytes()


@settings(max_examples=40)
@given(rows_with_cluster)
def test_replicates_repeat_whole_clusters(rows):
    """Each replicate is the estimate of stays repeated by the weight of their cluster's bucket."""
    questions = (2, 2, np.array([4]), np.array([0.5]))
    drawn = summarize(split(rows), *questions, replicates=3)
    for replicate, weights in enumerate(draw_weights(3)):
        repeated = [row for row in rows for _ in range(int(weights[row[4] % BUCKETS]))]
        expected = summarize_incidence(count_stays(split(repeated)), *questions)
        for name in ("within", "final", "quantile"):
            own, other = getattr(drawn, name)[replicate], getattr(expected, name)
            assert own == pytest.approx(other, abs=1e-9, nan_ok=True)


def test_steps_of_many_ages_change_little():
    """With thousands of ages a replicate takes them in steps, and hardly differs."""
    rng = np.random.default_rng(5)
    length, limit = rng.exponential(20_000, 4000), rng.uniform(0, 60_000, 4000)
    exits = np.where(length < limit, rng.integers(0, 2, 4000), CENSORED)
    begin = np.where(rng.random(4000) < 0.3, rng.uniform(0, 9_000, 4000), 0)
    columns = (np.zeros(4000), begin, np.minimum(length, limit), exits)
    stays = Stays(*(column.astype(np.int64) for column in columns), rng.integers(0, 2**60, 4000))
    stays = replace(stays, cluster=stays.cluster.astype(np.uint64)).select_observed()
    ages, shares = np.array([5_000, 30_000]), np.array([0.5])
    counts = count_stays(stays)
    steps = choose_steps(counts, 0, ages)
    assert MAX_STEPS <= len(steps) <= MAX_STEPS + 2 < len(np.unique(stays.end)) / 10
    whole = summarize_steps(count_steps(stays, steps, 2), np.ones((1, BUCKETS)), ages, shares)
    exact = summarize_incidence(counts, 1, 2, ages, shares)
    assert whole.within[0] == pytest.approx(exact.within[0], rel=0.01)
    assert whole.final[0] == pytest.approx(exact.final[0], rel=0.02)
    assert whole.quantile[0] == pytest.approx(exact.quantile[0], rel=0.03)


def test_order_of_stays_changes_no_bit():
    rng = np.random.default_rng(6)
    rows = [(0, 0, int(age), place % 2) for place, age in enumerate(rng.integers(0, 5000, 1500))]
    clusters = rng.integers(0, 2**60, 1500)
    stays, order = make_stays(rows, clusters), rng.permutation(1500)
    questions = (1, 2, np.array([900]), np.array([0.5]))
    one, other = (summarize(part, *questions, replicates=20) for part in (stays, stays.take(order)))
    for name in ("within", "final", "quantile"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()


def test_weights_are_poisson():
    weights = draw_weights(200)
    shares = np.bincount(weights.astype(int).ravel(), minlength=4)[:4] / weights.size
    assert weights.mean() == pytest.approx(1, abs=0.02)
    assert shares == pytest.approx([0.3679, 0.3679, 0.1839, 0.0613], abs=0.01)
    # Neither the buckets nor the replicates depend on each other.
    assert np.abs(np.corrcoef(weights[:, :20].T) - np.eye(20)).max() < 0.3
    assert len(np.unique(weights, axis=0)) == 200


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
        counts = count_stays(stays)
        drawn = summarize_replicates(stays, counts, *questions).within[:, 0, 0, 0]
        low, high = find_interval(drawn)
        held.append(low <= truth <= high)
        values.append(np.mean(drawn))
    noise = 2 * np.std(values) / np.sqrt(runs)
    # Late entries are the slower ones here, a dependence that no estimator without the speed sees.
    assert abs(np.mean(values) / truth - 1) < 0.01 + noise / truth
    assert 0.85 - (0 if FULL else 0.06) <= np.mean(held) <= 0.95 + (0 if FULL else 0.04)
