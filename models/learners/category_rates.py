"""Category rates: how often the outcome came at a category, as known when a row was asked.

Ordered target statistics (Prokhorenkova et al., "CatBoost: unbiased boosting with categorical
features", NeurIPS 2018), in the order of time: the rate of a train row counts only outcomes that
were known at its cutoff, so it never sees its own outcome or a later one. Rates of few rows shrink
to what is expected without them, as the posterior mean of a Poisson rate with a gamma prior
(Clayton & Kaldor, Biometrics 43, 1987).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Self

import numpy as np

from models.calibration import compute_log_loss
from models.encoding import MAX_CATEGORIES
from models.learners.fit_input import FitInput

# Expected outcomes that the prior counts for; the one that forecasts later outcomes best is used.
PRIOR_OUTCOMES = (1.0, 3.0, 10.0, 30.0)
# Pairs are looked for among the columns whose own rates forecast best.
MAX_PAIRED_COLUMNS = 10
MAX_PAIRS = 10
# Stored categories of one column or pair: those of the most expected outcomes.
MAX_KEYS = 20_000
# Chance that rates without meaning are kept, over all that are tried.
FALSE_KEEP_CHANCE = 0.05
# Sums are of whole parts: rounding of a sum would depend on rows that are not known yet.
SUM_PARTS = float(2**36)
# Range of probabilities with which rates are compared.
MIN_RATE, MAX_RATE = 1e-4, 0.99


@dataclass(frozen=True)
class CategoryRates:
    """Log of observed to expected outcomes, by the category of a column or of a pair of columns.

    Attributes:
        columns: One or two columns of categories.
        keys: Categories that were seen, ascending: their code, or of a pair
            ``first code * MAX_CATEGORIES + second code``.
        log_ratios: Log of observed to expected outcomes of each key, shrunk to 0.
    """

    columns: tuple[int, ...]
    keys: tuple[int, ...]
    log_ratios: tuple[float, ...]

    def look_up(self, x: np.ndarray) -> np.ndarray:
        """Return the log ratio of each row (rows,), 0 for a category that was not seen."""
        key, keys = combine_codes(x, self.columns), np.array(self.keys)
        place = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
        return np.where(keys[place] == key, np.array(self.log_ratios)[place], 0.0)

    def to_json(self) -> dict[str, Any]:
        """Return columns, keys and log ratios as lists."""
        return {
            "columns": list(self.columns),
            "keys": list(self.keys),
            "log_ratios": list(self.log_ratios),
        }

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Return the rates that ``to_json`` described."""
        return cls(tuple(data["columns"]), tuple(data["keys"]), tuple(data["log_ratios"]))


@dataclass(frozen=True)
class _Trial:
    """Rates of one column or pair, tried on the train rows in the order of time.

    Attributes:
        rates: Rates from all rows, for rows to come.
        ordered: Log ratio (rows,) of each train row from the outcomes known at its cutoff.
        gain: Mean reduction of the log loss by the ordered ratios.
        error: Standard error of the gain.
    """

    rates: CategoryRates
    ordered: np.ndarray
    gain: float
    error: float


def fit_category_rates(
    fit_input: FitInput, y: np.ndarray
) -> tuple[tuple[CategoryRates, ...], np.ndarray]:
    """Return rates of columns and pairs, and their ordered log ratios (rows, rates).

    ``y`` is 0 or 1; all rows count alike, without sample weights. A column is kept where its
    ordered ratios forecast the train rows better than the outcome rate does, beyond noise; a pair
    where it forecasts better than both of its columns. The pairs with the largest gains are kept.
    """
    order = _KnownOrder.from_rows(fit_input)
    prior = order.compute_running_rate(y)
    single = [_try_rates(fit_input, order, y, prior, (column,)) for column in fit_input.categorical]
    strongest = sorted(single, key=lambda trial: -trial.gain)[:MAX_PAIRED_COLUMNS]
    pairs = [
        _try_rates(
            fit_input,
            order,
            y,
            prior * np.exp(first.ordered + second.ordered),
            first.rates.columns + second.rates.columns,
        )
        for first, second in combinations(strongest, 2)
    ]
    limit = _find_limit(len(single) + len(pairs))
    kept = [trial for trial in single if trial.gain > limit * trial.error]
    proven = sorted((t for t in pairs if t.gain > limit * t.error), key=lambda trial: -trial.gain)
    kept += proven[:MAX_PAIRS]
    ordered = np.array([trial.ordered for trial in kept]).reshape(len(kept), len(y)).T
    return tuple(trial.rates for trial in kept), ordered


