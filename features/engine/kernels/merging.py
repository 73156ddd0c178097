"""Kernel that merges the ordered events of a group's members into one order by time."""

from __future__ import annotations

import numpy as np

from features.tools.jit import jit_inline, jit_kernel


@jit_kernel
def order_by_time(code: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Return the order by time within equal codes, which must be contiguous; the sort is stable.

    A natural merge sort (Knuth 1998, The Art of Computer Programming 3, 5.2.4): runs that are in
    order already are merged as they are, and a group of few members is a few such runs.
    """
    order = np.arange(len(code))
    spare = np.empty(len(code), np.int64)
    begin = 0
    for end in range(1, len(code) + 1):
        if end == len(code) or code[end] != code[begin]:
            while _merge_pairs(order, spare, time, begin, end):
                pass
            begin = end
    return order


@jit_inline
def _merge_pairs(
    order: np.ndarray, spare: np.ndarray, time: np.ndarray, begin: int, end: int
) -> bool:
    """Merge each run with the one after it; return whether there were any two."""
    merged = False
    while begin < end:
        middle = _find_run_end(order, time, begin, end)
        if middle == end:
            break
        last = _find_run_end(order, time, middle, end)
        _merge_runs(order, spare, time, begin, middle, last)
        merged, begin = True, last
    return merged


@jit_inline
def _find_run_end(order: np.ndarray, time: np.ndarray, begin: int, end: int) -> int:
    """Return the end of the ascending run that begins at ``begin``."""
    place = begin + 1
    while place < end and time[order[place - 1]] <= time[order[place]]:
        place += 1
    return place


@jit_inline
def _merge_runs(
    order: np.ndarray, spare: np.ndarray, time: np.ndarray, begin: int, middle: int, end: int
) -> None:
    spare[begin:middle] = order[begin:middle]
    left, right = begin, middle
    for place in range(begin, end):
        if left == middle:
            break  # the rest of the second run is in its place already
        # At a tie the first run goes first, which keeps the sort stable.
        if right == end or time[spare[left]] <= time[order[right]]:
            order[place] = spare[left]
            left += 1
        else:
            order[place] = order[right]
            right += 1
