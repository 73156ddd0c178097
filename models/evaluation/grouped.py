"""Weighted sums over groups of rows, the same to the bit whatever the order of the rows and the number of cores.

Weights are whole numbers (how often a row was drawn), so that sums of them within a group are exact in any order.
"""

from __future__ import annotations

import numpy as np


def dot(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return ``left @ right`` without BLAS, whose threads fight over busy cores and sum in an order of their own."""
    indices = {(1, 1): "i,i->", (1, 2): "i,ij->j", (2, 1): "ij,j->i", (2, 2): "ij,jk->ik"}
    return np.einsum(indices[left.ndim, right.ndim], left, right)


def split(
    group: np.ndarray, label: np.ndarray, weight: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return for each of ``size`` groups the weight of its rows without the outcome and of those with it."""
    positive = np.bincount(group, weight * label, minlength=size)
    return np.bincount(group, weight, minlength=size) - positive, positive


def ends(group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and the last position of each element's group, of groups in ascending order."""
    return np.searchsorted(group, group), np.searchsorted(group, group, side="right") - 1


def before(weight: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Return the weight of the earlier elements of each element's group, which starts at ``first``."""
    earlier = np.cumsum(weight) - weight
    return earlier - earlier[first]


def onwards(weight: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Return the weight of each element and of the later ones of its group, which ends at ``last``."""
    so_far = np.cumsum(weight)
    return so_far[last] - so_far + weight


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return ``part / whole`` element by element, 0 where the whole is 0."""
    return np.divide(part, whole, out=np.zeros(len(whole)), where=whole > 0)
