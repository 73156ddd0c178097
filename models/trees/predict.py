"""The sum over the trees of a LightGBM model, its margin, for many rows at a time and to LightGBM's own bit.

Trees ask the same questions again and again: is this feature at most that. Each is asked once, of 64 rows, and its
answers are kept as the bits of one word. A row's way is then found for all 64 at once: who reaches a split and is
answered yes goes left (Lucchese et al., "QuickScorer", SIGIR 2015, does so for all splits of one row). Each row adds up
the values of its leaves in the order of the trees, as LightGBM does.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numba.cpython.unsafe import numbers as bits

from features.tools.jit import kernel
from models.trees.parse import ALMOST_ZERO, Tree, features_of, trees

TILE = np.uintp(64)
"""Rows that go through the trees together, one a bit. Unsigned, as all places in loops over them."""
PIECE = 16 * int(TILE)
"""Rows that are brought at a time, copied, into the form that the kernels are compiled for."""
lowest: Any = bits.trailing_zeros  # its stubs do not know how it is called
NONE, ONE, ALL = np.uint64(0), np.uint64(1), np.uint64(2**64 - 1)


class Numbers(NamedTuple):
    """Questions to numbers, those to one feature side by side: to ``feature[i]`` from ``start[i]`` to the next start.

    ``threshold``, ``zero`` and ``gap`` are those of Splits; the answer is whether a row goes left.
    """

    feature: np.ndarray
    start: np.ndarray
    threshold: np.ndarray
    zero: np.ndarray
    gap: np.ndarray


class Categories(NamedTuple):
    """Questions to categories: of ``feature[i]``, whose codes lie below ``codes[i]``, ``words[i]`` times 64 questions.

    ``yes`` holds the answers: from ``start[i]`` on as many words for each code, one bit a question, and at last those
    of any other code.
    """

    feature: np.ndarray
    codes: np.ndarray
    words: np.ndarray
    start: np.ndarray
    yes: np.ndarray


class Forest(NamedTuple):
    """Splits tree by tree, from ``start``: ``question``, and ``child`` and ``value`` as in Tree.

    ``alone`` (trees,) is what a tree without splits adds, 0 if it has some.
    """

    start: np.ndarray
    question: np.ndarray
    child: np.ndarray
    value: np.ndarray
    alone: np.ndarray


@dataclass(frozen=True)
class Adder:
    """The trees of one model, ready for rows of ``features`` columns; answers to numbers come first."""

    numbers: Numbers
    categories: Categories
    forest: Forest
    features: int

    @classmethod
    def of(cls, text: str) -> Self:
        """Read LightGBM's text."""
        found = list(trees(text))
        asked = [key for tree in found for key in _asked(tree)]
        numbers, place = _numbers([key for key in asked if isinstance(key, Number)])
        categories, rest = _categories(
            [key for key in asked if isinstance(key, Category)], len(place)
        )
        place |= rest
        forest = Forest(
            np.cumsum([0, *(len(tree.child) for tree in found)]),
            np.array([place[key] for key in asked], np.int64),
            np.concatenate([np.zeros((0, 2), np.int64), *(tree.child for tree in found)]),
            np.concatenate([np.zeros((0, 2)), *(tree.value for tree in found)]),
            np.array([0.0 if len(tree.child) else tree.expected for tree in found]),
        )
        return cls(numbers, categories, forest, features_of(text))

    def margin(self, x: np.ndarray) -> np.ndarray:
        """Return (rows,) in the unit of the trees; ``x`` (rows, features) is NaN where missing.

        One thread, which lets go of the interpreter; a row's value does not depend on the rows beside it. Raises
        ValueError if ``x`` has not as many columns as the model learnt from.
        """
        if x.shape[1] != self.features:
            raise ValueError(f"rows of {x.shape[1]} features for a model of {self.features}")
        out = np.empty(len(x))
        work = self._work()
        for at in range(0, len(x), PIECE):
            rows = np.array(x[at : at + PIECE], float, order="C")
            _margin(rows, self.numbers, self.categories, self.forest, work, out[at : at + PIECE])
        return out

    def _work(self) -> Work:
        answers = len(self.numbers.threshold) + int(TILE) * int(self.categories.words.sum())
        reached = int(np.diff(self.forest.start).max(initial=1))
        return Work(
            np.zeros(TILE),
            np.zeros(TILE),
            np.zeros(answers, np.uint64),
            np.zeros(reached, np.uint64),
        )


class Work(NamedTuple):
    """TILE rows on their way: a column ``seen``, the ``total`` so far, the ``answer`` to each question, and by split of
    one tree who ``reached`` it.
    """

    seen: np.ndarray
    total: np.ndarray
    answer: np.ndarray
    reached: np.ndarray


class Number(NamedTuple):
    """A question to a number."""

    feature: int
    threshold: float
    zero: float
    gap: bool


class Category(NamedTuple):
    """A question to a category: whether its code is one of ``yes``, all below ``codes``."""

    feature: int
    codes: int
    yes: tuple[int, ...]


def _asked(tree: Tree) -> Iterator[Number | Category]:
    """Yield the question of each split."""
    for feature, threshold, zero, gap, place, codes in zip(
        *(part.tolist() for part in tree.splits), strict=True
    ):
        if codes:
            yield Category(
                feature,
                codes,
                tuple(np.flatnonzero(tree.sides[place : place + codes] == 0).tolist()),
            )
        else:
            yield Number(feature, threshold, zero, gap)


