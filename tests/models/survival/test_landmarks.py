"""Incidence after landmarks: by hand, and against exact fractions on generated stays."""

from bisect import bisect_right
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.survival import landmarks
from models.survival.landmarks import choose_landmarks, estimate_after_landmarks
from models.survival.stays import CENSORED
from tests.models.survival.oracle import is_at_risk, list_incidence, make_stays

WON, LOST = 0, 1


@st.composite
def stay_rows(draw):
    """Return a stay (group, begin, end, exit) and the (end, exit) of what it is a part of."""
    group, begin, end = draw(st.integers(0, 1)), draw(st.integers(0, 4)), draw(st.integers(0, 9))
    moved_on = draw(st.booleans())
    after = draw(st.integers(0, 9)) if moved_on else 0
    ending = draw(st.sampled_from([CENSORED, WON, LOST]))
    # A stay that lasts is a part of something that lasts.
    stay_exit = 0 if moved_on or ending != CENSORED else CENSORED
    if ending == CENSORED and moved_on:
        after = max(after, 1)
    return (group, begin, end, stay_exit), (end + after, ending)


def estimate(rows, groups=2):
    stays = make_stays([row for row, _ in rows])
    end, ending = np.array([row for _, row in rows], np.int64).reshape(-1, 2).T
    return estimate_after_landmarks(stays, end, ending, groups, 2)


def find_share(curves, age, time, group=0):
    return curves.find_shares(np.array([group]), np.array([age]), np.array([time]))[0]


def list_curve(rows, group, landmark):
    """Return (time, share won) of the stays at risk at a landmark, in fractions."""
    own = [
        (0, end - landmark, ending)
        for (row_group, *stay), (end, ending) in rows
        if row_group == group and is_at_risk(stay, landmark)
    ]
    return [(time, left[WON]) for time, _, left, _ in list_incidence(own, 2)]


def read_curve(curve, time):
    place = bisect_right([row[0] for row in curve], time)
    return curve[place - 1][1] if place else Fraction(0)


def mix(rows, curves, group, age, time):
    """Return the share at an age, interpolated between the landmarks next to it."""
    ages = curves.age[curves.first[group] : curves.first[group + 1]].tolist()
    place = bisect_right(ages, age) - 1
    if place < 0 or place == len(ages) - 1:
        return read_curve(list_curve(rows, group, ages[max(place, 0)]), time)
    low, high = ages[place], ages[place + 1]
    before, after = (read_curve(list_curve(rows, group, at), time) for at in (low, high))
    return before + Fraction(age - low, high - low) * (after - before)


@pytest.fixture
def every_age(monkeypatch):
    """Take a landmark wherever the number at risk changes by a quarter."""
    monkeypatch.setattr(landmarks, "MIN_AT_RISK", 1)


@pytest.mark.usefixtures("every_age")
def test_shares_after_landmarks_by_hand():
    # Of four stays two are won on day 1, one moves on at 4 and is won at 10, one is lost at 6.
    rows = [((0, 0, 1, 0), (1, WON))] * 2 + [((0, 0, 4, 0), (10, WON)), ((0, 0, 6, 1), (6, LOST))]
    curves = estimate(rows, 1)
    assert curves.age.tolist() == [0, 2, 5]
    assert [find_share(curves, 0, time) for time in (0, 1, 9, 10)] == [0, 0.5, 0.5, 0.75]
    # Of the two that lasted for 2 days one is won, 8 days later; of the one that lasted for 5 none.
    assert [find_share(curves, 2, time) for time in (1, 7, 8, 99)] == [0, 0, 0.5, 0.5]
    assert find_share(curves, 5, 99) == find_share(curves, 50, 99) == 0
    # In between shares are interpolated.
    assert find_share(curves, 1, 99) == pytest.approx((0.75 + 0.5) / 2)
    quantiles = curves.find_quantiles(np.zeros(4, int), np.array([0, 0, 2, 5]), 0.5)
    assert quantiles.tolist() == pytest.approx([1, 1, 8, np.nan], nan_ok=True)


