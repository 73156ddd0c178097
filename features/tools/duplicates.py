"""Duplicate rows of an event log, found by their hashes in parts, so that memory is bounded."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from features.tools.parallel import parallel_map

HIGH, LOW = "high", "low"
# The two halves of a row's 128-bit hash.
HASHES = pa.schema([pa.field(name, pa.uint64(), nullable=False) for name in (HIGH, LOW)])

# Rows of a part, about, whose hashes are held in memory and sorted: 200 MB with row numbers.
MAX_SORTED_ROWS = 1 << 23


def find_duplicate_rows(hashes: pa.Table) -> np.ndarray:
    """Return the ascending row numbers of rows whose hash equals that of an earlier row.

    Parts are ranges of hashes, so equal hashes are in one part. Most parts have no duplicate and
    cost one sort.
    """
    bits = max(len(hashes) // MAX_SORTED_ROWS, 0).bit_length()
    duplicates = parallel_map(
        lambda number: _find_duplicates_in_range(*_select_hash_range(hashes, number, bits)),
        range(1 << bits),
    )
    return np.sort(np.concatenate(list(duplicates)))


def sum_hashes(hashes: pa.Table, excluded: np.ndarray) -> bytes:
    """Return the sum of all hashes except those of the ``excluded`` rows, as 16 bytes.

    The sum does not depend on the order of the rows.
    """
    excluded_hashes = hashes.take(pa.array(excluded))
    sums = [_sum_column(hashes[name]) - _sum_column(excluded_hashes[name]) for name in (HIGH, LOW)]
    return b"".join((half_sum % (1 << 64)).to_bytes(8, "little") for half_sum in sums)


def _sum_column(column: pa.ChunkedArray) -> int:
    return sum(int(chunk.to_numpy().sum(dtype=np.uint64)) for chunk in column.chunks)


def _select_hash_range(
    hashes: pa.Table, number: int, bits: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return row numbers and hashes of the rows whose hash begins with the bits of ``number``."""
    row_numbers, highs, lows = (
        [np.empty(0, np.int64)],
        [np.empty(0, np.uint64)],
        [np.empty(0, np.uint64)],
    )
    for begin, high, low in _iter_batches(hashes):
        selected = (
            np.flatnonzero(high >> np.uint64(64 - bits) == number) if bits else np.arange(len(high))
        )
        row_numbers.append(begin + selected)
        highs.append(high[selected])
        lows.append(low[selected])
    return np.concatenate(row_numbers), np.concatenate(highs), np.concatenate(lows)


def _iter_batches(hashes: pa.Table) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield the number of the first row, and both halves of the hashes, batch by batch."""
    begin = 0
    for batch in hashes.to_batches():
        yield begin, batch[HIGH].to_numpy(), batch[LOW].to_numpy()
        begin += len(batch)


def _find_duplicates_in_range(
    row_number: np.ndarray, high: np.ndarray, low: np.ndarray
) -> np.ndarray:
    """Return the row numbers, per hash in ascending order, of all but the first row of each hash.

    Only rows whose high half occurs twice are compared in full: few rows remain to be sorted.
    """
    sorted_high = np.sort(high)
    suspects = sorted_high[1:][sorted_high[1:] == sorted_high[:-1]]
    if not len(suspects):
        return row_number[:0]
    at = np.minimum(np.searchsorted(suspects, high), len(suspects) - 1)
    candidates = np.flatnonzero(suspects[at] == high)
    # By row number last, so that the first of equal rows is the one that is kept.
    candidates = candidates[np.lexsort((row_number[candidates], low[candidates], high[candidates]))]
    same = (high[candidates][1:] == high[candidates][:-1]) & (
        low[candidates][1:] == low[candidates][:-1]
    )
    return row_number[candidates[1:][same]]
