"""Weighted sums over groups of rows; neither row order nor the number of cores changes a bit.

Weights are whole numbers (how often a row was drawn), so their sums within a group are exact in any
order.
"""

from __future__ import annotations

import numpy as np


def dot_without_blas(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return ``left @ right`` computed by ``einsum``."""
    # BLAS threads compete for busy cores, and sum in an order that depends on their number.
    indices = {(1, 1): "i,i->", (1, 2): "i,ij->j", (2, 1): "ij,j->i", (2, 2): "ij,jk->ik"}
    return np.einsum(indices[left.ndim, right.ndim], left, right)


def split_by_label(
    group: np.ndarray, label: np.ndarray, weight: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the weight of the negative and of the positive rows of each of ``size`` groups."""
    positive = np.bincount(group, weight * label, minlength=size)
    return np.bincount(group, weight, minlength=size) - positive, positive


def find_group_ends(group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each element's first and last position of its group; ``group`` is ascending."""
    return np.searchsorted(group, group), np.searchsorted(group, group, side="right") - 1


def sum_before(weight: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Return for each element the weight of the earlier ones of its group.

    ``first`` is the position of each group's first element.
    """
    earlier = np.cumsum(weight) - weight
    return earlier - earlier[first]


def sum_onwards(weight: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Return for each element its weight plus that of the later ones of its group.

    ``last`` is the position of each group's last element.
    """
    so_far = np.cumsum(weight)
    return so_far[last] - so_far + weight


def divide_or_zero(part: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Return ``part / total`` element by element, 0 where the total is 0."""
    return np.divide(part, total, out=np.zeros(len(total)), where=total > 0)
