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

from features.tools.jit import inlined, kernel
from models.trees.parse import Tree, count_features, parse_trees

TILE_ROWS = np.uintp(128)
"""Rows that go through the trees together. Unsigned, as all places in loops over them, which else stay narrow."""
CHUNK_ROWS = 16 * int(TILE_ROWS)
"""Rows that a thread is given at a time."""
LEFT, RIGHT, OFF = 0, 1, 2
"""States of a row at a split."""
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
        """Parse the text of a LightGBM model."""
        found = list(parse_trees(text))
        plans = [_make_plan(tree) for tree in found]
        lengths = [
            [len(part) for part in (p.feature, p.constant, p.weight, p.code_sides)] for p in plans
        ]
        starts = np.ascontiguousarray(np.cumsum([[0] * 4, *lengths], axis=0).T)
        joined = ShapPlan(*(np.concatenate(parts) for parts in zip(*plans, strict=True)))
        return cls(joined, PlanOffsets(*starts), count_features(text), sum(tree.expected_value for tree in found))

    def contributions(self, x: np.ndarray) -> np.ndarray:
        """Return (rows, features + 1) contributions in the unit of the trees, the base value last.

        ``x`` is NaN where missing. A row's values depend neither on other rows nor on the number of
        threads. Raise ValueError if the number of columns is not that of the model.
        """
        if x.shape[1] != self.feature_count:
            raise ValueError(f"rows of {x.shape[1]} features for a model of {self.feature_count}")
        out = np.empty((len(x), self.feature_count + 1))
        out[:, -1] = self.expected_value
        pieces = [slice(at, at + CHUNK_ROWS) for at in range(0, len(x), CHUNK_ROWS)]
        jobs = (
            delayed(_explain_rows)(np.ascontiguousarray(x[at], float), self.plan, self.offsets, out[at])
            for at in pieces
        )
        Parallel(n_jobs=-1 if len(pieces) > 1 else 1, prefer="threads")(jobs)
        return out


