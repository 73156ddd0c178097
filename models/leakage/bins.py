"""Bins of a column's values, fine enough to see a value that few rows have."""

from __future__ import annotations

import numpy as np

# Equal-count bins of a number: enough for a threshold anywhere, few enough to estimate rates.
BIN_COUNT = 32
# A bin of fewer rows proves nothing, since PRIOR_ROWS of the base rate outweigh it; a rarer value
# shares a bin with its neighbors.
MIN_BIN_ROWS = 10
# A number of at most so many distinct values is a code or a count: each value has its own bin.
MAX_SEPARATE_VALUES = 64
# Otherwise the most frequent values do, if they are so many times as frequent as the median value:
# a zero or a placeholder among amounts.
MAX_SPIKES, SPIKE_RATIO = 32, 4


def bin_numbers(values: np.ndarray) -> np.ndarray:
    """Return the bin of each number, from 0 on; ``values`` (rows,) contains no NaN.

    Frequent single values have a bin of their own. The rest is cut at its quantiles, and in both
    tails also where a half, a quarter, an eighth … of the outermost bin lies beyond, so that one
    row in a thousand is not mixed with the bulk. The outcome plays no part.
    """
    if not len(values):
        return np.zeros(0, np.int64)
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    spike = _find_spikes(count)
    rest = np.where(spike, 0, count)
    edges = _cut_ranks(int(rest.sum()))
    # The middle of the ranks of a value decides its bin, so that equal values stay together.
    bins = np.searchsorted(edges, np.cumsum(rest) - rest / 2, side="right")
    bins[spike] = len(edges) + 1 + np.arange(spike.sum())
    return bins[place]


def bin_categories(codes: np.ndarray) -> np.ndarray:
    """Return the bin of each category, from 0 on: its own, or the common bin of the rare ones.

    ``codes`` (rows,) are integers from 0 on. Texts that single rows have, such as numbers of
    contracts, prove something only together.
    """
    rare = np.bincount(codes) < MIN_BIN_ROWS if len(codes) else np.zeros(0, bool)
    return np.where(rare[codes], 0, codes + 1)


def _find_spikes(count: np.ndarray) -> np.ndarray:
    """Return a mask of the distinct values that have a bin of their own, by their row counts."""
    if len(count) <= MAX_SEPARATE_VALUES:
        return count >= MIN_BIN_ROWS
    spike = count >= max(MIN_BIN_ROWS, SPIKE_RATIO * np.median(count))
    # A stable sort: of equally frequent values the smallest come first.
    spike[np.argsort(-count, kind="stable")[MAX_SPIKES:]] = False
    return spike


def _cut_ranks(rows: int) -> np.ndarray:
    """Return ranks, ascending, at which ``rows`` sorted rows are cut into bins."""
    bin_count = min(BIN_COUNT, rows // MIN_BIN_ROWS)
    if bin_count < 2:
        return np.zeros(0)
    edges = rows * np.arange(1, bin_count) / bin_count
    halvings = np.arange(1, max(int(np.log2(edges[0] / MIN_BIN_ROWS)), 0) + 1)
    tail = edges[0] / 2.0**halvings
    return np.concatenate([tail[::-1], edges, rows - tail])
