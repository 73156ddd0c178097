"""Trees of a LightGBM model as arrays, parsed from its text format."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.serialization import DamagedModelError
from models.trees.model_text import (
    CATEGORY_BIT,
    DECISION_TYPES,
    DEFAULT_LEFT_BIT,
    MAX_COUNT,
    MAX_LEAF_VALUE,
    MAX_PATH_WORK,
    MISSING_IS_ZERO,
    WORD_BITS,
    TreeText,
    read_category_sets,
    require_tree_shape,
    split_model_text,
)

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


class ParsedModel(NamedTuple):
    """The trees of a model.

    Attributes:
        feature_count: Number of features that the model was trained on.
        trees: Trees in the order in which they are added up.
    """

    feature_count: int
    trees: list[Tree]


def parse_model(text: str) -> ParsedModel:
    """Return the trees of a model text, format v4, with one tree a round and constant leaves.

    Raise DamagedModelError for another or a truncated text, and for one out of its bounds.
    """
    parts = split_model_text(text)
    trees, work = [], 0
    for tree in parts.trees:
        parsed, depths = _parse_tree(tree)
        trees.append(parsed)
        work += tree.splits + depths // 2
        if work > MAX_PATH_WORK:
            raise DamagedModelError(f"tree {tree.number}: too many and too deep trees to explain")
    return ParsedModel(parts.feature_count, trees)


def _parse_tree(tree: TreeText) -> tuple[Tree, int]:
    """Return a tree and the sum of the depths of its splits."""
    sides = ("left_child", "right_child")
    child = np.column_stack(
        [tree.read_integers(key, tree.splits, -tree.leaves, tree.splits - 1) for key in sides]
    )
    depths = require_tree_shape(tree, child)
    leaf = tree.read_numbers("leaf_value", tree.leaves, -MAX_LEAF_VALUE, MAX_LEAF_VALUE)
    # A tree without splits has no counts that mean anything.
    leaf_rows = tree.read_integers("leaf_count", tree.leaves, 0, MAX_COUNT)
    split_rows = tree.read_integers("internal_count", tree.splits, 1, MAX_COUNT)
    inner = child >= 0
    # LightGBM stores a leaf as the complement of its number, so that it differs from a split.
    leaves = np.where(inner, 0, ~child)
    side_rows = np.where(
        inner, np.append(split_rows, 0)[np.where(inner, child, -1)], leaf_rows[leaves]
    )
    if (side_rows.sum(axis=1) != split_rows).any():
        raise tree.damage("internal_count", "a split does not have the rows of its sides")
    parent, side = _find_parents(child)
    splits, words = _parse_splits(tree)
    parsed = Tree(
        splits=splits,
        code_sides=_unpack_code_sides(words),
        child=np.where(inner, child, -1),
        leaf_value=np.where(inner, 0.0, leaf[leaves]),
        row_share=side_rows / split_rows[:, None],
        parent=parent,
        side=side,
        expected_value=float(leaf @ leaf_rows / split_rows[0]) if tree.splits else float(leaf[0]),
    )
    return parsed, depths


def _parse_splits(tree: TreeText) -> tuple[Splits, np.ndarray]:
    """Return the conditions of the splits, and the words of their sets of categories."""
    threshold = tree.read_numbers("threshold", tree.splits)
    decision = tree.read_integers("decision_type", tree.splits, 0, DECISION_TYPES - 1)
    category, missing = decision & CATEGORY_BIT > 0, decision >> 2
    # The threshold of a category is the number of its set of codes.
    words, bounds = read_category_sets(tree, threshold[category])
    code_set = np.where(category, threshold, 0).astype(np.int64)
    # One more bound, so that a split on a number may look one up where there is no set.
    width = np.append(np.diff(bounds), 0)
    splits = Splits(
        feature=tree.read_integers("split_feature", tree.splits, 0, tree.feature_count - 1),
        threshold=threshold,
        zero_bound=np.where(missing == MISSING_IS_ZERO, ZERO_THRESHOLD, -1.0),
        # Where no value is missing, LightGBM treats NaN as 0.
        missing_left=np.where(missing == 0, threshold >= 0, decision & DEFAULT_LEFT_BIT > 0),
        code_start=np.where(category, WORD_BITS * bounds[code_set], 0),
        code_count=np.where(category, WORD_BITS * width[code_set], 0),
    )
    return splits, words


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
