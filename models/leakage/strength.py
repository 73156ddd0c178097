"""Predictive strength of columns, measured on held-out rows.

Strength is 1 - log loss / log loss of the base rate (McFadden 1974, Conditional logit analysis of
qualitative choice behavior): 0 for a column without information, 1 for one that decides the
outcome. Unlike the AUC it stays low for a rare outcome that is ranked well and not decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import pyarrow as pa

from models.calibration import compute_log_loss, to_clipped_log_odds
from models.encoding import MAX_CATEGORIES, encode_categories, rank_by_frequency, to_finite_numbers
from models.leakage.bins import bin_categories, bin_numbers
from models.learners.lightgbm import TREE_PARAMETERS

# Each bin or category starts with so many rows of its group's rate, and each group with so many of
# the base rate, so that rare ones prove nothing. Where one row in a thousand has the outcome, five
# rows that all have it still outweigh ten rows of the base rate.
PRIOR_ROWS = 10.0
# Small trees: the audit trains many models.
AUDIT_TREE_PARAMS = {
    **TREE_PARAMETERS,
    "num_leaves": 15,
    "learning_rate": 0.15,
    "num_iterations": 40,
    "min_data_in_leaf": 40,
    "max_bin": 63,
    "seed": 0,
}


@dataclass(frozen=True)
class AuditColumn:
    """One column of n rows.

    Attributes:
        name: Name of the source column, event type or attribute.
        raw: Texts or numbers as they came.
        values: float64; for texts the rank by frequency, ties by text. NaN where missing or
            infinite.
    """

    name: str
    raw: pa.Array
    values: np.ndarray

    @classmethod
    def from_arrow(cls, name: str, column: pa.ChunkedArray) -> Self:
        """Convert a float64 or string column."""
        raw = column.combine_chunks()
        if pa.types.is_floating(raw.type):
            return cls(name, raw, to_finite_numbers(column))
        return cls(name, raw, encode_categories(column, rank_by_frequency(column)))

    @property
    def is_category(self) -> bool:
        """Whether the column holds texts."""
        return not pa.types.is_floating(self.raw.type)

    @cached_property
    def filled(self) -> np.ndarray:
        """Boolean mask of the rows with a value."""
        return ~np.isnan(self.values)

    @cached_property
    def distinct_count(self) -> int:
        """Number of distinct values."""
        return len(np.unique(self.values[self.filled]))

    @cached_property
    def codes(self) -> np.ndarray:
        """Category of each row, from 1 on, the frequent ones apart; 0 where missing."""
        code = np.minimum(np.nan_to_num(self.values), MAX_CATEGORIES)
        return np.where(self.filled, code.astype(np.int64) + 1, 0)

    @cached_property
    def bins(self) -> np.ndarray:
        """Bin of each row, from 1 on; 0 where missing."""
        if not self.is_category:
            return bin_filled(self.values)
        bins = np.zeros(len(self.values), np.int64)
        filled = np.minimum(self.values[self.filled], MAX_CATEGORIES)
        bins[self.filled] = 1 + bin_categories(filled.astype(np.int64))
        return bins


def bin_filled(values: np.ndarray) -> np.ndarray:
    """Return the bin of each number, from 1 on; 0 where it is NaN."""
    filled = ~np.isnan(values)
    bins = np.zeros(len(values), np.int64)
    bins[filled] = 1 + bin_numbers(values[filled])
    return bins


def measure_strength(chance: np.ndarray, label: np.ndarray) -> float:
    """Return the strength of predicted probabilities.

    It is negative if they are worse than the base rate.
    """
    base = compute_log_loss(to_clipped_log_odds(np.full(len(label), label.mean())), label).mean()
    return float(1 - compute_log_loss(to_clipped_log_odds(chance), label).mean() / base)


def cross_fit_rates(bins: np.ndarray, label: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Return for each row the outcome rate of its bin in the other half.

    ``bins``, ``label`` and the boolean ``half`` have one element per row. A bin is shrunk towards
    the rate of its group: missing values (bin 0), the most frequent bin, and all other bins.
    Amounts that are filled on winning are thus recognized together, although none occurs twice.
    """
    size = bins.max() + 1
    groups = _group_bins(bins)
    row_rate = np.empty(len(label))
    for side in (False, True):
        train = half != side
        rows = np.bincount(bins[train], minlength=size)
        outcomes = np.bincount(bins[train], label[train], minlength=size)
        group_outcomes, group_rows = (np.bincount(groups, count) for count in (outcomes, rows))
        group_rate = _shrink_rate(group_outcomes, group_rows, label[train].mean())
        bin_rate = _shrink_rate(outcomes, rows, group_rate[groups])
        row_rate[~train] = bin_rate[bins[~train]]
    return row_rate


