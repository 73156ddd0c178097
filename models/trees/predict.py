"""Margins of a LightGBM model, equal to LightGBM's own to the bit.

Many splits ask the same question: is this feature at most that threshold? Each question is answered
once for a tile of 64 rows, and the answers are stored as the bits of a word. The paths of all 64
rows are then found together: the rows that reach a split and whose answer is yes go left. (Lucchese
et al., "QuickScorer", SIGIR 2015, does so for all splits of one row.) Each row adds up the values
of its leaves in the order of the trees, as LightGBM does.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numba import types
from numba.extending import intrinsic

from features.tools.jit import jit_kernel
from models.trees.parse import ZERO_THRESHOLD, Tree, parse_model

# Rows that go through the trees together, one for each bit of a word. It is unsigned, as are all
# indices in loops over them: numba would test signed ones for negative values at every access.
TILE_ROWS = np.uintp(64)
# Rows copied at a time into the memory layout that the kernels are compiled for.
CHUNK_ROWS = 16 * int(TILE_ROWS)
NO_BITS, ONE_BIT, ALL_BITS = np.uint64(0), np.uint64(1), np.uint64(2**64 - 1)


def _emit_trailing_zeros(typing_context: Any, word: Any) -> Any:
    """Return the type and the code generator of ``count_trailing_zeros``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], context.get_constant(types.boolean, False))

    return word(word), generate


# The number of zero bits below the lowest bit of a word that is set. It compiles to the processor's
# own instruction, for which numba has no public function. It is Any because numba's stubs ask for
# the typing context in calls, and lies in this file because numba caches a kernel by its own file.
count_trailing_zeros: Any = intrinsic(_emit_trailing_zeros)


class NumberQuestions(NamedTuple):
    """Questions about numbers, sorted by feature; the answer is whether a row goes left.

    Attributes:
        feature: Features that are asked about.
        start: First question about each feature; one more element ends the last.
        threshold: As in Splits, one element per question.
        zero_bound: As in Splits.
        missing_left: As in Splits.
    """

    feature: np.ndarray
    start: np.ndarray
    threshold: np.ndarray
    zero_bound: np.ndarray
    missing_left: np.ndarray


class CategoryQuestions(NamedTuple):
    """Questions about categories, by feature; the questions of a feature fill whole words.

    Attributes:
        feature: Features that are asked about.
        code_count: Codes of each feature lie below this.
        word_count: Words of 64 questions for each feature.
        start: First word of each feature in ``answer_bits``.
        answer_bits: Answers, one bit a question: for each code ``word_count`` words, and last those
            of any other code.
    """

    feature: np.ndarray
    code_count: np.ndarray
    word_count: np.ndarray
    start: np.ndarray
    answer_bits: np.ndarray


class Forest(NamedTuple):
    """Splits of all trees, tree by tree.

    Attributes:
        start: First split of each tree; one more element ends the last.
        question: Question of each split.
        child: As in Tree.
        leaf_value: As in Tree.
        constant: (trees,) value of a tree without splits; 0 for the others.
    """

    start: np.ndarray
    question: np.ndarray
    child: np.ndarray
    leaf_value: np.ndarray
    constant: np.ndarray


