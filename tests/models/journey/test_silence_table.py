"""Silence: counts against a plain loop, shares by hand, and the threshold on a simulated law."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.paths.activities import Activities
from features.tools.instants import US_PER_DAY
from models.funnel.schemas import SILENCE
from models.journey import silence_table
from models.journey.silence_table import (
    BEGIN,
    ENDED,
    RETURN_DAYS,
    RETURNED,
    UNSEEN,
    build_silence_table,
    count_silences,
    estimate_returns,
    find_threshold,
)
from tests.models.funnel.histories import CREATED, LOST, MQL, WON, make_history


def make_activities(days_of_lead):
    first = np.cumsum([0, *(len(days) for days in days_of_lead)])
    time = [day for days in days_of_lead for day in sorted(days)]
    return Activities(first, (np.array(time, float) * US_PER_DAY).astype(np.int64))


leads = st.lists(
    st.tuples(
        st.integers(0, 40),
        st.sampled_from([None, LOST, WON]),
        st.integers(1, 70),
        st.lists(st.integers(-80, 260), max_size=6),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=30)
@given(leads, st.sampled_from([None, 12, 33]), st.integers(0, 9))
def test_counts_equal_a_plain_loop(rows, since, delay):
    """Instants lie at halves of days: silences end within days as well as at their edges."""
    visits = [
        (k, CREATED, start, None if how is None else start + length, how)
        for k, (start, how, length, _) in enumerate(rows)
    ]
    history = make_history(visits, observed_from=since, delay=delay)
    times = [[day / 2.0 for day in own[3]] for own in rows]
    silences = count_silences(history, make_activities(times))
    expected, open_days, until = {}, [], 100 - delay
    for (_, _, start, end, how), own in zip(visits, times, strict=True):
        stop = until if how is None else min(end, until)
        last, silent = start, []
        for time in sorted({time for time in own if start < time < stop}):
            silent.append((last, time, RETURNED))
            last = time
        if how is not None and end < until:
            silent.append((last, end, ENDED))
        elif last < until:
            silent.append((last, until, UNSEEN))
        for begin, close, kind in silent:
            seen = max(0, int(np.ceil((-1e9 if since is None else since) - begin)))
            length = int(np.floor(close - begin))
            if close >= (-1e9 if since is None else since) and seen <= length:
                expected[seen, BEGIN] = expected.get((seen, BEGIN), 0) + 1
                expected[length, kind] = expected.get((length, kind), 0) + 1
        if how is None or end >= 100:
            own = [time for time in own if start < time < 100]
            open_days.append(int(100 - max([start, *own])))
    total = silences.counts.sum(axis=0)
    assert {(int(d), int(k)): int(total[d, k]) for d, k in np.argwhere(total)} == expected
    assert sorted(silences.days_now.tolist()) == sorted(open_days)


def test_shares_by_hand():
    """Ten silences; two end on day 0, three on day 5, one is lost on day 3, four last 50 days."""
    counts = np.zeros((2, 61, 4), np.int32)
    counts[:, 0, BEGIN] = 5
    counts[:, 0, RETURNED] = 1
    counts[0, 5, RETURNED], counts[0, 3, ENDED], counts[1, 50, UNSEEN] = 3, 1, 4
    curve = estimate_returns(np.ones((1, 2)), counts)
    assert curve.at_risk[0, [0, 1, 4, 6, 20]].tolist() == [10, 8, 7, 4, 4]
    assert curve.returning[0, 0] == pytest.approx(0.2 + 0.3)
    assert curve.returning[0, 1] == pytest.approx(3 / 8)
    assert curve.returning[0, 4] == pytest.approx(3 / 7)
    assert curve.returning[0, [6, 20]].tolist() == [0.0, 0.0]
    # The 30 days after day 21 end when nothing is observed any more.
    assert np.isnan(curve.returning[0, 21:]).all()
    # Weights repeat buckets.
    twice = estimate_returns(np.array([[3.0, 0.0]]), counts)
    assert twice.at_risk[0, 1] == 12
    assert twice.returning[0, 1] == pytest.approx(3 / 4)


def test_threshold_is_where_the_chance_stays_halved():
    share = np.array([0.9, 0.8, 0.5, 0.39, 0.41, 0.39, 0.2, 0.1, np.nan])
    assert find_threshold(np.full(9, 60), share) == 5
    # Too few silences say nothing: neither that the chance has fallen, nor that it has risen.
    assert find_threshold(np.array([60, 60, 60, 60, 60, 49, 49, 49, 0]), share) is None
    assert find_threshold(np.array([60, 60, 60, 60, 10, 60, 60, 60, 0]), share) == 3
    assert find_threshold(np.full(9, 60), np.full(9, np.nan)) is None


def test_threshold_of_a_known_law():
    """A share of the leads is gone for good: the chance to return falls as silence lasts.

    A lead that will return does so after an exponential time with a mean of 10 days; each activity
    is the last one with a chance of 0.3. So the chance after d days is q (1 - exp(-3)), where q is
    0.7 exp(-d / 10) / (0.7 exp(-d / 10) + 0.3): half of that after a day at d = 15.1.
    """
    rng = np.random.default_rng(4)
    times = []
    for start in rng.uniform(0, 300, 6000):
        own = [start]
        while rng.random() < 0.7:
            own.append(own[-1] + rng.exponential(10))
        times.append(own)
    history = make_history([(k, CREATED, own[0], None, None) for k, own in enumerate(times)], 400)
    table = build_silence_table(history, make_activities([own[1:] for own in times]))
    assert table.schema == SILENCE
    rows = table.to_pylist()
    for row in rows:
        if row["silent_days"] <= 60:
            alive = 0.7 * np.exp(-row["silent_days"] / 10)
            chance = alive / (alive + 0.3) * (1 - np.exp(-RETURN_DAYS / 10))
            assert row["p_return_30d"] == pytest.approx(chance, abs=0.02)
            assert row["p_return_30d_low"] <= row["p_return_30d"] <= row["p_return_30d_high"]
    (threshold,) = (row for row in rows if row["silent_days"] == row["threshold_days"])
    assert threshold["silent_days"] in (15, 16, 17)
    last = [max(time for time in own if time < 400) for own in times]
    silent = sum(400 - time >= threshold["silent_days"] for time in last)
    assert threshold["open_silent"] == silent


def test_activities_after_the_end_of_a_lead_are_none():
    history = make_history([(0, CREATED, 0, 10, MQL), (0, MQL, 10, 20, WON)])
    silences = count_silences(history, make_activities([[5, 20, 25, 99]]))
    total = silences.counts.sum(axis=0)
    assert [tuple(place) for place in np.argwhere(total)] == [
        (0, BEGIN),
        (5, RETURNED),
        (15, ENDED),
    ]
    assert not len(silences.days_now)


def test_long_silences_end_unseen(monkeypatch):
    monkeypatch.setattr(silence_table, "MAX_DAYS", 40)
    history = make_history([(0, CREATED, 0, None, None), (1, CREATED, 0, None, None)], as_of=90)
    total = count_silences(history, make_activities([[60], []])).counts.sum(axis=0)
    assert total[39, UNSEEN] == 2
    assert total[30, UNSEEN] == 1
