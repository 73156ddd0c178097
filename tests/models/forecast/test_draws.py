"""Draws of what periods bring, against the exact law where deals are independent."""

import numpy as np
import pytest

from models.forecast.amounts import ExpectedAmounts
from models.forecast.draws import DRAWS, draw_periods
from models.forecast.past_errors import SharedFactor, scale_chances

NOTHING = SharedFactor(np.zeros(2), np.zeros((2, 2)))
COMMON = SharedFactor(np.zeros(2), np.diag([0.04, 0.04]))


def draw(chances, segment=None, new=((0.0,),), factors=None, amounts=None, past=None):
    chances = np.array(chances, float)
    segment = np.zeros(len(chances), np.int64) if segment is None else np.array(segment)
    factors = factors or (NOTHING,) * chances.shape[1]
    return draw_periods(chances, amounts, segment, np.array(new), factors, past)


def exact_law(chances):
    """Return the chances of 0, 1, … wins of independent deals: the convolution of all."""
    law = np.ones(1)
    for chance in chances:
        law = np.convolve(law, [1 - chance, chance])
    return law


def test_wins_follow_the_exact_law():
    chances = np.random.default_rng(3).uniform(0, 0.4, 25)
    wins = draw(chances[:, None]).open_wins[:, 0, 0]
    share = np.bincount(wins.astype(int), minlength=26)[:26] / DRAWS
    assert np.abs(np.cumsum(share) - np.cumsum(exact_law(chances))).max() < 0.035


def test_deal_is_won_in_one_period_only():
    draws = draw([[0.3, 1.0]] * 40, new=[[0.0], [0.0]])
    assert (draws.open_wins.sum(axis=(1, 2)) == 40).all()
    assert draws.open_wins[:, 0].mean() == pytest.approx(12, rel=0.03)


def test_segments_add_up_to_what_one_segment_draws():
    chances = np.random.default_rng(1).uniform(0, 1, (60, 1))
    parts = draw(chances, segment=np.arange(60) % 3, new=[[0.0, 0.0, 0.0]])
    assert (parts.open_wins.sum(axis=2) == draw(chances).open_wins[:, :, 0]).all()


def test_shared_factor_widens_the_band():
    chances = [[0.5]] * 400
    alone = draw(chances).open_wins.std()
    assert alone == pytest.approx(10, rel=0.06)
    # The odds vary by 20 %, so that the chance varies by 5 points.
    shared = draw(chances, factors=(COMMON,)).open_wins.std()
    assert shared == pytest.approx(np.hypot(10, 400 * 0.05), rel=0.08)


def test_new_wins_are_counts_with_their_mean():
    draws = draw(np.zeros((1, 2)), new=[[3.0], [10.0]])
    assert draws.new_wins.mean(axis=(0, 2)) == pytest.approx([3, 7], rel=0.05)
    assert draws.new_wins[:, 0].var() == pytest.approx(3, rel=0.1)


def test_factor_of_new_deals_is_that_of_their_wins():
    draws = draw(np.zeros((1, 1)), new=[[400.0]], factors=(COMMON,))
    assert draws.new_factors.shape == (DRAWS, 1)
    spread = np.log(draws.new_factors).std()
    assert spread == pytest.approx(0.2, rel=0.06)
    assert np.corrcoef(draws.new_factors[:, 0], draws.new_wins[:, 0, 0])[0, 1] > 0.95
    assert draws.new_wins[:, 0, 0] / draws.new_factors[:, 0] == pytest.approx(400, rel=0.3)


def test_amounts_of_open_and_new_deals():
    amounts = ExpectedAmounts(np.array([100.0, 1.0]), np.array([50.0, 90.0]))
    sums = draw([[1.0], [0.0]], new=[[5.0]], amounts=amounts, past=[np.array([10.0, 30.0])])
    assert sums.open_amount.mean() == pytest.approx(100, rel=0.03)
    assert sums.open_amount.std() == pytest.approx(50, rel=0.05)
    assert sums.new_amount.mean() == pytest.approx(100, rel=0.03)
    # The sum of a Poisson number of amounts.
    assert sums.new_amount.std() == pytest.approx(np.sqrt(5 * 500), rel=0.06)


def test_draws_are_the_same_every_time():
    chances = np.random.default_rng(2).uniform(0, 1, (30, 1))
    assert (draw(chances).open_wins == draw(chances).open_wins).all()


def test_new_deals_count_without_open_ones():
    draws = draw(np.empty((0, 1)), new=[[2.0]])
    assert draws.open_wins.sum() == 0
    assert draws.new_wins.mean() == pytest.approx(2, rel=0.06)


def test_odds_are_scaled():
    assert scale_chances(np.array([0.0, 0.5, 1.0]), 3.0) == pytest.approx([0, 0.75, 1])


def test_amounts_share_a_factor_too():
    amounts = ExpectedAmounts(np.full(200, 10.0), np.zeros(200))
    factor = SharedFactor(np.zeros(2), np.zeros((2, 2)), amount_mean=np.log(1.2), amount_spread=0.1)
    sums = draw(np.ones((200, 1)), factors=(factor,), amounts=amounts)
    assert sums.open_amount.mean() == pytest.approx(2400, rel=0.01)
    assert np.log(sums.open_amount).std() == pytest.approx(0.1, rel=0.06)
