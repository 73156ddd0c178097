"""LightGBM's text format: its parts, and the bounds that a stored text must keep.

The text of a stored model is not trusted, even if its hash fits. Compiled code follows the numbers
of the text as indices without a test, so each is tested here first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.serialization import DamagedModelError

# Bits of LightGBM's decision_type. The number above them is the kind of missing values: 0 none,
# 1 zero, 2 NaN.
CATEGORY_BIT, DEFAULT_LEFT_BIT = 1, 2
MISSING_IS_ZERO = 1
DECISION_TYPES = 3 << 2
# Bits of one number of cat_threshold.
WORD_BITS = 32
# Sixteen times the leaves and the trees that a search may choose.
MAX_LEAVES, MAX_TREES = 1_024, 10_000
# A feature has at most 1,000 categories, whose codes fit into half of this.
MAX_CATEGORY_WORDS = 64
# SHAP values need memory for each split, times half of its depth.
MAX_PATH_WORK = 5_000_000
# Far above any sum of log-odds. Rows of one leaf differ by a few units at most.
MAX_LEAF_VALUE = 1e6
# Numbers up to here are exact as floats.
MAX_COUNT = 2**53
# Objectives of one output a row, whose margin is the sum of the trees.
OBJECTIVES = ("binary", "poisson", "regression", "tweedie")
# Each line that is read, and the value that other forms of trees would change.
PLAIN_TREE = {"is_linear": "0"}
SINGLE_OUTPUT = {"num_class": "1", "num_tree_per_iteration": "1"}


class ModelText(NamedTuple):
    """Parts of a model text.

    Attributes:
        feature_count: Number of features that the model was trained on.
        trees: Lines of each tree.
    """

    feature_count: int
    trees: list[TreeText]


class TreeText(NamedTuple):
    """The lines of one tree.

    Attributes:
        number: Number of the tree, from 0.
        lines: Text by key.
        leaves: Number of leaves.
        feature_count: Number of features of the model.
    """

    number: int
    lines: dict[str, str]
    leaves: int
    feature_count: int

    @property
    def splits(self) -> int:
        """Number of splits."""
        return self.leaves - 1

    def read_numbers(
        self, key: str, size: int, low: float = -np.inf, high: float = np.inf
    ) -> np.ndarray:
        """Return ``size`` numbers from ``low`` to ``high``, none NaN; raise DamagedModelError."""
        return _parse_numbers(f"tree {self.number}, {key}", self.lines.get(key), size, low, high)

    def read_integers(self, key: str, size: int, low: int, high: int) -> np.ndarray:
        """Return ``size`` whole numbers from ``low`` to ``high``; raise DamagedModelError."""
        numbers = self.read_numbers(key, size, low, high)
        if (numbers != np.floor(numbers)).any():
            raise self.damage(key, "a number is not whole")
        return numbers.astype(np.int64)

    def damage(self, key: str, problem: str) -> DamagedModelError:
        """Return the error that names this tree and a key."""
        return DamagedModelError(f"tree {self.number}, {key}: {problem}")


def split_model_text(text: str) -> ModelText:
    """Return the parts of a model text, format v4, with one tree a round and constant leaves.

    Raise DamagedModelError for another or a truncated text.
    """
    body, end, _ = text.partition("\nend of trees\n")
    head, *blocks = body.split("\nTree=")
    if not end or not head.startswith("tree\nversion=v4\n"):
        raise DamagedModelError("not a LightGBM v4 model text")
    lines = _parse_lines("head", head)
    _require_values("head", lines, SINGLE_OUTPUT)
    if "average_output" in head.split("\n"):
        raise DamagedModelError("head: the trees are averaged, not added")
    if lines.get("objective", "").partition(" ")[0] not in OBJECTIVES:
        raise DamagedModelError(f"head, objective: not one of {', '.join(OBJECTIVES)}")
    feature_count = _read_feature_count(lines)
    _require_sizes(lines, blocks)
    trees = [_read_tree(number, block, feature_count) for number, block in enumerate(blocks)]
    return ModelText(feature_count, trees)


def require_tree_shape(tree: TreeText, child: np.ndarray) -> int:
    """Return the sum of the splits' depths; raise DamagedModelError unless ``child`` is a tree.

    ``child`` (splits, 2) holds splits, or complements of leaves. All but the first split, and all
    leaves, must be reached exactly once, parents before their children.
    """
    splits = np.arange(tree.splits)
    if (child[child >= 0] <= np.repeat(splits, 2)[(child >= 0).ravel()]).any():
        raise tree.damage("left_child, right_child", "a child does not come after its parent")
    inner, leaf = np.sort(child[child >= 0]), np.sort(~child[child < 0])
    if not np.array_equal(inner, splits[1:]) or (
        tree.splits and not np.array_equal(leaf, np.arange(tree.leaves))
    ):
        raise tree.damage("left_child, right_child", "a split or leaf is not reached once")
    depth = [1] * tree.splits
    for split, children in enumerate(child.tolist()):
        for below in children:
            if below >= 0:
                depth[below] = depth[split] + 1
    return sum(depth)


def read_category_sets(tree: TreeText, code_set: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the words of all sets of categories, and where each set begins and the last ends.

    ``code_set`` holds the number of the set of each split on a category.
    """
    sets = int(tree.read_integers("num_cat", 1, 0, tree.splits)[0])
    if not sets:
        if len(code_set):
            raise tree.damage("num_cat", "splits on categories without a set of categories")
        return np.zeros(0, np.uint32), np.zeros(1, np.int64)
    if not np.isin(code_set, np.arange(sets)).all():
        raise tree.damage("threshold", f"a set of categories is not one of {sets}")
    bounds = tree.read_integers("cat_boundaries", sets + 1, 0, sets * MAX_CATEGORY_WORDS)
    widths = np.diff(bounds)
    if bounds[0] != 0 or widths.min() < 1 or widths.max() > MAX_CATEGORY_WORDS:
        raise tree.damage("cat_boundaries", f"a set does not have 1 to {MAX_CATEGORY_WORDS} words")
    words = tree.read_integers("cat_threshold", int(bounds[-1]), 0, 2**WORD_BITS - 1)
    return words.astype(np.uint32), bounds


