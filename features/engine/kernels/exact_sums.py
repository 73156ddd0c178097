"""Sums of floats that are rounded once."""

from __future__ import annotations

import numpy as np

from features.tools.jit import jit_inline, jit_kernel

# Beyond SCALE_ABOVE all values are scaled down, so that no partial sum overflows before the whole
# sum does; digits below 2 ** -1010 are lost then.
SCALE_ABOVE, DOWNSCALE = 2.0**1000, 2.0**-64

# More than 40 floats that do not overlap do not fit into the range of a float.
MAX_PARTS = 64


@jit_inline
def two_sum(a: float, b: float) -> tuple[float, float]:
    """Return the rounded sum and the rounding error.

    Knuth, The Art of Computer Programming 2, 4.2.2.
    """
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


@jit_kernel
def exact_sum(values: np.ndarray) -> float:
    """Return the sum of the values, rounded once; it does not depend on their order.

    Keeps the sum as floats that do not overlap, as many as it takes (Shewchuk 1997, "Adaptive
    precision floating-point arithmetic"). Infinities add up as floats do; a sum beyond the largest
    float is infinite.
    """
    largest = 0.0
    for value in values:
        if not np.isfinite(value):
            return values[~np.isfinite(values)].sum()
        largest = max(largest, abs(value))
    scale = DOWNSCALE if largest > SCALE_ABOVE else 1.0
    parts, count = np.empty(MAX_PARTS), 0
    for value in values:
        rest, kept = value * scale, 0
        for index in range(count):
            rest, low = two_sum(rest, parts[index])
            if low != 0.0:
                parts[kept] = low
                kept += 1
        parts[kept] = rest
        count = kept + 1
    return _round_parts(parts, count) / scale


@jit_kernel
def _round_parts(parts: np.ndarray, count: int) -> float:
    """Add up ascending floats that do not overlap; round half to even, as of the whole sum."""
    if count == 0:
        return 0.0
    count -= 1
    total, low = parts[count], 0.0
    while count > 0 and low == 0.0:
        count -= 1
        total, low = two_sum(total, parts[count])
    # Exactly half a step was rounded away, and the next part decides on which side of the half the
    # sum lies.
    if count > 0 and low * parts[count - 1] > 0.0:
        twice = 2.0 * low
        nearer = total + twice
        if nearer - total == twice:
            total = nearer
    return total
