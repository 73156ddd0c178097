"""How much columns tell of an outcome, measured on rows that played no part in the learning.

Strength is the share of the base rate's log loss that is taken off (McFadden 1974, Conditional logit analysis of
qualitative choice behavior: 1 - log loss / log loss of the base rate): 0 tells nothing, 1 decides. Unlike the area
under a curve it does not call a rare outcome decided that is only ranked well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import pyarrow as pa

from models.calibration import held_log_odds, log_loss
from models.encoding import MAX_CATEGORIES, by_frequency, codes, finite
from models.learners.lightgbm import TREES

BINS = 32
"""Steps of equal count in which a number is read: enough for a threshold anywhere, few enough to be learnt."""
PRIOR_ROWS = 10.0
"""Rows of the base rate that every step or category starts with, so that rare ones claim nothing."""
QUICK = {
    **TREES,
    "num_leaves": 15,
    "learning_rate": 0.15,
    "num_iterations": 40,
    "min_data_in_leaf": 40,
    "max_bin": 63,
    "seed": 0,
}


@dataclass(frozen=True)
class Column:
    """One column of n rows: its texts or numbers as Arrow, and ``values`` float64, codes where it holds texts.

    Codes are places in the order of frequency, ties by text; what is missing or not finite is NaN.
    """

    name: str
    raw: pa.Array
    values: np.ndarray

    @classmethod
    def of(cls, name: str, column: pa.ChunkedArray) -> Self:
        """Read a float64 or string column."""
        raw = column.combine_chunks()
        if pa.types.is_floating(raw.type):
            return cls(name, raw, finite(column))
        return cls(name, raw, codes(column, by_frequency(column)))

    @property
    def category(self) -> bool:
        """Whether it holds texts."""
        return not pa.types.is_floating(self.raw.type)

    @cached_property
    def filled(self) -> np.ndarray:
        """Which rows hold a value."""
        return ~np.isnan(self.values)

    @cached_property
    def levels(self) -> int:
        """How many different values there are."""
        return len(np.unique(self.values[self.filled]))

    @cached_property
    def steps(self) -> np.ndarray:
        """Return for each row the step or category it lies in, 0 where it is missing."""
        if self.category:
            place = np.minimum(np.nan_to_num(self.values), MAX_CATEGORIES)
        else:
            known = self.values[self.filled]
            edges = (
                np.unique(np.quantile(known, np.arange(1, BINS) / BINS)) if known.size else known
            )
            place = np.searchsorted(edges, np.nan_to_num(self.values), side="right")
        return np.where(self.filled, place.astype(np.int64) + 1, 0)


def strength(chance: np.ndarray, label: np.ndarray) -> float:
    """Return the share of the base rate's log loss that ``chance`` takes off; below 0 where it does harm."""
    base = log_loss(held_log_odds(np.full(len(label), label.mean())), label).mean()
    return float(1 - log_loss(held_log_odds(chance), label).mean() / base)


def rates(steps: np.ndarray, label: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Return each row's share of outcomes among the rows of its step in the other half (``half`` is true or false)."""
    found = np.empty(len(label))
    for part in (False, True):
        learnt = half != part
        rows = np.bincount(steps[learnt], minlength=steps.max() + 1)
        outcomes = np.bincount(steps[learnt], label[learnt], minlength=steps.max() + 1)
        rate = (outcomes + PRIOR_ROWS * label[learnt].mean()) / (rows + PRIOR_ROWS)
        found[~learnt] = rate[steps[~learnt]]
    return found


def alone(steps: np.ndarray, label: np.ndarray, half: np.ndarray) -> float:
    """Return the strength of one column alone, each half read by what the other half taught."""
    return strength(rates(steps, label, half), label)


def together(columns: Sequence[Column], label: np.ndarray, half: np.ndarray) -> float:
    """Return the strength of columns together: small boosted trees that learn from one half, tested on the other."""
    model = _trees(columns, label, half, {"objective": "binary", "lambda_l2": 10.0})
    return strength(model, label[~half])


def explained(target: Column, columns: Sequence[Column], half: np.ndarray) -> float:
    """Return the share of the variance of a column's ranks that others explain, learnt from one half, tested on the
    other.
    """
    _, rank = np.unique(np.where(target.filled, target.values, -np.inf), return_inverse=True)
    place = rank / max(rank.max(), 1)
    model = _trees(columns, place, half, {"objective": "regression"})
    return float(1 - np.mean((model - place[~half]) ** 2) / np.var(place[~half]))


def _trees(
    columns: Sequence[Column], target: np.ndarray, half: np.ndarray, settings: dict[str, object]
) -> np.ndarray:
    """Return predictions of the rows outside ``half`` by trees that learnt from the rows in it."""
    import lightgbm

    x = np.column_stack(
        [
            c.values if not c.category else np.where(c.values < MAX_CATEGORIES, c.values, np.nan)
            for c in columns
        ]
    )
    places = [j for j, column in enumerate(columns) if column.category]
    asked = {**QUICK, **settings}
    rows = lightgbm.Dataset(x[half], target[half], categorical_feature=places, params=asked)
    return np.asarray(lightgbm.train(asked, rows).predict(x[~half], num_threads=1))