def _make_plan(tree: Tree) -> ShapPlan:
    prior, kept, share, asked = _trace_paths(tree)
    before = np.where(prior >= 0, share[prior, kept], 1.0)[:, None]
    point, weight = np.polynomial.legendre.leggauss((max(asked, default=1) + 1) // 2)
    inner = tree.child >= 0
    below = inner.sum(axis=1)
    return ShapPlan(
        *tree.splits,
        prior_split=prior,
        prior_state=kept,
        child_count=below,
        near_child=tree.child[:, 0],
        far_child=np.where(inner[:, 1], tree.child[:, 1], tree.child[:, 0]),
        parent=tree.parent,
        factor_column=np.where((below[tree.parent] == 2) & (tree.side == 0), 0, 2),
        constant=np.concatenate([_make_constants(tree, before, share, (t + 1) / 2) for t in point]),
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
    kept: list[int] = []
    asked: list[int] = []
    share = tree.row_share.copy()
    for split in range(len(feature)):
        place, way = above[split], side[split]
        while place >= 0 and feature[place] != feature[split]:
            place, way = above[place], side[place]
        prior.append(place)
        kept.append(way)
        asked.append((asked[above[split]] if split else 0) + (place < 0))
        if place >= 0:
            share[split] *= share[place, way]
    return np.array(prior, np.int64), np.array(kept, np.int64), share, asked


def _make_constants(tree: Tree, before: np.ndarray, share: np.ndarray, t: float) -> np.ndarray:
    """Return the (splits, states, 4) constants at one quadrature point."""
    was, now = before * (1 - t) + t, share * (1 - t) + t
    factor, pull = np.empty((2, len(share), 3, 2))
    for state in (LEFT, RIGHT):
        on = np.arange(2) == state
        factor[:, state] = np.where(on, now, share * (1 - t)) / was
        pull[:, state] = np.where(on, (1 - share) / now, -1 / (1 - t)) - (1 - before) / was
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


@kernel
def _explain_rows(x: np.ndarray, plan: ShapPlan, starts: PlanOffsets, out: np.ndarray) -> None:
    """Write the contributions of rows ``x`` into ``out``, except its last column."""
    rows, features = x.shape
    trees, most = len(starts.split) - 1, 0
    for tree in range(trees):
        most = max(most, starts.split[tree + 1] - starts.split[tree])
    wide = int(TILE_ROWS)
    seen, added, held = (
        np.zeros((features, wide)),
        np.empty((features, wide)),
        np.empty((most, wide)),
    )
    tile = ShapTile(seen, added, np.empty((most, wide), np.int64), held)
    for first in range(0, rows, wide):
        size = min(wide, rows - first)
        for row in range(size):
            for feature in range(features):
                seen[feature, row] = x[first + row, feature]
        added[:] = 0.0
        for tree in range(trees):
            _assign_states(tile, plan, starts.split[tree], starts.split[tree + 1], starts.code_sides[tree])
            _add_tree(tile, plan, starts, tree)
        for row in range(size):
            for feature in range(features):
                out[first + row, feature] = added[feature, row]


@kernel
def _assign_states(tile: ShapTile, plan: ShapPlan, first: int, end: int, sides: int) -> None:
    """Find the state of each row at each split of a tree."""
    for split in range(end - first):
        here, own = first + split, np.uintp(split)
        column = np.uintp(plan.feature[here])
        if plan.code_count[here]:
            _assign_by_category(tile, own, column, plan.code_sides, sides + plan.code_start[here], plan.code_count[here])
        else:
            _assign_by_threshold(tile, own, column, plan.threshold[here], plan.missing_left[here])
            if plan.zero_bound[here] >= 0:
                _assign_zeros(tile, own, column, plan.zero_bound[here], plan.missing_left[here])
        if plan.prior_split[here] >= 0:
            _inherit_off_path(tile, own, np.uintp(plan.prior_split[here]), plan.prior_state[here])


@kernel
def _assign_by_category(tile: ShapTile, own: int, column: int, sides: np.ndarray, place: int, codes: int) -> None:
    """Send each row to the side of its category."""
    seen, state, start, end = tile.values, tile.state, np.uintp(place), float(codes)
    for row in range(TILE_ROWS):
        code = seen[column, row]
        known = code > -1.0 and code < end
        side = sides[start + np.uintp(np.int64(code if known else 0.0))]
        state[own, row] = side if known else RIGHT


@kernel
def _assign_by_threshold(tile: ShapTile, own: int, column: int, threshold: float, gap: bool) -> None:
    """Send numbers up to the threshold to the left.

    NaN compares as false and goes to the side of missing values.
    """
    seen, state = tile.values, tile.state
    if gap:
        for row in range(TILE_ROWS):
            state[own, row] = RIGHT if seen[column, row] > threshold else LEFT
    else:
        for row in range(TILE_ROWS):
            state[own, row] = LEFT if seen[column, row] <= threshold else RIGHT


@kernel
def _assign_zeros(tile: ShapTile, own: int, column: int, zero: float, gap: bool) -> None:
    """Send numbers that count as zero to the side of missing values."""
    for row in range(TILE_ROWS):
        if abs(tile.values[column, row]) <= zero:
            tile.state[own, row] = LEFT if gap else RIGHT


@kernel
def _inherit_off_path(tile: ShapTile, own: int, prior: int, kept: int) -> None:
    """Mark the rows that left the path where the feature was asked about before."""
    state = tile.state
    for row in range(TILE_ROWS):
        state[own, row] = max(state[own, row], LEFT if state[prior, row] == kept else OFF)


@kernel
def _add_tree(tile: ShapTile, plan: ShapPlan, starts: PlanOffsets, tree: int) -> None:
    """Add the contributions of one tree.

    At each quadrature point, compute products down to each split, then sums back up.
    """
    first, splits, entry = (
        starts.split[tree],
        starts.split[tree + 1] - starts.split[tree],
        starts.constant[tree],
    )
    if splits == 0:
        return
    for point in range(starts.weight[tree], starts.weight[tree + 1]):
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
        for split in range(splits - 1, -1, -1):
            here, own, constant = first + split, np.uintp(split), np.uintp(entry + split)
            column, far = np.uintp(plan.feature[here]), np.uintp(plan.far_child[here])
            if plan.child_count[here] == 0:
                _sum_leaves(tile, own, plan.constant, constant, column)
            elif plan.child_count[here] == 1:
                _sum_leaf_and_split(tile, own, far, plan.constant, constant, column)
            else:
                _sum_splits(tile, own, np.uintp(plan.near_child[here]), far, plan.constant, constant, column)
        entry += splits


@inlined
def _read_constants(constants: np.ndarray, place: int, column: int) -> tuple[float, float, float]:
    return (
        constants[place, LEFT, column],
        constants[place, RIGHT, column],
        constants[place, OFF, column],
    )


@inlined
def _pick_by_state(state: int, choice: tuple[float, float, float]) -> float:
    return choice[0] if state == LEFT else (choice[1] if state == RIGHT else choice[2])


@kernel
def _multiply_down(
    tile: ShapTile, own: int, above: int, constants: np.ndarray, place: int, column: int
) -> None:
    """Multiply the parent's product by the factor that leads to this split."""
    state, held, factor = tile.state, tile.carried, _read_constants(constants, place, column)
    for row in range(TILE_ROWS):
        held[own, row] = held[above, row] * _pick_by_state(state[above, row], factor)


@kernel
def _sum_leaves(tile: ShapTile, own: int, constants: np.ndarray, place: int, column: int) -> None:
    """Sum up a split of two leaves."""
    state, held, added = tile.state, tile.carried, tile.contributions
    total, gain = _read_constants(constants, place, FIRST), _read_constants(constants, place, SECOND)
    for row in range(TILE_ROWS):
        at, here = state[own, row], held[own, row]
        added[column, row] += here * _pick_by_state(at, gain)
        held[own, row] = here * _pick_by_state(at, total)


@kernel
def _sum_leaf_and_split(tile: ShapTile, own: int, far: int, constants: np.ndarray, place: int, column: int) -> None:
    """Sum up a split of a leaf and a split."""
    state, held, added = tile.state, tile.carried, tile.contributions
    total, gain = _read_constants(constants, place, FIRST), _read_constants(constants, place, SECOND)
    pull = _read_constants(constants, place, FOURTH)
    for row in range(TILE_ROWS):
        at, here, there = state[own, row], held[own, row], held[far, row]
        added[column, row] += here * _pick_by_state(at, gain) + there * _pick_by_state(at, pull)
        held[own, row] = here * _pick_by_state(at, total) + there


@kernel
def _sum_splits(
    tile: ShapTile, own: int, near: int, far: int, constants: np.ndarray, place: int, column: int
) -> None:
    """Sum up a split of two splits."""
    state, held, added = tile.state, tile.carried, tile.contributions
    first, second = _read_constants(constants, place, SECOND), _read_constants(constants, place, FOURTH)
    for row in range(TILE_ROWS):
        at, one, other = state[own, row], held[near, row], held[far, row]
        added[column, row] += one * _pick_by_state(at, first) + other * _pick_by_state(at, second)
        held[own, row] = one + other
