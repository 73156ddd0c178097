"""Trees of a LightGBM model as arrays, parsed from its text format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

# Bits of LightGBM's decision_type. The number above them is the kind of missing values: 0 none,
# 1 zero, 2 NaN.
CATEGORY_BIT, DEFAULT_LEFT_BIT = 1, 2
MISSING_IS_ZERO = 1
# Bits of one number of cat_threshold.
WORD_BITS = 32
# LightGBM's kZeroThreshold: where zero counts as missing, numbers this close to it do too.
ZERO_THRESHOLD = float(np.float32(1e-35))


class Splits(NamedTuple):
    """Conditions of the splits of one tree, one element per split.

    A number goes left if it is at most ``threshold``. A category whose code is below ``code_count``
    goes to its side in ``Tree.code_sides``; NaN and other codes go right.

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
    zero_bound: np.ndarray
    missing_left: np.ndarray
    code_start: np.ndarray
    code_count: np.ndarray


class Tree(NamedTuple):
    """One tree; parents come before their children.

    Arrays of shape (splits, 2) have one column per side: left, right.

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
    code_sides: np.ndarray
    child: np.ndarray
    leaf_value: np.ndarray
    row_share: np.ndarray
    parent: np.ndarray
    side: np.ndarray
    expected_value: float


def parse_trees(text: str) -> Iterator[Tree]:
    """Yield the trees of a model text, format v4, with one tree a round and constant leaves.

    Raise ValueError for another or a truncated text.
    """
    body, end, _ = text.partition("\nend of trees\n")
    head, *blocks = body.split("\nTree=")
    sizes = head.partition("\ntree_sizes=")[2].partition("\n")[0].split()
    if not end or not head.startswith("tree\nversion=v4\n") or len(blocks) != len(sizes):
        raise ValueError(f"not a LightGBM v4 model text: {len(blocks)} of {len(sizes)} trees")
    for block in blocks:
        yield _parse_tree(dict(line.split("=", 1) for line in block.splitlines() if "=" in line))


def count_features(text: str) -> int:
    """Return the number of features that the model was trained on."""
    head = text.partition("\nTree=")[0]
    return int(head.partition("max_feature_idx=")[2].split()[0]) + 1


def _parse_tree(lines: dict[str, str]) -> Tree:
    leaf, leaf_rows = _parse_numbers(lines, "leaf_value"), _parse_numbers(lines, "leaf_count")
    child = np.column_stack(
        [_parse_numbers(lines, name).astype(np.int64) for name in ("left_child", "right_child")]
    )
    inner, split_rows = child >= 0, _parse_numbers(lines, "internal_count")
    # LightGBM stores a leaf as the complement of its number, so that it differs from a split.
    leaves = np.where(inner, 0, ~child)
    side_rows = np.where(
        inner,
        np.append(split_rows, 0.0)[np.where(inner, child, -1)],
        np.append(leaf_rows, 0.0)[leaves],
    )
    parent, side = _find_parents(child)
    return Tree(
        splits=_parse_splits(lines),
        code_sides=_unpack_code_sides(_parse_numbers(lines, "cat_threshold").astype(np.uint32)),
        child=np.where(inner, child, -1),
        leaf_value=np.where(inner, 0.0, leaf[leaves]),
        row_share=side_rows / split_rows[:, None],
        parent=parent,
        side=side,
        expected_value=float(leaf @ leaf_rows / split_rows[0]) if len(leaf) > 1 else float(leaf[0]),
    )


def _parse_splits(lines: dict[str, str]) -> Splits:
    threshold = _parse_numbers(lines, "threshold")
    decision = _parse_numbers(lines, "decision_type").astype(np.int64)
    category, missing = decision & CATEGORY_BIT > 0, decision >> 2
    bounds = np.append(_parse_numbers(lines, "cat_boundaries").astype(np.int64), 0)
    # The threshold of a category is the number of its set of codes.
    code_set = np.where(category, threshold, 0).astype(np.int64)
    return Splits(
        feature=_parse_numbers(lines, "split_feature").astype(np.int64),
        threshold=threshold,
        zero_bound=np.where(missing == MISSING_IS_ZERO, ZERO_THRESHOLD, -1.0),
        # Where no value is missing, LightGBM treats NaN as 0.
        missing_left=np.where(missing == 0, threshold >= 0, decision & DEFAULT_LEFT_BIT > 0),
        code_start=np.where(category, WORD_BITS * bounds[code_set], 0),
        code_count=np.where(
            category,
            WORD_BITS * (bounds[np.minimum(code_set + 1, len(bounds) - 1)] - bounds[code_set]),
            0,
        ),
    )


def _unpack_code_sides(words: np.ndarray) -> np.ndarray:
    """Return 0 for each bit that is set and 1 for the others, the lowest bit of each word first."""
    return (
        1 - (words[:, None] >> np.arange(WORD_BITS, dtype=np.uint32) & 1).astype(np.int64).ravel()
    )


def _find_parents(child: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the parent of each split, and the side of the parent on which it lies."""
    parent, side = np.full(len(child), -1), np.full(len(child), -1)
    above, child_side = np.nonzero(child >= 0)
    below = child[above, child_side]
    parent[below], side[below] = above, child_side
    return parent, side


def _parse_numbers(lines: dict[str, str], name: str) -> np.ndarray:
    return np.array(lines.get(name, "").split(), float)
