"""What makes a goal safe: further wins, or new deals, with which most draws reach it.

In each draw of the forecast it is counted how many further wins the total lacks, and how many deals
must be created to bring as many wins. The goal is safe with the number that is enough in a share
SAFE_CHANCE of the draws. So the answer knows how uncertain the forecast is, that amounts of wins
differ, and that not every new deal is won; a gap divided by a mean knows none of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Chance from which a goal counts as safe.
SAFE_CHANCE = 0.8
SEED = 20_120_115
# Amounts of further wins are read from one long sequence, from a place of its own in each draw. Few
# draws share a stretch of it: they differ by tens of wins, seldom by hundreds.
SEQUENCE = 100_000
# A deal with a lower chance is none that would ever be won.
MIN_CHANCE = 1e-6


@dataclass(frozen=True)
class SafeNeeds:
    """What would make a goal safe, beside what the forecast expects; 0 where it is safe.

    Attributes:
        gap: What the total lacks, in the goal's unit.
        wins: Further wins; None where no win has an amount.
        deals: Deals to create at the as-of; None where they hardly close by the period's end.
    """

    gap: float
    wins: float | None
    deals: float | None


def find_safe_needs(
    shortfall: np.ndarray, past_amounts: np.ndarray, deal_chances: np.ndarray | None
) -> SafeNeeds:
    """Return what would make a goal safe.

    Args:
        shortfall: Goal less total of each draw, float64 (draws,).
        past_amounts: Amounts of past wins, one of which a further win has; float64 (wins,).
        deal_chances: Chance in each draw that a deal created at the as-of is won by the period's
            end, float64 (draws,); None where it hardly is.
    """
    generator = np.random.Generator(np.random.PCG64(SEED))
    gap = max(_find_safe_level(shortfall), 0.0)
    wins = _count_wins(generator, shortfall, past_amounts)
    if wins is None:
        return SafeNeeds(gap, None, None)
    needed = _find_safe_level(wins)
    if deal_chances is None:
        return SafeNeeds(gap, needed, 0.0 if needed == 0 else None)
    deals = _find_safe_level(_count_deals(generator, wins, deal_chances))
    return SafeNeeds(gap, needed, deals if np.isfinite(deals) else None)


def _find_safe_level(values: np.ndarray) -> float:
    """Return the least of the values that a share SAFE_CHANCE of them does not exceed."""
    return float(np.quantile(values, SAFE_CHANCE, method="inverted_cdf"))


def _count_wins(
    generator: np.random.Generator, shortfall: np.ndarray, past_amounts: np.ndarray
) -> np.ndarray | None:
    """Return how many further wins make up for the shortfall of each draw; None if none do."""
    amounts = np.maximum(past_amounts[np.isfinite(past_amounts)], 0.0)
    if not amounts.sum() > 0:
        return None
    sums = np.cumsum(generator.choice(amounts, SEQUENCE))
    whole = sums[-1]
    if not whole > 0:
        return None
    start = generator.integers(0, SEQUENCE, len(shortfall))
    before = np.concatenate([[0.0], sums])[start]
    lacking = np.maximum(shortfall, 0.0)
    # After its end the sequence begins again.
    rounds = np.floor(lacking / whole)
    asked = before + (lacking - rounds * whole)
    last = np.searchsorted(np.concatenate([sums, sums + whole]), asked)
    # A shortfall that is lost in rounding takes a win all the same.
    wins = np.maximum(rounds * SEQUENCE + last + 1 - start, 1.0)
    return np.where(shortfall > 0, wins, 0.0)


def _count_deals(
    generator: np.random.Generator, wins: np.ndarray, chances: np.ndarray
) -> np.ndarray:
    """Return how many deals each draw takes for its further wins: wins and losses before them."""
    can_win = chances >= MIN_CHANCE
    losses = generator.negative_binomial(
        np.maximum(wins, 1.0), np.where(can_win, np.minimum(chances, 1.0), 1.0)
    )
    return np.where(wins == 0, 0.0, np.where(can_win, wins + losses, np.inf))
