"""Draws of what the periods will bring: each deal is won or not, under a factor that all share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.forecast.past_errors import SharedFactor, scale_chances

DRAWS = 2_000
SEED = 20_110_915
# Random numbers that are held in memory at one time.
MAX_CELLS = 4_000_000


@dataclass(frozen=True)
class DealAmounts:
    """What wins are worth.

    Attributes:
        amount: Expected amount of each lead, float64 (leads,).
        spread: Standard deviation of an amount around it, as a share of it.
        past: Amounts of the wins so far, from which those of new deals are drawn.
    """

    amount: np.ndarray
    spread: float
    past: np.ndarray


@dataclass(frozen=True)
class PeriodDraws:
    """Draws of each period and segment: wins and amounts, float64 (draws, periods, segments).

    Attributes:
        open_wins: Wins of the deals that are open.
        open_amount: Their amounts; None without amounts.
        new_wins: Wins of the deals to come.
        new_amount: Their amounts; None without amounts.
    """

    open_wins: np.ndarray
    open_amount: np.ndarray | None
    new_wins: np.ndarray
    new_amount: np.ndarray | None


def draw_periods(
    chances: np.ndarray,
    amount: np.ndarray | None,
    segment: np.ndarray,
    new_wins: np.ndarray,
    factors: tuple[SharedFactor, ...],
    amounts: DealAmounts | None,
) -> PeriodDraws:
    """Return draws of the wins between the ends of periods, the first from the as-of on.

    Args:
        chances: Chance of each open deal by each end, float64 (deals, ends).
        amount: Expected amount of each open deal; None without amounts.
        segment: Segment of each open deal, int64.
        new_wins: Expected wins of new deals by each end and segment, float64 (ends, segments).
        factors: Shared factor for each end.
        amounts: What wins are worth; None without amounts.
    """
    generator = np.random.Generator(np.random.PCG64(SEED))
    normals = generator.standard_normal((DRAWS, 2))
    # A later end has had all wins of an earlier one.
    shared = np.stack([factor.find_factors(normals) for factor in factors], axis=1)
    spread = None if amounts is None else amounts.spread
    weights = _list_weights(amount, segment, new_wins.shape[1])
    open_wins, open_amount = _draw_open(generator, chances, weights, shared, spread)
    if open_amount is not None:
        spread_of_all = np.array([factor.amount_spread for factor in factors])
        mean_of_all = np.array([factor.amount_mean for factor in factors])
        draws = generator.standard_normal((DRAWS, 1))
        open_amount *= np.exp(mean_of_all + spread_of_all * draws)[:, :, None]
    expected = np.maximum.accumulate(new_wins * shared[:, :, 1:2], axis=1)
    counts = generator.poisson(np.maximum(np.diff(expected, axis=1, prepend=0.0), 0.0))
    new_amount = None
    if amounts is not None and len(amounts.past):
        sums = np.concatenate([[0.0], np.cumsum(generator.choice(amounts.past, counts.sum()))])
        edges = np.cumsum(counts.ravel())
        new_amount = (sums[edges] - sums[edges - counts.ravel()]).reshape(counts.shape)
    return PeriodDraws(open_wins, open_amount, counts.astype(float), new_amount)


def _list_weights(amount: np.ndarray | None, segment: np.ndarray, segments: int) -> np.ndarray:
    """Return what a win of each deal adds: to wins, amounts and their squares, by segment."""
    deals = len(segment)
    weights = np.zeros((3, segments, deals))
    weights[0, segment, np.arange(deals)] = 1.0
    if amount is not None:
        weights[1], weights[2] = weights[0] * amount, weights[0] * amount**2
    return weights


def _draw_open(
    generator: np.random.Generator,
    chances: np.ndarray,
    weights: np.ndarray,
    shared: np.ndarray,
    spread: float | None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return draws of the wins of open deals and, with a ``spread``, of their amounts."""
    deals, ends = chances.shape
    flat = weights.reshape(weights.shape[0] * weights.shape[1], deals).T
    sums = np.empty((DRAWS, ends, *weights.shape[:2]))
    size = max(MAX_CELLS // max(deals, 1), 1)
    for begin in range(0, DRAWS, size):
        rows = slice(begin, min(begin + size, DRAWS))
        uniform = generator.random((rows.stop - rows.start, deals))
        before = np.zeros(uniform.shape, bool)
        for end in range(ends):
            won = uniform < scale_chances(chances[:, end], shared[rows, end, :1])
            sums[rows, end] = ((won & ~before).astype(float) @ flat).reshape(-1, *weights.shape[:2])
            before |= won
    if spread is None:
        return sums[:, :, 0], None
    noise = generator.standard_normal(sums[:, :, 0].shape)
    return sums[:, :, 0], sums[:, :, 1] + spread * noise * np.sqrt(sums[:, :, 2])
