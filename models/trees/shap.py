"""Exact SHAP values of tree ensembles, for many rows at a time.

A path that asks about n features and ends in a leaf of value v gives feature i

    v (o_i - z_i) * integral over t from 0 to 1 of the product over j != i of z_j (1 - t) + o_j t

where o_j is 1 if the row follows the path wherever it asks about j, else 0, and z_j is the share of
the training rows that followed the path there. These are the path-dependent values of Lundberg et
al., "From local explanations to global understanding with explainable AI for trees", Nature Machine
Intelligence 2 (2020). The product is a polynomial of degree n - 1, so Gauss-Legendre quadrature
with n / 2 points is exact, and stays so for paths of any length. At each point all leaves share the
products on the way down and the sums on the way up (Wettenstein, Mitchell & Yu,
"Quadrature-TreeSHAP", arXiv:2605.04497, 2026).

At a split a row is in one of three states: it has followed the path wherever its feature was asked
about above, and now goes left; the same, and goes right; or it has left the path above. In each
state the factors and summands are the same for all rows. So these constants are computed once a
model, and rows go through a tree in tiles that suit the wide registers of the processor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from joblib import Parallel, delayed

from features.tools.jit import jit_inline, jit_kernel
from models.trees.parse import Tree, parse_model

# Rows that go through the trees together. It is unsigned, as are all indices in loops over them:
# loops with signed indices are not vectorized.
TILE_ROWS = np.uintp(128)
# Rows that a thread explains at a time.
CHUNK_ROWS = 16 * int(TILE_ROWS)
# States of a row at a split. OFF is the largest, because _inherit_off_path takes the maximum.
LEFT, RIGHT, OFF = 0, 1, 2
# Columns of ShapPlan.constant.
FIRST, SECOND, FOURTH = np.uintp(0), np.uintp(1), np.uintp(3)


class ShapPlan(NamedTuple):
    """Splits of one or more trees as the kernels read them; split numbers start at 0 in each tree.

    The first six attributes are those of Splits. Of two children that are splits, ``near_child`` is
    the left and ``far_child`` the right one; a single child is the far one.

    Attributes:
        feature: As in Splits.
        threshold: As in Splits.
        zero_bound: As in Splits.
        missing_left: As in Splits.
        code_start: As in Splits.
        code_count: As in Splits.
        prior_split: Last split above with the same feature; -1 if there is none.
        prior_state: State at ``prior_split`` of rows that have not left the path.
        child_count: Number of children that are splits.
        near_child: Left child, where both children are splits.
        far_child: Right child, or the only one.
        parent: Parent split.
        factor_column: Column in ``constant`` of the parent's factor that leads to this split.
        constant: (splits and points, states, 4) factor toward the near child, multiplier of its sum
            for the feature, then the same for the far child. Without a near child, the first two
            are what the leaves add to the sum and to the feature.
        weight: Weight of each quadrature point.
        code_sides: As in Tree.
    """

    feature: np.ndarray
    threshold: np.ndarray
    zero_bound: np.ndarray
    missing_left: np.ndarray
    code_start: np.ndarray
    code_count: np.ndarray
    prior_split: np.ndarray
    prior_state: np.ndarray
    child_count: np.ndarray
    near_child: np.ndarray
    far_child: np.ndarray
    parent: np.ndarray
    factor_column: np.ndarray
    constant: np.ndarray
    weight: np.ndarray
    code_sides: np.ndarray


class PlanOffsets(NamedTuple):
    """First element of each tree in a plan of several trees; one more element ends the last.

    Attributes:
        split: First split.
        constant: First row of ``ShapPlan.constant``.
        weight: First quadrature point.
        code_sides: First element of ``ShapPlan.code_sides``.
    """

    split: np.ndarray
    constant: np.ndarray
    weight: np.ndarray
    code_sides: np.ndarray


@dataclass(frozen=True)
class ShapExplainer:
    """The trees of one model, ready to explain rows of ``feature_count`` columns.

    Attributes:
        plan: Splits of all trees.
        offsets: First element of each tree in the plan.
        feature_count: Number of features of the model.
        expected_value: Mean margin of the training rows: the base value of the contributions.
    """

    plan: ShapPlan
    offsets: PlanOffsets
    feature_count: int
    expected_value: float

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Parse the text of a LightGBM model; raise DamagedModelError for any other text."""
        feature_count, trees = parse_model(text)
        plans = [_make_plan(tree) for tree in trees]
        lengths = [
            [len(part) for part in (p.feature, p.constant, p.weight, p.code_sides)] for p in plans
        ]
        offsets = np.ascontiguousarray(np.cumsum([[0] * 4, *lengths], axis=0).T)
        joined = ShapPlan(*(np.concatenate(parts) for parts in zip(*plans, strict=True)))
        return cls(
            joined,
            PlanOffsets(*offsets),
            feature_count,
            sum(tree.expected_value for tree in trees),
        )

    def contributions(self, x: np.ndarray) -> np.ndarray:
        """Return (rows, features + 1) contributions in the unit of the trees, the base value last.

        ``x`` is NaN where missing. A row's values depend neither on other rows nor on the number of
        threads. Raise ValueError if the number of columns is not that of the model.
        """
        if x.shape[1] != self.feature_count:
            raise ValueError(f"rows of {x.shape[1]} features for a model of {self.feature_count}")
        out = np.empty((len(x), self.feature_count + 1))
        out[:, -1] = self.expected_value
        chunks = [slice(start, start + CHUNK_ROWS) for start in range(0, len(x), CHUNK_ROWS)]
        jobs = (
            delayed(_explain_rows)(
                np.ascontiguousarray(x[chunk], float), self.plan, self.offsets, out[chunk]
            )
            for chunk in chunks
        )
        Parallel(n_jobs=-1 if len(chunks) > 1 else 1, prefer="threads")(jobs)
        return out


