"""The order of grades, tested on realised outcomes."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from models.calibration import compute_wilson_interval
from serve.monitoring.expectations import Recommendation, recommend_retraining
from serve.monitoring.grade_order import MIN_GRADE_LEADS, GradeRate, compare_grades


def counted(*counts, rows_per_lead=1, alike=True):
    """Return the order of grades with (outcomes, rows, published probability) each."""
    grade, label, probability, lead = [], [], [], []
    for name, (outcomes, rows, published) in zip("ABCD", counts, strict=False):
        grade += [name] * rows * rows_per_lead
        label += [1.0] * outcomes * rows_per_lead + [0.0] * (rows - outcomes) * rows_per_lead
        probability += [published] * rows * rows_per_lead
        lead += [f"{name}{row}" for row in range(rows) for _ in range(rows_per_lead)]
    return compare_grades(grade, np.array(label), np.array(probability), np.array(lead))


def test_grade_a_that_does_worse_than_b_is_said():
    (order,) = counted((2, 81, 0.14), (21, 385, 0.06))
    assert order.is_reversed and not order.is_certain and order.is_short and order.is_reason
    assert order.sentence.startswith(
        "grade A does worse than B: 2 of 81 (2.5%) against 21 of 385 (5.5%), "
        "published 14.0% and 6.0%; the difference is -3.0 points ("
    )
    assert "falls short of the published difference" in order.sentence
    assert json.loads(json.dumps(order.to_json(), allow_nan=False))["reversed"] is True


def test_chance_is_named_where_the_published_difference_is_small():
    (order,) = counted((2, 81, 0.065), (21, 385, 0.06))
    assert order.is_reversed and not order.is_short and not order.is_reason
    assert order.sentence.endswith("chance may explain it")


def test_certain_reversal_is_named_for_every_pair():
    orders = counted((40, 400, 0.3), (120, 400, 0.2), (20, 400, 0.1), (5, 400, 0.02))
    assert [order.is_certain for order in orders] == [True, False, False]
    assert orders[0].sentence.endswith("more than chance explains")


def test_right_order_and_small_grades_are_no_reversal():
    assert not any(order.is_reversed for order in counted((30, 100, 0.3), (10, 100, 0.1)))
    assert counted((0, MIN_GRADE_LEADS - 1, 0.3), (10, 100, 0.1)) == []


def test_repeated_rows_of_a_lead_add_no_evidence():
    once, (ten,) = (
        counted((2, 81, 0.1), (21, 385, 0.06)),
        counted((2, 81, 0.1), (21, 385, 0.06), rows_per_lead=10),
    )
    assert ten.better.effective_rows == pytest.approx(81, rel=0.02)
    assert ten.difference.low == pytest.approx(once[0].difference.low, abs=2e-3)
    assert ten.difference.high == pytest.approx(once[0].difference.high, abs=2e-3)


@settings(max_examples=200)
@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_interval_of_independent_rows_is_wilsons(counts):
    outcomes, rows = counts
    rate = GradeRate("A", rows, rows, outcomes, 0.1, float(rows))
    expected = binomtest(outcomes, rows).proportion_ci(0.9, method="wilson")
    sizes = np.array([rate.rate]), np.array([rate.effective_rows])
    (low,), (high,) = compute_wilson_interval(*sizes, 1.6449)
    assert low == pytest.approx(expected.low, abs=1e-4)
    assert high == pytest.approx(expected.high, abs=1e-4)


def test_false_alarms_are_rare_where_probabilities_are_right():
    """Both grades convert as published, with 5 rows a lead: a reason in at most 1 % of months."""
    rng, alarms, months = np.random.default_rng(5), 0, 400
    lead = np.repeat(np.arange(200), 5)
    grade = np.where(lead < 60, "A", "B").tolist()
    chance = np.where(lead < 60, 0.12, 0.06)
    for _ in range(months):
        label = (rng.random(200)[lead] < chance).astype(float)
        (order,) = compare_grades(grade, label, chance, lead)
        alarms += order.is_reason
    assert alarms <= 0.01 * months


def test_recommendation_names_grades_out_of_order():
    broken = counted((2, 81, 0.14), (21, 385, 0.06))
    doubtful = counted((2, 81, 0.065), (21, 385, 0.06))
    advice = recommend_retraining("3", [], [], None, grades=broken)
    assert advice.retrain and not advice.doubts
    assert advice.reasons[0].startswith("version 3: grade A does worse than B: 2 of 81 (2.5%)")
    advice = recommend_retraining("3", [], [], None, grades=doubtful)
    assert not advice.retrain and advice.doubts[0].endswith("chance may explain it")
    assert recommend_retraining(
        "3", [], [], None, grades=counted((30, 100, 0.3), (9, 99, 0.1))
    ) == (Recommendation(()))
