"""Binary search for one cutoff per row within ascending instants."""

from __future__ import annotations

import numpy as np

from features.tools.jit import jit_kernel


def find_lower_bounds(
    instant: np.ndarray, first: np.ndarray, last: np.ndarray, cutoff: np.ndarray
) -> np.ndarray:
    """Return for each row the first position in ``[first, last)`` that is not before its cutoff.

    Returns ``last`` where all instants of the range are before the cutoff. Instants ascend within
    each range; all arrays are int64, instants and cutoffs in microseconds since 1970.
    """
    # numpy's searchsorted has one range for all rows; here each row has its own.
    positions = np.empty(len(cutoff), np.int64)
    _bisect_rows(instant, first, last, cutoff, positions)
    return positions


@jit_kernel
def _bisect_rows(
    instant: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
    cutoff: np.ndarray,
    positions: np.ndarray,
) -> None:
    for row in range(len(cutoff)):
        low, high = first[row], last[row]
        while low < high:
            middle = (low + high) // 2
            if instant[middle] < cutoff[row]:
                low = middle + 1
            else:
                high = middle
        positions[row] = low
