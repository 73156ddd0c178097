"""How far values seem to differ by chance alone, if as many are compared.

Outcomes are shuffled among the units, and the largest difference over all values is noted: a value
that exceeds 95 % of these is no chance find, however many are compared (Westfall and Young,
*Resampling-Based Multiple Testing*, 1993, single step).
"""

from __future__ import annotations

import numpy as np

from models.encoding import sample_evenly
from models.fit.cohort import EntryCohort
from models.fit.entry_values import EntryValues
from models.fit.lifts import OutcomeSums, score_difference

# Share of the profiles of pure noise that have an entry.
FALSE_ENTRY_RATE = 0.05
SHUFFLES = 1_000
# Units that are shuffled: the largest difference in standard errors hardly depends on more.
MAX_SHUFFLED = 20_000


def find_critical_score(
    cohort: EntryCohort, values: EntryValues, rows: np.ndarray, compared: np.ndarray
) -> float:
    """Return the score, without its sign, that a value reaches to be no chance find.

    ``rows`` are the cohort's units among those of ``values``, ``compared`` the numbers of the
    values that are compared. Infinite where nothing can be compared.
    """
    kept = sample_evenly(len(cohort), MAX_SHUFFLED)
    outcome, codes = cohort.outcome[kept], _number_compared(values, rows[kept], compared)
    size = np.bincount(codes.ravel(), minlength=len(compared) + 1)[:-1].astype(float)
    amounts = outcome[outcome > 0]
    if not len(compared) or not len(amounts):
        return np.inf
    every = OutcomeSums(
        *(np.array([part]) for part in (len(kept), len(amounts), outcome.sum(), outcome @ outcome))
    )
    random, largest = np.random.default_rng(0), np.empty(SHUFFLES)
    for shuffle in range(SHUFFLES):
        units = random.permutation(len(kept))[: len(amounts)]
        drawn = np.broadcast_to(amounts, (len(codes), len(amounts))).ravel()
        total = np.bincount(codes[:, units].ravel(), drawn, len(compared) + 1)[:-1]
        largest[shuffle] = np.abs(score_difference(size, total, every)).max()
    # The sample itself counts as one of the shuffles, so the rate is kept exactly.
    allowed = int(FALSE_ENTRY_RATE * (SHUFFLES + 1)) - 1
    # Just above the first one that is too many.
    return float(np.nextafter(np.sort(largest)[::-1][allowed], np.inf))


def _number_compared(values: EntryValues, rows: np.ndarray, compared: np.ndarray) -> np.ndarray:
    """Return the place among the compared values of each unit's; behind them for any other."""
    place = np.full(len(values.names) + 1, len(compared))
    place[compared] = np.arange(len(compared))
    return place[values.codes[:, rows]]
