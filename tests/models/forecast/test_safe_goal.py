"""What makes a goal safe, against exact laws and a plain simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.forecast.safe_goal import SAFE_CHANCE, find_safe_needs

RANDOM = np.random.default_rng(5)
ONE_WIN = np.ones(1)


def law_of_wins(deals, chance):
    """Return the chances of 0, 1, … wins of deals: the convolution of all."""
    law = np.ones(1)
    for _ in range(deals):
        law = np.convolve(law, [1 - chance, chance])
    return law


def test_wins_are_those_with_which_enough_draws_reach_the_goal():
    total = RANDOM.poisson(20, 2000).astype(float)
    needs = find_safe_needs(24.0 - total, ONE_WIN, None)

    def reach(wins):
        return sum(value + wins >= 24.0 for value in total) / len(total)

    assert reach(needs.wins) >= SAFE_CHANCE > reach(needs.wins - 1)
    assert needs.gap == needs.wins
    assert needs.deals is None


@pytest.mark.parametrize(("lacking", "chance"), [(3, 0.25), (12, 0.06), (1, 1.0)])
def test_deals_follow_the_exact_law(lacking, chance):
    """All draws lack the same: enough deals are those that bring as many wins at 80 %."""
    draws = 40_000
    needs = find_safe_needs(np.full(draws, lacking - 0.5), ONE_WIN, np.full(draws, chance))
    assert needs.wins == lacking
    exact = next(
        deals
        for deals in range(lacking, 1000)
        if law_of_wins(deals, chance)[lacking:].sum() >= SAFE_CHANCE - 1e-12
    )
    assert needs.deals == pytest.approx(exact, rel=0.015)
    # Dividing by the chance is too few.
    assert needs.deals >= lacking / chance


def test_amounts_are_drawn_as_a_plain_simulation_draws_them():
    past = RANDOM.lognormal(0, 1, 400)
    shortfall = RANDOM.normal(8, 6, 4000)
    chances = RANDOM.uniform(0.1, 0.3, 4000)
    needs = find_safe_needs(shortfall, past, chances)

    def reach_with_wins(count):
        sums = RANDOM.choice(past, (len(shortfall), count)).sum(axis=1)
        return np.mean(sums >= shortfall)

    def reach_with_deals(count):
        wins = RANDOM.binomial(count, chances)
        sums = np.array([RANDOM.choice(past, number).sum() for number in wins])
        return np.mean(sums >= shortfall)

    assert reach_with_wins(int(needs.wins)) == pytest.approx(SAFE_CHANCE, abs=0.04)
    assert reach_with_deals(int(needs.deals)) == pytest.approx(SAFE_CHANCE, abs=0.025)
    assert needs.wins > needs.gap / past.mean() > 0


def test_shared_chance_of_new_deals_counts():
    """Where deals close badly in the draws that lack most, more of them are needed."""
    shortfall = np.linspace(-10, 30, 4000)
    even = find_safe_needs(shortfall, ONE_WIN, np.full(4000, 0.2))
    bad = find_safe_needs(shortfall, ONE_WIN, np.linspace(0.3, 0.1, 4000))
    assert bad.deals > 1.2 * even.deals
    assert bad.wins == even.wins


def test_safe_goal_needs_nothing():
    shortfall = np.concatenate([np.full(80, -1.0), np.full(20, 5.0)])
    for chances in (None, np.full(100, 0.5)):
        needs = find_safe_needs(shortfall, ONE_WIN, chances)
        assert (needs.gap, needs.wins, needs.deals) == (0, 0, 0)
    less = find_safe_needs(np.append(shortfall, 1.0), ONE_WIN, np.ones(101))
    assert (less.wins, less.deals) == (1, 1)


def test_wins_without_an_amount_close_nothing():
    for past in ([], [0.0, 0.0], [np.nan], [-3.0]):
        needs = find_safe_needs(np.full(10, 4.0), np.array(past, float), np.full(10, 0.5))
        assert (needs.gap, needs.wins, needs.deals) == (4.0, None, None)


def test_deals_that_are_never_won_are_no_way():
    assert find_safe_needs(np.full(10, 4.0), ONE_WIN, np.zeros(10)).deals is None


def test_far_goal_goes_round_the_sequence():
    needs = find_safe_needs(np.full(50, 1_000_000.2), np.array([2.0]), None)
    assert needs.wins == 500_001


@given(
    goal=st.floats(0, 300),
    totals=st.lists(st.floats(0, 200), min_size=1, max_size=40),
    amounts=st.lists(st.floats(0.5, 50), min_size=1, max_size=10),
    chance=st.floats(0.05, 1),
)
def test_needs_are_ordered(goal, totals, amounts, chance):
    shortfall = goal - np.array(totals)
    needs = find_safe_needs(shortfall, np.array(amounts), np.full(len(totals), chance))
    reached = np.mean(shortfall <= 0)
    assert (needs.wins == 0) == (needs.gap == 0) == (reached >= SAFE_CHANCE - 1e-12)
    assert needs.deals >= needs.wins
    assert needs.wins * max(amounts) >= needs.gap - 1e-6
    assert needs.wins <= math.ceil(needs.gap / min(amounts)) + 1
    assert np.mean(shortfall <= needs.gap) >= SAFE_CHANCE - 1e-12
    higher = find_safe_needs(shortfall + 10, np.array(amounts), np.full(len(totals), chance))
    assert higher.wins >= needs.wins