def combine_codes(x: np.ndarray, columns: Sequence[int]) -> np.ndarray:
    """Return the key of each row's categories (rows,) int64; -1 where one is missing."""
    codes = x[:, list(columns)]
    missing = np.isnan(codes).any(axis=1)
    key = np.zeros(len(x), np.int64)
    for column in np.nan_to_num(codes).astype(np.int64).T:
        key = key * MAX_CATEGORIES + column
    return np.where(missing, -1, key)


@dataclass(frozen=True)
class _KnownOrder:
    """Order in which outcomes became known.

    Attributes:
        place: Place of each row in the order in which outcomes became known.
        known: Number of outcomes, of any row, that were known when the row was asked.
    """

    place: np.ndarray
    known: np.ndarray

    @classmethod
    def from_rows(cls, fit_input: FitInput) -> Self:
        rows = np.arange(len(fit_input.x))
        asked_at = rows if fit_input.asked_at is None else fit_input.asked_at
        known_at = rows + 1 if fit_input.known_at is None else fit_input.known_at
        order = np.argsort(known_at, kind="stable")
        place = np.empty(len(rows), np.int64)
        place[order] = rows
        return cls(place, np.searchsorted(known_at[order], asked_at, side="right"))

    def sum_known(self, key: np.ndarray, value: np.ndarray) -> np.ndarray:
        """Return the sum of ``value`` over the rows of the same key known at each row's cutoff."""
        rows = len(key)
        position = key * (rows + 1) + self.place
        order = np.argsort(position)
        ranked = position[order]
        parts = np.rint(value[order] * SUM_PARTS).astype(np.int64)
        total = np.concatenate([[0], np.cumsum(parts)])
        start = np.searchsorted(ranked, key * (rows + 1))
        end = np.searchsorted(ranked, key * (rows + 1) + self.known)
        return (total[end] - total[start]) / SUM_PARTS

    def compute_running_rate(self, y: np.ndarray) -> np.ndarray:
        """Return the share of outcomes among the rows known at each row's cutoff.

        The share of all rows counts as one row more: it is the level of rows that are asked before
        any outcome is known.
        """
        known = self.sum_known(np.zeros(len(y), np.int64), y.astype(np.float64))
        return (known + y.mean()) / (self.known + 1.0)


def _try_rates(
    fit_input: FitInput,
    order: _KnownOrder,
    y: np.ndarray,
    expected: np.ndarray,
    columns: tuple[int, ...],
) -> _Trial:
    """Try the rates of ``columns`` against ``expected`` (rows,), the probabilities without them."""
    key = combine_codes(fit_input.x, columns)
    keys, code = np.unique(key, return_inverse=True)
    expected = np.clip(expected, MIN_RATE, MAX_RATE)
    observed_known = order.sum_known(code, y.astype(np.float64))
    expected_known = order.sum_known(code, expected)
    missing = key < 0
    base = _compute_loss(expected, y)
    trials = []
    for prior in PRIOR_OUTCOMES:
        ordered = np.log((observed_known + prior) / (expected_known + prior))
        ordered[missing] = 0.0
        trials.append((base - _compute_loss(expected * np.exp(ordered), y), prior, ordered))
    gain, prior, ordered = max(trials, key=lambda trial: trial[0].mean())
    observed_all, expected_all = np.bincount(code, y), np.bincount(code, expected)
    ratios = np.log((observed_all + prior) / (expected_all + prior))
    seen = np.flatnonzero(keys >= 0)
    # Stable, so that keys of equal expectation are chosen in their order.
    seen = np.sort(seen[np.argsort(-expected_all[seen], kind="stable")[:MAX_KEYS]])
    rates = CategoryRates(columns, tuple(keys[seen].tolist()), tuple(ratios[seen].tolist()))
    # Rows of one cluster repeat each other, so together they count as one.
    error = gain.std() * np.sqrt(fit_input.rows_per_cluster / len(y))
    return _Trial(rates, ordered, float(gain.mean()), float(error))


def _compute_loss(rate: np.ndarray, y: np.ndarray) -> np.ndarray:
    rate = np.clip(rate, MIN_RATE, MAX_RATE)
    return compute_log_loss(np.log(rate / (1 - rate)), y)


def _find_limit(candidates: int) -> float:
    """Return the standard errors beyond which a gain is no chance (Bonferroni)."""
    from scipy.stats import norm

    return float(norm.ppf(1 - FALSE_KEEP_CHANCE / max(candidates, 1)))
