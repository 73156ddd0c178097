"""Draws of what the periods will bring: each deal is won or not, under a factor that all share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.tools.parallel import parallel_map
from models.forecast.amounts import ExpectedAmounts
from models.forecast.past_errors import SharedFactor, find_odds

DRAWS = 2_000
SEED = 20_110_915
# Random numbers that a thread holds in memory at one time.
MAX_CELLS = 2_000_000


@dataclass(frozen=True)
class PeriodDraws:
    """Draws of each period and segment: wins and amounts, float64 (draws, periods, segments).

    Attributes:
        open_wins: Wins of the deals that are open.
        open_amount: Their amounts; None without amounts.
        new_wins: Wins of the deals to come.
        new_amount: Their amounts; None without amounts.
        new_factors: What the chances of deals to come are multiplied by up to each end, float64
            (draws, ends).
    """

    open_wins: np.ndarray
    open_amount: np.ndarray | None
    new_wins: np.ndarray
    new_amount: np.ndarray | None
    new_factors: np.ndarray


def draw_periods(
    chances: np.ndarray,
    amounts: ExpectedAmounts | None,
    segment: np.ndarray,
    new_wins: np.ndarray,
    factors: tuple[SharedFactor, ...],
    past_amounts: list[np.ndarray] | None,
) -> PeriodDraws:
    """Return draws of the wins between the ends of periods, the first from the as-of on.

    Args:
        chances: Chance of each open deal by each end, float64 (deals, ends).
        amounts: What wins of the open deals are worth; None without amounts.
        segment: Segment of each open deal, int64.
        new_wins: Expected wins of new deals by each end and segment, float64 (ends, segments).
        factors: Shared factor for each end.
        past_amounts: For each end amounts of past wins, of which new deals have one; None without.
    """
    generator = np.random.Generator(np.random.PCG64(SEED))
    normals = generator.standard_normal((DRAWS, 2))
    # A later end has had all wins of an earlier one.
    shared = np.stack([factor.find_factors(normals) for factor in factors], axis=1)
    weights = _list_weights(amounts, segment, new_wins.shape[1])
    open_wins, open_amount = _draw_open(chances, weights, shared, amounts is not None)
    if open_amount is not None:
        spread_of_all = np.array([factor.amount_spread for factor in factors])
        mean_of_all = np.array([factor.amount_mean for factor in factors])
        draws = generator.standard_normal((DRAWS, 1))
        open_amount *= np.exp(mean_of_all + spread_of_all * draws)[:, :, None]
    expected = np.maximum.accumulate(new_wins * shared[:, :, 1:2], axis=1)
    counts = generator.poisson(np.maximum(np.diff(expected, axis=1, prepend=0.0), 0.0))
    new_amount = None
    if past_amounts is not None and all(len(past) for past in past_amounts):
        parts = [
            _add_amounts(generator, past, counts[:, end]) for end, past in enumerate(past_amounts)
        ]
        new_amount = np.stack(parts, axis=1)
    return PeriodDraws(open_wins, open_amount, counts.astype(float), new_amount, shared[:, :, 1])


def _add_amounts(
    generator: np.random.Generator, past: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """Return the sum of as many drawn amounts as each count says."""
    sums = np.concatenate([[0.0], np.cumsum(generator.choice(past, counts.sum()))])
    edges = np.cumsum(counts.ravel())
    added: np.ndarray = (sums[edges] - sums[edges - counts.ravel()]).reshape(counts.shape)
    return added


def _list_weights(
    amounts: ExpectedAmounts | None, segment: np.ndarray, segments: int
) -> np.ndarray:
    """Return what a win of each deal adds: to wins, amounts and their variance, by segment."""
    deals = len(segment)
    weights = np.zeros((3, segments, deals))
    weights[0, segment, np.arange(deals)] = 1.0
    if amounts is not None:
        weights[1], weights[2] = weights[0] * amounts.amount, weights[0] * amounts.spread**2
    return weights


def _draw_open(
    chances: np.ndarray, weights: np.ndarray, shared: np.ndarray, has_amounts: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return draws of the wins of open deals and, where these have ones, of their amounts."""
    flat = np.concatenate(list(weights)).T
    odds, size = find_odds(chances), max(MAX_CELLS // max(len(chances), 1), 1)
    parts = parallel_map(
        lambda begin: _draw_part(odds, flat, shared[begin : begin + size], begin),
        range(0, DRAWS, size),
    )
    sums = np.concatenate(list(parts)).reshape(DRAWS, chances.shape[1], *weights.shape[:2])
    if not has_amounts:
        return sums[:, :, 0], None
    noise = _start_generator(DRAWS).standard_normal(sums[:, :, 0].shape)
    return sums[:, :, 0], sums[:, :, 1] + noise * np.sqrt(sums[:, :, 2])


def _draw_part(odds: np.ndarray, weights: np.ndarray, shared: np.ndarray, begin: int) -> np.ndarray:
    """Return what some draws of wins add up to by each end, from draw ``begin`` on."""
    # A number below a chance has odds below the chance's, and a factor multiplies these.
    drawn = find_odds(_start_generator(begin).random((len(shared), len(odds))))
    sums = np.empty((len(shared), odds.shape[1], weights.shape[1]))
    before = np.zeros(drawn.shape, bool)
    for end in range(odds.shape[1]):
        won = drawn < odds[:, end] * shared[:, end, :1]
        sums[:, end] = (won & ~before).astype(float) @ weights
        before |= won
    return sums


def _start_generator(part: int) -> np.random.Generator:
    """Return the random numbers of a part, which do not depend on how many threads draw."""
    return np.random.Generator(np.random.PCG64([SEED, part]))
