"""Thresholds of hand-overs, against a search over all probabilities."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.qualification.thresholds import (
    HandoverTerms,
    WeeklyFlow,
    find_handover_threshold,
    find_lowest_fitting,
)

# Few distinct values, so that ties are frequent; a hundredth is exact enough to be compared.
PROBABILITIES = st.integers(0, 20).map(lambda n: n / 20)
BEFORE = st.one_of(st.just(-np.inf), PROBABILITIES)
FLOWS = st.lists(st.tuples(BEFORE, PROBABILITIES), max_size=30)
TERMS = st.builds(
    HandoverTerms,
    st.integers(1, 12),
    st.integers(0, 15),
    st.sampled_from([1.0, 10.0, 45.0]),
    st.sampled_from([20.0, 100.0, 1000.0]),
)


def count_by_hand(flow, threshold):
    return sum(before < threshold <= peak for before, peak in flow)


def fitting_by_hand(flow, most):
    """Walk down the probabilities, step by step, until one is reached by too many leads."""
    for threshold in sorted({p for pair in flow for p in pair if p >= 0}, reverse=True):
        if count_by_hand(flow, threshold) > most:
            return np.nextafter(threshold, 2)
    return 0.0


def to_arrays(flow):
    return (np.array([pair[side] for pair in flow], float) for side in (0, 1))


@given(FLOWS, st.integers(0, 12))
def test_lowest_fitting_equals_a_walk_down(flow, most):
    assert find_lowest_fitting(*to_arrays(flow), most) == fitting_by_hand(flow, most)


@given(FLOWS, st.lists(PROBABILITIES, max_size=30), TERMS, st.sampled_from([1.0, 2.5, 4.0]))
def test_hand_overs_never_exceed_the_capacity_and_pay_for_their_cost(flow, leads, terms, weeks):
    found = find_handover_threshold(
        WeeklyFlow(*to_arrays(flow), weeks), np.array(leads, float), terms
    )
    tonight = [p for p in leads if p >= found.applied]
    assert len(tonight) + min(terms.used, terms.per_week) <= terms.per_week
    assert all(p * terms.value > terms.cost for p in tonight)
    assert found.per_week == count_by_hand(flow, found.standing) / weeks
    assert found.per_week <= terms.per_week
    # Above the threshold every other one would have fitted, too.
    above = [p for pair in flow for p in pair if p >= found.standing]
    assert all(count_by_hand(flow, p) / weeks <= terms.per_week for p in above)


@given(FLOWS, st.lists(PROBABILITIES, max_size=30), TERMS)
def test_threshold_never_rises_with_capacity_nor_falls_with_cost(flow, leads, terms):
    def tonight(changed):
        return find_handover_threshold(
            WeeklyFlow(*to_arrays(flow), 1.0), np.array(leads), changed
        ).applied

    usual = tonight(terms)
    assert tonight(terms._replace(per_week=terms.per_week + 3)) <= usual
    assert tonight(terms._replace(cost=terms.cost * 2)) >= usual
    assert tonight(terms._replace(used=terms.used + 1)) >= usual


@given(FLOWS, st.lists(PROBABILITIES, min_size=1, max_size=30), TERMS)
def test_threshold_is_the_lowest_that_fits_and_pays(flow, leads, terms):
    """Every lower probability of a lead is too many for the places, for the pace, or costs more."""
    found = find_handover_threshold(WeeklyFlow(*to_arrays(flow), 1.0), np.array(leads), terms)
    places = max(terms.per_week - terms.used, 0)
    for lower in {p for p in leads if p < found.applied}:
        higher = {p for pair in flow for p in pair if p >= lower}
        is_too_fast = any(count_by_hand(flow, p) > terms.per_week for p in higher)
        is_too_many = sum(p >= lower for p in leads) > places
        assert is_too_fast or is_too_many or lower * terms.value <= terms.cost


@pytest.mark.parametrize(
    ("cost", "value", "limit", "standing"),
    [(10.0, 100.0, "capacity", 0.4), (70.0, 100.0, "value", 0.7), (200.0, 100.0, "value", 2.0)],
)
def test_limit_is_that_which_is_reached_first(cost, value, limit, standing):
    leads = np.array([0.2, 0.4, 0.6, 0.8])
    flow = WeeklyFlow(np.full(4, -np.inf), leads, 1.0)
    found = find_handover_threshold(flow, leads, HandoverTerms(2, 0, cost, value))
    assert found.limit == limit
    assert found.standing == pytest.approx(standing)


def test_value_that_is_unknown_hands_nothing_over():
    leads = np.array([0.9])
    flow = WeeklyFlow(np.array([-np.inf]), leads, 1.0)
    found = find_handover_threshold(flow, leads, HandoverTerms(5, 0, 1.0, np.nan))
    assert found.applied == np.inf