def _make_plan(tree: Tree) -> ShapPlan:
    prior, state, share, path_length = _trace_paths(tree)
    share_before = np.where(prior >= 0, share[prior, state], 1.0)[:, None]
    # A polynomial of degree n - 1 needs n / 2 points, rounded up.
    point, weight = np.polynomial.legendre.leggauss((max(path_length, default=1) + 1) // 2)
    inner = tree.child >= 0
    child_count = inner.sum(axis=1)
    return ShapPlan(
        *tree.splits,
        prior_split=prior,
        prior_state=state,
        child_count=child_count,
        near_child=tree.child[:, 0],
        far_child=np.where(inner[:, 1], tree.child[:, 1], tree.child[:, 0]),
        parent=tree.parent,
        factor_column=np.where((child_count[tree.parent] == 2) & (tree.side == 0), 0, 2),
        # Quadrature points lie between -1 and 1, the integral goes from 0 to 1. No point is an end
        # of the range, so 1 - t is never 0.
        constant=np.concatenate(
            [_make_constants(tree, share_before, share, (t + 1) / 2) for t in point]
        ),
        weight=weight / 2,
        code_sides=tree.code_sides,
    )


def _trace_paths(tree: Tree) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[int]]:
    """Trace the path to each split.

    Return ``prior_split`` and ``prior_state``, the share of rows (splits, 2) that went to each side
    wherever the path asks about the feature, and the number of features on the path, the split's
    own included.
    """
    feature, above, side = tree.splits.feature.tolist(), tree.parent.tolist(), tree.side.tolist()
    prior: list[int] = []
    state: list[int] = []
    path_length: list[int] = []
    share = tree.row_share.copy()
    for split in range(len(feature)):
        ancestor, way = above[split], side[split]
        while ancestor >= 0 and feature[ancestor] != feature[split]:
            ancestor, way = above[ancestor], side[ancestor]
        prior.append(ancestor)
        state.append(way)
        path_length.append((path_length[above[split]] if split else 0) + (ancestor < 0))
        if ancestor >= 0:
            share[split] *= share[ancestor, way]
    return np.array(prior, np.int64), np.array(state, np.int64), share, path_length


def _make_constants(
    tree: Tree, share_before: np.ndarray, share: np.ndarray, t: float
) -> np.ndarray:
    """Return the (splits, states, 4) constants at one quadrature point."""
    was, now = share_before * (1 - t) + t, share * (1 - t) + t
    factor, pull = np.empty((2, len(share), 3, 2))
    for state in (LEFT, RIGHT):
        on = np.arange(2) == state
        factor[:, state] = np.where(on, now, share * (1 - t)) / was
        pull[:, state] = np.where(on, (1 - share) / now, -1 / (1 - t)) - (1 - share_before) / was
    factor[:, OFF], pull[:, OFF] = tree.row_share, 0.0
    leaf, inner = factor * tree.leaf_value[:, None], tree.child[:, :, None, None] >= 0
    ends = np.stack([leaf.sum(axis=2), (leaf * pull).sum(axis=2)], axis=-1)
    left, right = np.stack([factor, pull], axis=-1).transpose(2, 0, 1, 3)
    return np.concatenate(
        [np.where(inner.all(axis=1), left, ends), np.where(inner[:, 1], right, left)], axis=2
    )


