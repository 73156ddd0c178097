"""Where a cutoff falls among instants that rise."""

from __future__ import annotations

import numpy as np

from features.tools.jit import jit_kernel


def find_lower_bounds(
    instant: np.ndarray, first: np.ndarray, last: np.ndarray, cutoff: np.ndarray
) -> np.ndarray:
    """Return for each row the place of the first instant in ``[first, last)`` that is not before its cutoff, else last.

    Instants rise within each range; all are int64, instants and cutoffs in microseconds.
    """
    found = np.empty(len(cutoff), np.int64)
    _bisect_rows(instant, first, last, cutoff, found)
    return found


@jit_kernel
def _bisect_rows(
    instant: np.ndarray, first: np.ndarray, last: np.ndarray, cutoff: np.ndarray, found: np.ndarray
) -> None:
    for row in range(len(cutoff)):
        low, high = first[row], last[row]
        while low < high:
            middle = (low + high) // 2
            if instant[middle] < cutoff[row]:
                low = middle + 1
            else:
                high = middle
        found[row] = low
