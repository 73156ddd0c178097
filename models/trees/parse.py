"""The trees of a LightGBM model as arrays, read from its text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

CATEGORY, DEFAULT_LEFT = 1, 2
"""Bits of ``decision_type``; the number above them says what counts as missing: nothing, ZERO, or NaN."""
ZERO = 1
WORD = 32
ALMOST_ZERO = float(np.float32(1e-35))
"""Where zero counts as missing, so does what is no farther from it than this."""


class Splits(NamedTuple):
    """What of a row goes left, one element a split.

    A number goes left if it is at most ``threshold``; NaN, and what is no farther from 0 than ``zero`` (negative where
    0 is not missing), if ``gap`` is true. A category's code below ``codes`` goes where ``sides`` says, from ``place``
    on: 0 left, 1 right; NaN and other codes go right. Numbers have no codes.
    """

    feature: np.ndarray
    threshold: np.ndarray
    zero: np.ndarray
    gap: np.ndarray
    place: np.ndarray
    codes: np.ndarray


class Tree(NamedTuple):
    """One tree: its splits, parents before their children, and for both sides (splits, 2) what follows.

    ``child`` is the number of the split that follows, -1 for a leaf; ``value`` is what a leaf adds, else 0; ``share``
    how many of the rows that the split was learnt from went there, as a part of 1. ``parent`` and ``side`` (splits,)
    lead back, -1 at the root. ``expected`` is what the tree adds on average to the rows that it was learnt from.
    """

    splits: Splits
    sides: np.ndarray
    child: np.ndarray
    value: np.ndarray
    share: np.ndarray
    parent: np.ndarray
    side: np.ndarray
    expected: float


def trees(text: str) -> Iterator[Tree]:
    """Read the trees of LightGBM's text, format v4, of a model with one tree a round and constant leaves.

    Raises ValueError for another text, or one that is cut off.
    """
    body, end, _ = text.partition("\nend of trees\n")
    head, *blocks = body.split("\nTree=")
    sizes = head.partition("\ntree_sizes=")[2].partition("\n")[0].split()
    if not end or not head.startswith("tree\nversion=v4\n") or len(blocks) != len(sizes):
        raise ValueError(f"not LightGBM's text: {len(blocks)} trees of {len(sizes)}")
    for block in blocks:
        yield _tree(dict(line.split("=", 1) for line in block.splitlines() if "=" in line))


def features_of(text: str) -> int:
    """Return how many features the model was learnt from."""
    head = text.partition("\nTree=")[0]
    return int(head.partition("max_feature_idx=")[2].split()[0]) + 1


def _tree(lines: dict[str, str]) -> Tree:
    leaf, leaf_rows = _numbers(lines, "leaf_value"), _numbers(lines, "leaf_count")
    child = np.column_stack(
        [_numbers(lines, name).astype(np.int64) for name in ("left_child", "right_child")]
    )
    inner, split_rows = child >= 0, _numbers(lines, "internal_count")
    leaves = np.where(inner, 0, ~child)
    went = np.where(
        inner,
        np.append(split_rows, 0.0)[np.where(inner, child, -1)],
        np.append(leaf_rows, 0.0)[leaves],
    )
    parent, side = _back(child)
    return Tree(
        splits=_splits(lines),
        sides=_sides(_numbers(lines, "cat_threshold").astype(np.uint32)),
        child=np.where(inner, child, -1),
        value=np.where(inner, 0.0, leaf[leaves]),
        share=went / split_rows[:, None],
        parent=parent,
        side=side,
        expected=float(leaf @ leaf_rows / split_rows[0]) if len(leaf) > 1 else float(leaf[0]),
    )


def _splits(lines: dict[str, str]) -> Splits:
    threshold, decision = (
        _numbers(lines, "threshold"),
        _numbers(lines, "decision_type").astype(np.int64),
    )
    category, missing = decision & CATEGORY > 0, decision >> 2
    bounds = np.append(_numbers(lines, "cat_boundaries").astype(np.int64), 0)
    which = np.where(category, threshold, 0).astype(np.int64)
    return Splits(
        feature=_numbers(lines, "split_feature").astype(np.int64),
        threshold=threshold,
        zero=np.where(missing == ZERO, ALMOST_ZERO, -1.0),
        # Where nothing counts as missing, NaN counts as 0.
        gap=np.where(missing == 0, threshold >= 0, decision & DEFAULT_LEFT > 0),
        place=np.where(category, WORD * bounds[which], 0),
        codes=np.where(
            category, WORD * (bounds[np.minimum(which + 1, len(bounds) - 1)] - bounds[which]), 0
        ),
    )


def _sides(words: np.ndarray) -> np.ndarray:
    """Return 0 for each bit that is set, else 1, the lowest bit of each word first."""
    return 1 - (words[:, None] >> np.arange(WORD, dtype=np.uint32) & 1).astype(np.int64).ravel()


def _back(child: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each split's parent and the side on which it hangs there."""
    parent, side = np.full(len(child), -1), np.full(len(child), -1)
    above, where = np.nonzero(child >= 0)
    parent[child[above, where]], side[child[above, where]] = above, where
    return parent, side


def _numbers(lines: dict[str, str], name: str) -> np.ndarray:
    return np.array(lines.get(name, "").split(), float)
