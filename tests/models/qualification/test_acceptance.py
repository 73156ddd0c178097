"""Rates of answers: weights against repeated rows, and intervals against simulated draws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.calibration import compute_wilson_interval
from models.qualification.acceptance import NO_RATE, estimate_rate

ANSWERS = st.lists(st.tuples(st.integers(0, 1), st.sampled_from([1.0, 0.5, 0.25])), min_size=1)


@given(ANSWERS)
def test_weighted_rate_is_that_of_the_leads_that_each_answer_stands_for(answers):
    outcome, chance = (np.array(side, float) for side in zip(*answers, strict=True))
    found = estimate_rate(outcome, chance, np.arange(len(answers)))
    repeated = [y for y, e in answers for _ in range(round(1 / e))]
    assert found.rate == pytest.approx(np.mean(repeated))
    assert 0 <= found.low <= found.rate + 1e-12 and found.rate - 1e-12 <= found.high <= 1
    # Weights never make the estimate more exact than as many answers of equal weight.
    assert found.size <= len(answers) + 1e-9


def test_rate_of_equal_chances_has_the_interval_of_wilson():
    outcome = np.repeat([1.0, 0.0], [12, 28])
    found = estimate_rate(outcome, np.ones(40), np.arange(40))
    low, high = compute_wilson_interval(np.array(0.3), np.array(40))
    assert found == pytest.approx((0.3, float(low), float(high), 40))


def test_leads_of_one_account_count_as_one_answer():
    outcome = np.repeat([1.0, 0.0], [15, 15])
    pairs = estimate_rate(outcome, np.ones(30), np.arange(30) // 3)
    assert pairs.rate == 0.5
    assert pairs.size == pytest.approx(10)


def test_rate_without_an_answer_is_missing():
    assert estimate_rate(np.array([]), np.array([]), np.array([])) is NO_RATE


@pytest.mark.parametrize("rare", [0.05, 0.3, 0.6])
def test_interval_of_a_weighted_rate_holds_the_truth_as_often_as_it_says(rare):
    """Leads above the threshold are all answered, of the many others every tenth."""
    rng = np.random.default_rng(1)
    chance = np.repeat([1.0, 0.1], [200, 1200])
    truth = np.repeat([0.5, rare], [200, 1200])
    held = 0
    for _ in range(400):
        drawn = rng.random(1400) < chance
        outcome = (rng.random(1400) < truth)[drawn].astype(float)
        found = estimate_rate(outcome, chance[drawn], np.arange(drawn.sum()))
        held += found.low <= truth.mean() <= found.high
    assert held / 400 >= 0.87