class ShapTile(NamedTuple):
    """Working memory for one tile of rows.

    Attributes:
        values: (features, rows) values of the rows.
        contributions: (features, rows) contributions so far.
        state: (splits, rows) state of each row at each split of one tree.
        carried: (splits, rows) product on the way down, sum on the way up.
    """

    values: np.ndarray
    contributions: np.ndarray
    state: np.ndarray
    carried: np.ndarray


@jit_kernel
def _explain_rows(x: np.ndarray, plan: ShapPlan, offsets: PlanOffsets, out: np.ndarray) -> None:
    """Write the contributions of rows ``x`` into ``out``, except its last column."""
    rows, features = x.shape
    trees, most = len(offsets.split) - 1, 0
    for tree in range(trees):
        most = max(most, offsets.split[tree + 1] - offsets.split[tree])
    width = int(TILE_ROWS)
    values, contributions = np.zeros((features, width)), np.empty((features, width))
    state, carried = np.empty((most, width), np.int64), np.empty((most, width))
    tile = ShapTile(values, contributions, state, carried)
    for first in range(0, rows, width):
        size = min(width, rows - first)
        for row in range(size):
            for feature in range(features):
                values[feature, row] = x[first + row, feature]
        contributions[:] = 0.0
        for tree in range(trees):
            _assign_states(
                tile, plan, offsets.split[tree], offsets.split[tree + 1], offsets.code_sides[tree]
            )
            _add_tree(tile, plan, offsets, tree)
        for row in range(size):
            for feature in range(features):
                out[first + row, feature] = contributions[feature, row]


@jit_kernel
def _assign_states(tile: ShapTile, plan: ShapPlan, first: int, end: int, first_code: int) -> None:
    """Find the state of each row at each split of a tree."""
    for split in range(end - first):
        number, index = first + split, np.uintp(split)
        column = np.uintp(plan.feature[number])
        if plan.code_count[number]:
            _assign_by_category(
                tile,
                index,
                column,
                plan.code_sides,
                first_code + plan.code_start[number],
                plan.code_count[number],
            )
        else:
            _assign_by_threshold(
                tile, index, column, plan.threshold[number], plan.missing_left[number]
            )
            if plan.zero_bound[number] >= 0:
                _assign_zeros(
                    tile, index, column, plan.zero_bound[number], plan.missing_left[number]
                )
        if plan.prior_split[number] >= 0:
            _inherit_off_path(
                tile, index, np.uintp(plan.prior_split[number]), plan.prior_state[number]
            )


@jit_kernel
def _assign_by_category(
    tile: ShapTile, index: int, column: int, sides: np.ndarray, place: int, codes: int
) -> None:
    """Send each row to the side of its category."""
    values, state, start, end = tile.values, tile.state, np.uintp(place), float(codes)
    for row in range(TILE_ROWS):
        code = values[column, row]
        known = code > -1.0 and code < end
        side = sides[start + np.uintp(np.int64(code if known else 0.0))]
        state[index, row] = side if known else RIGHT


@jit_kernel
def _assign_by_threshold(
    tile: ShapTile, index: int, column: int, threshold: float, missing_left: bool
) -> None:
    """Send numbers up to the threshold to the left.

    NaN compares as false and goes to the side of missing values.
    """
    values, state = tile.values, tile.state
    if missing_left:
        for row in range(TILE_ROWS):
            state[index, row] = RIGHT if values[column, row] > threshold else LEFT
    else:
        for row in range(TILE_ROWS):
            state[index, row] = LEFT if values[column, row] <= threshold else RIGHT


@jit_kernel
def _assign_zeros(
    tile: ShapTile, index: int, column: int, zero_bound: float, missing_left: bool
) -> None:
    """Send numbers that count as zero to the side of missing values."""
    for row in range(TILE_ROWS):
        if abs(tile.values[column, row]) <= zero_bound:
            tile.state[index, row] = LEFT if missing_left else RIGHT


@jit_kernel
def _inherit_off_path(tile: ShapTile, index: int, prior: int, prior_state: int) -> None:
    """Mark the rows that left the path where the feature was asked about before."""
    state = tile.state
    for row in range(TILE_ROWS):
        state[index, row] = max(
            state[index, row], LEFT if state[prior, row] == prior_state else OFF
        )