def _group_bins(bins: np.ndarray) -> np.ndarray:
    """Return the group of each bin: 0 for missing values, 1 for the most frequent bin, else 2."""
    count = np.bincount(bins)
    groups = np.full(len(count), 2)
    groups[0] = 0
    if len(count) > 1:
        groups[1 + np.argmax(count[1:])] = 1
    return groups


def _shrink_rate(outcomes: np.ndarray, rows: np.ndarray, prior: np.ndarray | float) -> np.ndarray:
    return np.asarray((outcomes + PRIOR_ROWS * prior) / (rows + PRIOR_ROWS))


def measure_strength_error(chance: np.ndarray, label: np.ndarray) -> float:
    """Return the standard error of the strength of predicted probabilities.

    That of a ratio of two sums of losses of independent rows (Cochran 1977, Sampling techniques).
    """
    base = compute_log_loss(to_clipped_log_odds(np.full(len(label), label.mean())), label)
    loss = compute_log_loss(to_clipped_log_odds(chance), label)
    return float(np.sqrt(np.sum((loss - base * loss.sum() / base.sum()) ** 2)) / base.sum())


def measure_single_strength(bins: np.ndarray, label: np.ndarray, half: np.ndarray) -> float:
    """Return the strength of one column, given by the bin of each row.

    Each half is predicted by the rates of the other one.
    """
    return measure_strength(cross_fit_rates(bins, label, half), label)


def measure_joint_strength(
    columns: Sequence[AuditColumn], label: np.ndarray, half: np.ndarray
) -> float:
    """Return the joint strength of columns.

    Boosted trees are trained on one half and tested on the other.
    """
    probability = _predict_other_half(
        columns, label, half, {"objective": "binary", "lambda_l2": 10.0}
    )
    return measure_strength(probability, label[~half])


def measure_explained_share(
    target: AuditColumn, columns: Sequence[AuditColumn], half: np.ndarray
) -> float:
    """Return the share of the variance of a column's ranks that other columns explain.

    Boosted trees are trained on one half and tested on the other.
    """
    _, rank = np.unique(np.where(target.filled, target.values, -np.inf), return_inverse=True)
    rank_share = rank / max(rank.max(), 1)
    predicted = _predict_other_half(columns, rank_share, half, {"objective": "regression"})
    return float(1 - np.mean((predicted - rank_share[~half]) ** 2) / np.var(rank_share[~half]))


def _predict_other_half(
    columns: Sequence[AuditColumn],
    target: np.ndarray,
    half: np.ndarray,
    settings: dict[str, object],
) -> np.ndarray:
    """Return predictions for the rows outside ``half`` by trees trained on the rows in it."""
    import lightgbm

    # Rare categories are missing, as in the encoding that the learners read.
    x = np.column_stack(
        [
            column.values
            if not column.is_category
            else np.where(column.values < MAX_CATEGORIES, column.values, np.nan)
            for column in columns
        ]
    )
    categorical = [j for j, column in enumerate(columns) if column.is_category]
    params = {**AUDIT_TREE_PARAMS, **settings}
    rows = lightgbm.Dataset(x[half], target[half], categorical_feature=categorical, params=params)
    return np.asarray(lightgbm.train(params, rows).predict(x[~half], num_threads=1))
