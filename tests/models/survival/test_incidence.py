"""Cumulative incidence: by hand, and against exact fractions on generated stays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.survival.incidence import estimate_curve, summarize_incidence
from models.survival.stays import CENSORED, AgeCounts, count_stays
from tests.models.survival.oracle import list_incidence, make_stays

WON, LOST = 0, 1
stay_rows = st.tuples(
    st.integers(0, 2), st.integers(0, 4), st.integers(0, 9), st.sampled_from([CENSORED, 0, 1, 2])
)


def curve_of(rows, kinds=2):
    return estimate_curve(count_stays(make_stays([(0, *row) for row in rows])), 0, kinds)


def test_incidence_by_hand():
    # Four leads: won at 2, lost at 4, observed to 5, won at 6. At 2 and 4 a quarter of all leaves;
    # of the half that stays, the last at risk at 6 stands for all of it.
    curve = curve_of([(0, 2, WON), (0, 4, LOST), (0, 5, CENSORED), (0, 6, WON)])
    assert curve.age.tolist() == [2, 4, 6]
    assert curve.at_risk.tolist() == [4, 3, 1]
    assert curve.incidence == pytest.approx(np.array([[0.25, 0], [0.25, 0.25], [0.75, 0.25]]))
    assert curve.staying.tolist() == [0.75, 0.5, 0.0]


def test_losses_are_no_end_of_observation():
    # Nine of ten are lost on the first day and one wins later: a tenth wins. With losses as
    # censored, as Kaplan and Meier's estimator has it, all would.
    curve = curve_of([*[(0, 1, LOST)] * 9, (0, 5, WON)])
    assert curve.incidence[-1] == pytest.approx([0.1, 0.9])


def test_exits_of_one_age_are_taken_together():
    curve = curve_of([(0, 3, WON), (0, 3, LOST), (0, 3, WON), (0, 3, CENSORED)])
    # What is observed to an age is not observed at it: half-open, as all windows are.
    assert curve.at_risk.tolist() == [3]
    assert curve.incidence.tolist() == [[pytest.approx(2 / 3), pytest.approx(1 / 3)]]


def test_late_entries_are_no_evidence_about_earlier_ages():
    # The second lead is known from age 4 on: it is not at risk at age 2.
    curve = curve_of([(0, 2, WON), (0, 9, CENSORED), (4, 5, WON), (4, 9, CENSORED)])
    assert curve.at_risk.tolist() == [2, 3]
    assert curve.incidence[:, WON] == pytest.approx([1 / 2, 1 / 2 + 1 / 2 / 3])


def test_stays_that_ended_before_they_were_observed_count_nowhere():
    rows = [(5, 3, WON), (4, 4, CENSORED), (0, 2, LOST)]
    assert curve_of(rows).at_risk.tolist() == [1]
    assert count_stays(make_stays([(0, *row) for row in rows])).count.sum() == 2


def test_exit_at_the_first_instant_counts():
    assert curve_of([(0, 0, WON), (0, 4, CENSORED)]).incidence.tolist() == [[0.5, 0.0]]


@given(st.lists(stay_rows, max_size=30))
def test_incidence_equals_exact_fractions(rows):
    counts = count_stays(make_stays(rows))
    for group in range(3):
        expected = list_incidence([row[1:] for row in rows if row[0] == group], 3)
        curve = estimate_curve(counts, group, 3)
        assert curve.age.tolist() == [row[0] for row in expected]
        assert curve.at_risk.tolist() == [row[1] for row in expected]
        shares = [[float(share) for share in row[2]] for row in expected]
        assert curve.incidence == pytest.approx(np.array(shares).reshape(-1, 3), abs=1e-12)
        assert curve.staying == pytest.approx(np.array([float(row[3]) for row in expected]))


@given(st.lists(stay_rows, max_size=30))
def test_incidence_sums_to_one_and_never_falls(rows):
    counts = count_stays(make_stays(rows))
    for group in range(3):
        curve = estimate_curve(counts, group, 3)
        assert curve.incidence.sum(axis=1) + curve.staying == pytest.approx(1.0, abs=1e-12)
        assert (np.diff(curve.incidence, axis=0) >= 0).all()
        assert ((curve.staying >= 0) & (curve.staying <= 1)).all()


@given(st.lists(stay_rows, max_size=30), st.randoms(use_true_random=False), st.integers(1, 4))
def test_order_and_shards_change_no_bit(rows, random, shards):
    shuffled = list(rows)
    random.shuffle(shuffled)
    whole = count_stays(make_stays(rows))
    parts = [count_stays(make_stays(shuffled[k::shards])) for k in range(shards)]
    added = AgeCounts.add_up(parts)
    for name in ("group", "age", "kind", "count"):
        assert getattr(added, name).tolist() == getattr(whole, name).tolist()
    questions = (3, 3, np.array([1, 5]), np.array([0.5]))
    one, other = (summarize_incidence(counts, *questions) for counts in (whole, added))
    for name in ("within", "final", "quantile"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()


@settings(max_examples=50)
@given(st.lists(stay_rows, min_size=1, max_size=30), st.integers(0, 10))
def test_summary_agrees_with_curves(rows, age):
    counts = count_stays(make_stays(rows))
    shares = np.array([0.25, 0.5, 1.0])
    summary = summarize_incidence(counts, 3, 3, np.array([age]), shares)
    for group in range(3):
        curve = estimate_curve(counts, group, 3)
        if not (counts.group == group).any():
            assert np.isnan(summary.within[group]).all()
            continue
        seen = np.flatnonzero(curve.age <= age)
        expected = curve.incidence[seen[-1]] if len(seen) else np.zeros(3)
        assert summary.within[group, 0].tolist() == expected.tolist()
        final = curve.incidence[-1] if len(curve.age) else np.zeros(3)
        assert summary.final[group].tolist() == final.tolist()
        for kind in range(3):
            reached = [
                curve.age[np.flatnonzero(curve.incidence[:, kind] >= share * final[kind] - 1e-9)[0]]
                if final[kind]
                else np.nan
                for share in shares
            ]
            assert summary.quantile[group, kind] == pytest.approx(reached, nan_ok=True)


def test_median_of_an_even_number_is_the_lower_one():
    # 0.1 + 0.1 + … differs from 0.5 in its last bit.
    counts = count_stays(make_stays([(0, 0, age, WON) for age in range(1, 11)]))
    summary = summarize_incidence(counts, 1, 1, np.array([3]), np.array([0.5]))
    assert summary.quantile.tolist() == [[[5.0]]]
    assert summary.within[0, 0, 0] == pytest.approx(0.3)