@jit_kernel
def _add_tree(tile: ShapTile, plan: ShapPlan, offsets: PlanOffsets, tree: int) -> None:
    """Add the contributions of one tree.

    At each quadrature point, compute products down to each split, then sums back up.
    """
    first, splits, entry = (
        offsets.split[tree],
        offsets.split[tree + 1] - offsets.split[tree],
        offsets.constant[tree],
    )
    if splits == 0:
        return
    for point in range(offsets.weight[tree], offsets.weight[tree + 1]):
        tile.carried[0] = plan.weight[point]
        for split in range(1, splits):
            above = plan.parent[first + split]
            column = np.uintp(plan.factor_column[first + split])
            _multiply_down(
                tile,
                np.uintp(split),
                np.uintp(above),
                plan.constant,
                np.uintp(entry + above),
                column,
            )
        # Backwards, since parents come before their children and need their sums.
        for split in range(splits - 1, -1, -1):
            number, index, constant = first + split, np.uintp(split), np.uintp(entry + split)
            column, far = np.uintp(plan.feature[number]), np.uintp(plan.far_child[number])
            if plan.child_count[number] == 0:
                _sum_leaves(tile, index, plan.constant, constant, column)
            elif plan.child_count[number] == 1:
                _sum_leaf_and_split(tile, index, far, plan.constant, constant, column)
            else:
                _sum_splits(
                    tile,
                    index,
                    np.uintp(plan.near_child[number]),
                    far,
                    plan.constant,
                    constant,
                    column,
                )
        entry += splits


@jit_inline
def _read_constants(constants: np.ndarray, place: int, column: int) -> tuple[float, float, float]:
    return (
        constants[place, LEFT, column],
        constants[place, RIGHT, column],
        constants[place, OFF, column],
    )


@jit_inline
def _pick_by_state(state: int, choice: tuple[float, float, float]) -> float:
    return choice[0] if state == LEFT else (choice[1] if state == RIGHT else choice[2])


@jit_kernel
def _multiply_down(
    tile: ShapTile, index: int, above: int, constants: np.ndarray, place: int, column: int
) -> None:
    """Multiply the parent's product by the factor that leads to this split."""
    state, carried, factor = tile.state, tile.carried, _read_constants(constants, place, column)
    for row in range(TILE_ROWS):
        carried[index, row] = carried[above, row] * _pick_by_state(state[above, row], factor)


@jit_kernel
def _sum_leaves(tile: ShapTile, index: int, constants: np.ndarray, place: int, column: int) -> None:
    """Sum up a split of two leaves."""
    state, carried, contributions = tile.state, tile.carried, tile.contributions
    total, gain = (
        _read_constants(constants, place, FIRST),
        _read_constants(constants, place, SECOND),
    )
    for row in range(TILE_ROWS):
        way, product = state[index, row], carried[index, row]
        contributions[column, row] += product * _pick_by_state(way, gain)
        carried[index, row] = product * _pick_by_state(way, total)


@jit_kernel
def _sum_leaf_and_split(
    tile: ShapTile, index: int, far: int, constants: np.ndarray, place: int, column: int
) -> None:
    """Sum up a split of a leaf and a split."""
    state, carried, contributions = tile.state, tile.carried, tile.contributions
    total, gain = (
        _read_constants(constants, place, FIRST),
        _read_constants(constants, place, SECOND),
    )
    pull = _read_constants(constants, place, FOURTH)
    for row in range(TILE_ROWS):
        way, product, below = state[index, row], carried[index, row], carried[far, row]
        contributions[column, row] += product * _pick_by_state(way, gain) + below * _pick_by_state(
            way, pull
        )
        carried[index, row] = product * _pick_by_state(way, total) + below


@jit_kernel
def _sum_splits(
    tile: ShapTile, index: int, near: int, far: int, constants: np.ndarray, place: int, column: int
) -> None:
    """Sum up a split of two splits."""
    state, carried, contributions = tile.state, tile.carried, tile.contributions
    first, second = (
        _read_constants(constants, place, SECOND),
        _read_constants(constants, place, FOURTH),
    )
    for row in range(TILE_ROWS):
        way, left, right = state[index, row], carried[near, row], carried[far, row]
        contributions[column, row] += left * _pick_by_state(way, first) + right * _pick_by_state(
            way, second
        )
        carried[index, row] = left + right
