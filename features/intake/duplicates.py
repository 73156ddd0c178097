"""Rows of a log that are equal, found by their hashes a part at a time: memory is bounded whatever the log."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from features.tools.parallel import side_by_side

HIGH, LOW = "high", "low"
HASHES = pa.schema([pa.field(name, pa.uint64(), nullable=False) for name in (HIGH, LOW)])
"""The two halves of a row's hash."""

ROWS_AT_ONCE = 1 << 23
"""Rows of which the hashes are held in memory and sorted, about."""


def repeated(hashes: pa.Table) -> np.ndarray:
    """Return the places, ascending, of the rows whose hash another row before them has.

    Equal hashes lie in one part, since parts are ranges of them; most parts hold none and cost one sort.
    """
    bits = max(len(hashes) // ROWS_AT_ONCE, 0).bit_length()
    found = side_by_side(lambda number: _find_duplicates_in_range(*_select_hash_range(hashes, number, bits)), range(1 << bits))
    return np.sort(np.concatenate(list(found)))


def total(hashes: pa.Table, but: np.ndarray) -> bytes:
    """Return the sum of all hashes but those of some rows; it does not depend on their order."""
    left_out = hashes.take(pa.array(but))
    sums = [_sum_column(hashes[name]) - _sum_column(left_out[name]) for name in (HIGH, LOW)]
    return b"".join((each % (1 << 64)).to_bytes(8, "little") for each in sums)


def _sum_column(column: pa.ChunkedArray) -> int:
    return sum(int(chunk.to_numpy().sum(dtype=np.uint64)) for chunk in column.chunks)


def _select_hash_range(hashes: pa.Table, number: int, bits: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the places and hashes of the rows whose hash begins with so many bits."""
    places, highs, lows = (
        [np.empty(0, np.int64)],
        [np.empty(0, np.uint64)],
        [np.empty(0, np.uint64)],
    )
    for begin, high, low in _iter_batches(hashes):
        own = (
            np.flatnonzero(high >> np.uint64(64 - bits) == number) if bits else np.arange(len(high))
        )
        places.append(begin + own)
        highs.append(high[own])
        lows.append(low[own])
    return np.concatenate(places), np.concatenate(highs), np.concatenate(lows)


def _iter_batches(hashes: pa.Table) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    begin = 0
    for batch in hashes.to_batches():
        yield begin, batch[HIGH].to_numpy(), batch[LOW].to_numpy()
        begin += len(batch)


def _find_duplicates_in_range(place: np.ndarray, high: np.ndarray, low: np.ndarray) -> np.ndarray:
    ordered = np.sort(high)
    suspects = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(suspects):
        return place[:0]
    at = np.minimum(np.searchsorted(suspects, high), len(suspects) - 1)
    own = np.flatnonzero(suspects[at] == high)
    own = own[np.lexsort((place[own], low[own], high[own]))]
    same = (high[own][1:] == high[own][:-1]) & (low[own][1:] == low[own][:-1])
    return place[own[1:][same]]