@pytest.mark.usefixtures("every_age")
def test_loss_is_no_end_of_observation_after_a_landmark():
    rows = [((0, 0, 9, 1), (9, LOST))] * 9 + [((0, 0, 20, 0), (20, WON))]
    assert find_share(estimate(rows, 1), 0, 99) == pytest.approx(0.1)


def test_first_landmark_is_where_enough_are_at_risk():
    # 30 stays are observed from age 3 on only: at age 0 there is one.
    begin, last = np.array([0, *[3] * 30]), np.array([2, *range(10, 40)])
    ages = choose_landmarks(begin, last, np.ones(31, bool))
    at_risk = [np.sum((begin <= age) & (last >= age)) for age in ages]
    assert ages[0] == 3
    assert min(at_risk) >= landmarks.MIN_AT_RISK
    # Fewer stays than that have one landmark, with all of them.
    assert choose_landmarks(begin[:5], last[:5], np.ones(5, bool)).tolist() == [3]
    none = np.empty(0, np.int64)
    assert choose_landmarks(none, none, none.astype(bool)).tolist() == []


def test_landmarks_divide_the_exits_where_most_stays_go_on():
    # 100 of 10,000 exit in the first ten days; the others last, so that few are ever missing.
    last = np.array([*np.arange(100) // 10, *[1000] * 9900])
    ages = choose_landmarks(np.zeros(10_000, int), last, np.arange(10_000) < 100)
    assert ages.tolist() == list(range(11))


@pytest.mark.usefixtures("every_age")
@pytest.mark.filterwarnings("error")
@given(st.lists(stay_rows(), max_size=25), st.integers(0, 12), st.integers(0, 20))
def test_shares_equal_exact_fractions(rows, age, time):
    curves = estimate(rows)
    for group in range(2):
        share = find_share(curves, age, time, group)
        if curves.first[group] == curves.first[group + 1]:
            assert np.isnan(share)
        else:
            assert share == pytest.approx(float(mix(rows, curves, group, age, time)), abs=1e-12)


@pytest.mark.usefixtures("every_age")
@given(st.lists(stay_rows(), max_size=25), st.integers(0, 12), st.sampled_from([0.2, 0.5, 0.8, 1]))
def test_quantile_is_the_first_time_with_the_share(rows, age, share):
    curves = estimate(rows)
    for group in range(2):
        (time,) = curves.find_quantiles(np.array([group]), np.array([age]), share)
        final = find_share(curves, age, 10**6, group)
        if not final > 0:
            assert np.isnan(time)
            continue
        assert find_share(curves, age, int(time), group) >= (share - 1e-9) * final
        assert find_share(curves, age, int(time) - 1, group) < (share + 1e-9) * final


@pytest.mark.usefixtures("every_age")
@given(st.lists(stay_rows(), max_size=25), st.integers(0, 12))
def test_shares_rise_with_time_and_add_up_to_at_most_one(rows, age):
    mirrored = [(stay, (end, 1 - e if e >= 0 else e)) for stay, (end, e) in rows]
    won, lost = estimate(rows), estimate(mirrored)
    times = np.arange(-1, 25)
    group, ages = np.zeros(26, np.int64), np.full(26, age)
    shares = won.find_shares(group, ages, times)
    if won.first[1]:
        assert (np.diff(shares) >= -1e-12).all()
        assert (shares + lost.find_shares(group, ages, times) <= 1 + 1e-12).all()
        assert shares[0] == 0


@pytest.mark.usefixtures("every_age")
@given(st.lists(stay_rows(), max_size=25), st.randoms())
def test_order_of_stays_changes_no_bit(rows, random):
    curves = estimate(rows)
    random.shuffle(rows)
    again = estimate(rows)
    for name, column in vars(curves).items():
        assert column.tobytes() == getattr(again, name).tobytes()