@dataclass(frozen=True)
class MarginPredictor:
    """The trees of one model, ready to predict rows of ``feature_count`` columns.

    Attributes:
        numbers: Questions about numbers; their answers come first.
        categories: Questions about categories.
        forest: Splits and leaves.
        feature_count: Number of features of the model.
    """

    numbers: NumberQuestions
    categories: CategoryQuestions
    forest: Forest
    feature_count: int

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Parse the text of a LightGBM model; raise DamagedModelError for any other text."""
        feature_count, trees = parse_model(text)
        questions = [question for tree in trees for question in _list_questions(tree)]
        numbers, place = _index_number_questions(
            [question for question in questions if isinstance(question, NumberQuestion)]
        )
        categories, category_place = _index_category_questions(
            [question for question in questions if isinstance(question, CategoryQuestion)],
            len(place),
        )
        place |= category_place
        forest = Forest(
            np.cumsum([0, *(len(tree.child) for tree in trees)]),
            np.array([place[question] for question in questions], np.int64),
            np.concatenate([np.zeros((0, 2), np.int64), *(tree.child for tree in trees)]),
            np.concatenate([np.zeros((0, 2)), *(tree.leaf_value for tree in trees)]),
            np.array([0.0 if len(tree.child) else tree.expected_value for tree in trees]),
        )
        return cls(numbers, categories, forest, feature_count)

    def margin(self, x: np.ndarray) -> np.ndarray:
        """Return the margin of each row, in the unit of the trees.

        ``x`` has shape (rows, features) and is NaN where missing. The computation runs in one
        thread, which releases the GIL; a row's value does not depend on other rows. Raise
        ValueError if the number of columns is not that of the model.
        """
        if x.shape[1] != self.feature_count:
            raise ValueError(f"rows of {x.shape[1]} features for a model of {self.feature_count}")
        out = np.empty(len(x))
        buffers = self._make_buffers()
        for start in range(0, len(x), CHUNK_ROWS):
            chunk = slice(start, start + CHUNK_ROWS)
            rows = np.array(x[chunk], float, order="C")
            _sum_margins(rows, self.numbers, self.categories, self.forest, buffers, out[chunk])
        return out

    def _make_buffers(self) -> TileBuffers:
        answers = len(self.numbers.threshold) + int(TILE_ROWS) * int(
            self.categories.word_count.sum()
        )
        reached = int(np.diff(self.forest.start).max(initial=1))
        return TileBuffers(
            np.zeros(TILE_ROWS),
            np.zeros(TILE_ROWS),
            np.zeros(answers, np.uint64),
            np.zeros(reached, np.uint64),
        )


class TileBuffers(NamedTuple):
    """Working memory for one tile of rows.

    Attributes:
        column: Values of one feature.
        total: Sum of the leaf values so far.
        answer: Answer to each question, one bit a row.
        reached: Rows that reached each split of one tree, one bit a row.
    """

    column: np.ndarray
    total: np.ndarray
    answer: np.ndarray
    reached: np.ndarray


class NumberQuestion(NamedTuple):
    """A question about a number; attributes are those of Splits."""

    feature: int
    threshold: float
    zero_bound: float
    missing_left: bool


class CategoryQuestion(NamedTuple):
    """A question about a category: is its code among some codes?

    Attributes:
        feature: Index of the feature.
        code_count: All codes lie below this.
        left_codes: Codes whose rows go left.
    """

    feature: int
    code_count: int
    left_codes: tuple[int, ...]


def _list_questions(tree: Tree) -> Iterator[NumberQuestion | CategoryQuestion]:
    """Yield the question of each split."""
    for feature, threshold, zero_bound, missing_left, start, codes in zip(
        *(part.tolist() for part in tree.splits), strict=True
    ):
        if codes:
            yield CategoryQuestion(
                feature,
                codes,
                tuple(np.flatnonzero(tree.code_sides[start : start + codes] == 0).tolist()),
            )
        else:
            yield NumberQuestion(feature, threshold, zero_bound, missing_left)


def _index_number_questions(
    questions: list[NumberQuestion],
) -> tuple[NumberQuestions, dict[Hashable, int]]:
    """Return the distinct questions, and the place of each."""
    distinct = sorted(set(questions))
    feature, threshold, zero_bound, left = np.array(distinct, float).reshape(-1, 4).T.copy()
    columns, start = np.unique(feature.astype(np.int64), return_index=True)
    starts = np.append(start, len(distinct))
    numbers = NumberQuestions(columns, starts, threshold, zero_bound, left > 0)
    return numbers, {question: place for place, question in enumerate(distinct)}


def _index_category_questions(
    questions: list[CategoryQuestion], first: int
) -> tuple[CategoryQuestions, dict[Hashable, int]]:
    """Return the distinct questions, and the place of each.

    Places begin at ``first``. The questions of each feature fill whole words.
    """
    place: dict[Hashable, int] = {}
    columns, parts = [], [np.zeros(0, np.uint64)]
    for feature in sorted({question.feature for question in questions}):
        distinct = sorted({question for question in questions if question.feature == feature})
        code_count = max(question.code_count for question in distinct)
        word_count = -(-len(distinct) // int(TILE_ROWS))
        answers = np.zeros((code_count + 1, word_count * int(TILE_ROWS)), np.uint8)
        for number, question in enumerate(distinct):
            place[question] = first + number
            answers[list(question.left_codes), number] = 1
        columns.append((feature, code_count, word_count, sum(map(len, parts))))
        parts.append(
            np.packbits(answers, axis=1, bitorder="little").view("<u8").astype(np.uint64).ravel()
        )
        first += word_count * int(TILE_ROWS)
    features, codes, words, starts = np.array(columns, np.int64).reshape(-1, 4).T.copy()
    return CategoryQuestions(features, codes, words, starts, np.concatenate(parts)), place


@jit_kernel
def _sum_margins(
    x: np.ndarray,
    numbers: NumberQuestions,
    categories: CategoryQuestions,
    forest: Forest,
    buffers: TileBuffers,
    out: np.ndarray,
) -> None:
    """Write the margins of rows ``x`` (rows, features) into ``out``."""
    width, total = int(TILE_ROWS), buffers.total
    for first in range(0, len(x), width):
        rows = x[first : first + width]
        _answer_number_questions(rows, numbers, buffers.column, buffers.answer)
        _answer_category_questions(
            rows, categories, buffers.column, buffers.answer[len(numbers.threshold) :]
        )
        total.fill(0.0)
        for tree in range(len(forest.constant)):
            for row in range(TILE_ROWS):
                total[row] += forest.constant[tree]
            # The last tile may have fewer rows; the bits beyond them reach no split.
            buffers.reached[0] = ALL_BITS >> np.uint64(width - len(rows))
            _add_tree(forest, tree, buffers)
        for row in range(len(rows)):
            out[first + row] = total[row]


@jit_kernel
def _read_column(x: np.ndarray, feature: int, values: np.ndarray) -> None:
    """Read a column of a tile; as in LightGBM, almost zero is zero."""
    for row in range(len(x)):
        value = x[row, feature]
        values[row] = 0.0 if abs(value) <= ZERO_THRESHOLD else value


@jit_kernel
def _answer_number_questions(
    x: np.ndarray, numbers: NumberQuestions, values: np.ndarray, answer: np.ndarray
) -> None:
    """Answer all questions about numbers; a missing value goes to the side of missing values."""
    for column in range(len(numbers.feature)):
        _read_column(x, numbers.feature[column], values)
        is_nan = ~_mark_at_most(values, np.inf)
        is_nan_or_zero = is_nan | _mark_at_most(values, 0.0) & ~_mark_at_most(
            values, -ZERO_THRESHOLD
        )
        for question in range(numbers.start[column], numbers.start[column + 1]):
            yes = _mark_at_most(values, numbers.threshold[question])
            missing = is_nan_or_zero if numbers.zero_bound[question] >= 0 else is_nan
            answer[question] = yes | missing if numbers.missing_left[question] else yes & ~missing


@jit_kernel
def _mark_at_most(values: np.ndarray, threshold: float) -> np.uint64:
    """Return a word with a bit for each row of at most the threshold; NaN is not."""
    bits = NO_BITS
    for row in range(TILE_ROWS):
        bits |= np.uint64(values[row] <= threshold) << np.uint64(row)
    return bits


@jit_kernel
def _answer_category_questions(
    x: np.ndarray, categories: CategoryQuestions, values: np.ndarray, answer: np.ndarray
) -> None:
    """Answer all questions about categories.

    Look up the 64 answers of each row, then transpose them into one word of 64 rows for each
    question.
    """
    place = np.empty(int(TILE_ROWS), np.int64)
    first = 0
    for column in range(len(categories.feature)):
        codes, words = categories.code_count[column], categories.word_count[column]
        _read_column(x, categories.feature[column], values)
        for row in range(TILE_ROWS):
            # LightGBM truncates a code to a whole number, so -0.5 is code 0.
            known = values[row] > -1.0 and values[row] < codes
            place[row] = categories.start[column] + words * (
                np.int64(values[row]) if known else codes
            )
        for word in range(words):
            block = answer[first : first + int(TILE_ROWS)]
            for row in range(TILE_ROWS):
                block[row] = categories.answer_bits[np.uintp(place[row] + word)]
            _transpose_bits(block)
            first += int(TILE_ROWS)


@jit_kernel
def _transpose_bits(block: np.ndarray) -> None:
    """Transpose 64 words of 64 bits in place (Warren, "Hacker's Delight", 2012, 7-3)."""
    half, low = np.uintp(TILE_ROWS >> 1), ALL_BITS >> np.uint64(32)
    while half:
        shift = np.uint64(half)
        for first in range(np.uintp(0), TILE_ROWS, half << np.uintp(1)):
            for row in range(first, first + half):
                swapped = (block[row] >> shift ^ block[row + half]) & low
                block[row] ^= swapped << shift
                block[row + half] ^= swapped
        half >>= np.uintp(1)
        low ^= low << np.uint64(half)


@jit_kernel
def _add_tree(forest: Forest, tree: int, buffers: TileBuffers) -> None:
    """Add the leaf values of one tree to the rows that reached its root."""
    first, end, reached, total = (
        forest.start[tree],
        forest.start[tree + 1],
        buffers.reached,
        buffers.total,
    )
    for split in range(first, end):
        rows_here, yes = reached[split - first], buffers.answer[np.uintp(forest.question[split])]
        for side in range(2):
            rows, child = rows_here & (~yes if side else yes), forest.child[split, side]
            if child >= 0:
                reached[child] = rows
                continue
            value = forest.leaf_value[split, side]
            while rows:
                total[np.uintp(count_trailing_zeros(rows))] += value
                rows &= rows - ONE_BIT
