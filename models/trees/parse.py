"""Trees of a LightGBM model as arrays, parsed from its text format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

CATEGORY, DEFAULT_LEFT = 1, 2
ZERO = 1
WORD = 32
ALMOST_ZERO = float(np.float32(1e-35))


class Splits(NamedTuple):
    """Conditions of the splits of one tree, one element a split.

    A number goes left if it is at most ``threshold``. A category goes left if its code is below
    ``code_count`` and its bit is 0; NaN and other codes go right.

    Attributes:
        feature: Index of the feature.
        threshold: Largest number that goes left.
        zero_bound: Numbers no farther from 0 than this count as missing; negative where 0 is not
            missing.
        missing_left: Whether a missing number goes left.
        code_start: Place in ``Tree.code_sides`` of the first code.
        code_count: Number of codes; 0 for a number.
    """

    feature: np.ndarray
    threshold: np.ndarray
    zero: np.ndarray
    gap: np.ndarray
    place: np.ndarray
    codes: np.ndarray


class Tree(NamedTuple):
    """One tree; parents come before their children.

    Arrays of shape (splits, 2) have one column a side: left, right.

    Attributes:
        splits: Conditions of the splits.
        code_sides: Side of each code, 0 for left and 1 for right; see ``Splits.code_start``.
        child: (splits, 2) next split; -1 for a leaf.
        leaf_value: (splits, 2) value that the leaf adds; 0 where a split follows.
        row_share: (splits, 2) share of the split's training rows that went to this side.
        parent: Parent of each split; -1 at the root.
        side: Side of its parent on which each split lies; -1 at the root.
        expected_value: Mean value that the tree adds to its training rows.
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
    """Yield the trees of a model text, format v4, with one tree a round and constant leaves.

    Raise ValueError for another or a truncated text.
    """
    body, end, _ = text.partition("\nend of trees\n")
    head, *blocks = body.split("\nTree=")
    sizes = head.partition("\ntree_sizes=")[2].partition("\n")[0].split()
    if not end or not head.startswith("tree\nversion=v4\n") or len(blocks) != len(sizes):
        raise ValueError(f"not a LightGBM v4 model text: {len(blocks)} of {len(sizes)} trees")
    for block in blocks:
        yield _tree(dict(line.split("=", 1) for line in block.splitlines() if "=" in line))


def features_of(text: str) -> int:
    """Return the number of features that the model was trained on."""
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
        # Where no value is missing, LightGBM treats NaN as 0.
        gap=np.where(missing == 0, threshold >= 0, decision & DEFAULT_LEFT > 0),
        place=np.where(category, WORD * bounds[which], 0),
        codes=np.where(
            category, WORD * (bounds[np.minimum(which + 1, len(bounds) - 1)] - bounds[which]), 0
        ),
    )


def _sides(words: np.ndarray) -> np.ndarray:
    """Return 0 for each bit that is set and 1 for the others, the lowest bit of each word first."""
    return 1 - (words[:, None] >> np.arange(WORD, dtype=np.uint32) & 1).astype(np.int64).ravel()


def _back(child: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the parent of each split, and the side of the parent on which it lies."""
    parent, side = np.full(len(child), -1), np.full(len(child), -1)
    above, where = np.nonzero(child >= 0)
    parent[child[above, where]], side[child[above, where]] = above, where
    return parent, side


def _numbers(lines: dict[str, str], name: str) -> np.ndarray:
    return np.array(lines.get(name, "").split(), float)