def _numbers(asked: list[Number]) -> tuple[Numbers, dict[Hashable, int]]:
    """Return the questions and the place of each."""
    keys = sorted(set(asked))
    feature, threshold, zero, gap = np.array(keys, float).reshape(-1, 4).T.copy()
    columns, start = np.unique(feature.astype(np.int64), return_index=True)
    numbers = Numbers(columns, np.append(start, len(keys)), threshold, zero, gap > 0)
    return numbers, {key: place for place, key in enumerate(keys)}


def _categories(asked: list[Category], first: int) -> tuple[Categories, dict[Hashable, int]]:
    """Return the questions and the place of each, from ``first``; each feature's fill whole words."""
    place: dict[Hashable, int] = {}
    columns, parts = [], [np.zeros(0, np.uint64)]
    for column in sorted({key.feature for key in asked}):
        keys = sorted({key for key in asked if key.feature == column})
        most, blocks = max(key.codes for key in keys), -(-len(keys) // int(TILE))
        yes = np.zeros((most + 1, blocks * int(TILE)), np.uint8)
        for at, key in enumerate(keys):
            place[key] = first + at
            yes[list(key.yes), at] = 1
        columns.append((column, most, blocks, sum(map(len, parts))))
        parts.append(
            np.packbits(yes, axis=1, bitorder="little").view("<u8").astype(np.uint64).ravel()
        )
        first += blocks * int(TILE)
    feature, codes, words, start = np.array(columns, np.int64).reshape(-1, 4).T.copy()
    return Categories(feature, codes, words, start, np.concatenate(parts)), place


@kernel
def _margin(
    x: np.ndarray,
    numbers: Numbers,
    categories: Categories,
    forest: Forest,
    work: Work,
    out: np.ndarray,
) -> None:
    """Write the sums of rows ``x`` (rows, features) into ``out``."""
    wide, total = int(TILE), work.total
    for first in range(0, len(x), wide):
        rows = x[first : first + wide]
        _ask_numbers(rows, numbers, work.seen, work.answer)
        _ask_categories(rows, categories, work.seen, work.answer[len(numbers.threshold) :])
        total.fill(0.0)
        for tree in range(len(forest.alone)):
            for row in range(TILE):
                total[row] += forest.alone[tree]
            work.reached[0] = ALL >> np.uint64(wide - len(rows))
            _add(forest, tree, work)
        for row in range(len(rows)):
            out[first + row] = total[row]


@kernel
def _read(x: np.ndarray, feature: int, seen: np.ndarray) -> None:
    """Read a column; as in LightGBM, what is almost zero is zero."""
    for row in range(len(x)):
        value = x[row, feature]
        seen[row] = 0.0 if abs(value) <= ALMOST_ZERO else value


@kernel
def _ask_numbers(x: np.ndarray, numbers: Numbers, seen: np.ndarray, answer: np.ndarray) -> None:
    """Answer all questions to numbers: yes up to the threshold; where the value is missing, the gap."""
    for column in range(len(numbers.feature)):
        _read(x, numbers.feature[column], seen)
        gaps = ~_up_to(seen, np.inf)
        zeros = gaps | _up_to(seen, 0.0) & ~_up_to(seen, -ALMOST_ZERO)
        for question in range(numbers.start[column], numbers.start[column + 1]):
            yes, missing = (
                _up_to(seen, numbers.threshold[question]),
                zeros if numbers.zero[question] >= 0 else gaps,
            )
            answer[question] = yes | missing if numbers.gap[question] else yes & ~missing


@kernel
def _up_to(seen: np.ndarray, threshold: float) -> np.uint64:
    """Return a bit for each row that is at most the threshold, which NaN is not."""
    found = NONE
    for row in range(TILE):
        found |= np.uint64(seen[row] <= threshold) << np.uint64(row)
    return found


@kernel
def _ask_categories(
    x: np.ndarray, categories: Categories, seen: np.ndarray, answer: np.ndarray
) -> None:
    """Answer all questions to categories: look up a row's answers, then turn 64 rows of 64 answers round."""
    place = np.empty(int(TILE), np.int64)
    first = 0
    for column in range(len(categories.feature)):
        codes, words = categories.codes[column], categories.words[column]
        _read(x, categories.feature[column], seen)
        for row in range(TILE):
            known = seen[row] > -1.0 and seen[row] < codes
            place[row] = categories.start[column] + words * (
                np.int64(seen[row]) if known else codes
            )
        for word in range(words):
            block = answer[first : first + int(TILE)]
            for row in range(TILE):
                block[row] = categories.yes[np.uintp(place[row] + word)]
            _turn(block)
            first += int(TILE)


@kernel
def _turn(block: np.ndarray) -> None:
    """Exchange the rows and columns of 64 words of 64 bits (Warren, "Hacker's Delight", 2012, 7-3)."""
    half, low = np.uintp(TILE >> 1), ALL >> np.uint64(32)
    while half:
        shift = np.uint64(half)
        for first in range(np.uintp(0), TILE, half << np.uintp(1)):
            for row in range(first, first + half):
                swapped = (block[row] >> shift ^ block[row + half]) & low
                block[row] ^= swapped << shift
                block[row + half] ^= swapped
        half >>= np.uintp(1)
        low ^= low << np.uint64(half)


@kernel
def _add(forest: Forest, tree: int, work: Work) -> None:
    """Add a tree's values to the rows that reached its root; splits come before what follows them."""
    first, end, reached, total = (
        forest.start[tree],
        forest.start[tree + 1],
        work.reached,
        work.total,
    )
    for split in range(first, end):
        here, yes = reached[split - first], work.answer[np.uintp(forest.question[split])]
        for side in range(2):
            rows, child = here & (~yes if side else yes), forest.child[split, side]
            if child >= 0:
                reached[child] = rows
                continue
            value = forest.value[split, side]
            while rows:
                total[np.uintp(lowest(rows))] += value
                rows &= rows - ONE