def _read_tree(number: int, block: str, feature_count: int) -> TreeText:
    first, _, rest = block.partition("\n")
    where = f"tree {number}"
    if first != str(number):
        raise DamagedModelError(f"{where}: it is numbered {first[:20]!r}")
    lines = _parse_lines(where, rest)
    _require_values(where, lines, PLAIN_TREE)
    leaves = _parse_numbers(f"{where}, num_leaves", lines.get("num_leaves"), 1, 1, MAX_LEAVES)[0]
    if leaves != int(leaves):
        raise DamagedModelError(f"{where}, num_leaves: not a whole number")
    return TreeText(number, lines, int(leaves), feature_count)


def _read_feature_count(lines: dict[str, str]) -> int:
    # Without a name for each feature, the largest index could be any number.
    size = len(lines.get("feature_names", "").split())
    if lines.get("max_feature_idx") != str(size - 1) or size < 1:
        raise DamagedModelError("head, max_feature_idx: not the number of feature_names less one")
    if len(lines.get("feature_infos", "").split()) != size:
        raise DamagedModelError("head, feature_infos: not one for each of feature_names")
    return size


def _require_sizes(lines: dict[str, str], blocks: list[str]) -> None:
    """Raise DamagedModelError unless tree_sizes are the sizes of the trees."""
    sizes = lines.get("tree_sizes", "").split()
    if len(blocks) != len(sizes) or len(blocks) > MAX_TREES:
        raise DamagedModelError(f"head, tree_sizes: {len(blocks)} of {len(sizes)} trees")
    for number, (size, block) in enumerate(zip(sizes, blocks, strict=True)):
        if size != str(len("\nTree=") + len(block)):
            raise DamagedModelError(f"tree {number}, tree_sizes: its size is not {size[:20]!r}")


def _require_values(where: str, lines: dict[str, str], values: dict[str, str]) -> None:
    for key, value in values.items():
        if lines.get(key) != value:
            raise DamagedModelError(f"{where}, {key}: not {value}")


def _parse_lines(where: str, text: str) -> dict[str, str]:
    pairs = [line.split("=", 1) for line in text.split("\n") if "=" in line]
    lines = {key: value for key, value in pairs}
    if len(lines) < len(pairs):
        raise DamagedModelError(f"{where}: a key occurs twice")
    return lines


def _parse_numbers(where: str, text: str | None, size: int, low: float, high: float) -> np.ndarray:
    parts = (text or "").split()
    if text is None or len(parts) != size:
        raise DamagedModelError(f"{where}: {len(parts)} numbers, not {size}")
    try:
        numbers = np.fromiter(map(float, parts), float, size)
    except ValueError as error:
        raise DamagedModelError(f"{where}: not a number") from error
    # NaN compares as false, so it is outside too.
    outside = ~((numbers >= low) & (numbers <= high))
    if outside.any():
        example = parts[int(np.argmax(outside))][:20]
        raise DamagedModelError(f"{where}: {example} is not a number from {low:g} to {high:g}")
    return numbers
