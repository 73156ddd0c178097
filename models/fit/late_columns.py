"""Columns that are filled with the win: a profile of them would describe customers, not buyers.

An attribute without a history shows its value of today. One that customers have far more often
than others may have been filled when they became customers, so it may not enter a profile.
"""

from __future__ import annotations

import numpy as np

from models.leakage.worked import MIN_FILL_ERRORS, MIN_FILL_GAP, MIN_ODDS_RATIO, compute_odds


def describe_late_filling(filled: np.ndarray, is_customer: np.ndarray) -> str | None:
    """Return the evidence that a column was filled with the win; None if there is none.

    Both arrays are bool (units,). The bounds are those of the leakage audit for columns that are
    filled as a lead is worked.
    """
    counts = is_customer.sum(), (~is_customer).sum()
    if not min(counts):
        return None
    shares = filled[is_customer].mean(), filled[~is_customer].mean()
    # Half a unit on each side keeps the errors above zero.
    errors = [
        np.sqrt((share * size + 0.5) * ((1 - share) * size + 0.5) / (size + 1.0) ** 3)
        for share, size in zip(shares, counts, strict=True)
    ]
    gap = shares[0] - shares[1]
    if gap < max(MIN_FILL_GAP, MIN_FILL_ERRORS * np.hypot(*errors)):
        return None
    if compute_odds(shares[0]) < MIN_ODDS_RATIO * compute_odds(shares[1]):
        return None
    return (
        f"filled in {shares[0]:.1%} of the customers and in {shares[1]:.1%} of the others: without "
        "a history it may have been filled with the win"
    )
