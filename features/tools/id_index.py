"""Hash index from ids to row numbers, for millions of ids at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.tools.jit import jit_kernel

# Ids looked up together, so that the waits for memory overlap instead of adding up.
LOOKUP_BLOCK_SIZE = 512


@dataclass(frozen=True)
class IdIndex:
    """A hash table of distinct ids, each mapped to its position.

    Open addressing with linear probing, at most a quarter full, over FNV-1a (Fowler, Noll & Vo) of
    the bytes. Its bits are mixed once more (a round of Appleby's MurmurHash3), since numbered ids
    would cluster. Bytes are compared wherever hashes agree, so two ids are never confused.

    Attributes:
        texts: the bytes of all ids.
        offsets: where each id begins in ``texts``, and the end of the last.
        slots: the upper half of the hash and the position of an id, -1 where the slot is free.
    """

    texts: np.ndarray
    offsets: np.ndarray
    slots: np.ndarray

    @classmethod
    def from_column(cls, column: pa.ChunkedArray | pa.Array) -> Self:
        """Build the index of a column of distinct texts."""
        # Copied, since numpy requests large pages: lookups touch all of it at random.
        texts, ends = (part.copy() for part in get_text_buffers(column))
        # At most a quarter full, so that most lookups end at the first slot.
        slots = np.full(1 << max(int(4 * len(ends) - 1).bit_length(), 4), -1, np.int64)
        _fill_slots(texts, ends, slots)
        return cls(texts, ends, slots)

    def __len__(self) -> int:
        """Return the number of ids."""
        return len(self.offsets) - 1

    def find(self, column: pa.ChunkedArray | pa.Array) -> np.ndarray:
        """Return the position of each text, -1 where it is null or not in the index; int32."""
        chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
        return np.concatenate(
            [np.empty(0, np.int32), *(self._find_in_chunk(chunk) for chunk in chunks)]
        )

    def _find_in_chunk(self, chunk: pa.Array) -> np.ndarray:
        if pa.types.is_dictionary(chunk.type):
            positions = np.append(self._find_in_chunk(chunk.dictionary), np.int32(-1))
            return positions[
                pc.fill_null(chunk.indices, len(positions) - 1).to_numpy(zero_copy_only=False)
            ]
        positions = np.empty(len(chunk), np.int32)
        _find_positions(*get_text_buffers(chunk), self.texts, self.offsets, self.slots, positions)
        if chunk.null_count:
            positions[chunk.is_null().to_numpy(zero_copy_only=False)] = -1
        return positions


def get_text_buffers(column: pa.Array | pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Return the bytes of all texts, and where each begins and the last ends."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    array = array if pa.types.is_binary(array.type) else pc.cast(array, pa.string())
    _, offsets, data = array.buffers()
    if not len(array):
        return np.empty(0, np.uint8), np.zeros(1, np.int32)
    ends = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1]
    return np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8), ends


def contains_nul(column: pa.Array) -> bool:
    """Return whether any of the texts contains a NUL byte."""
    texts, ends = get_text_buffers(column)
    return b"\0" in texts[ends[0] : ends[-1]].tobytes()


@jit_kernel
def _hash_bytes(texts: np.ndarray, begin: int, end: int) -> np.int64:
    """Return a hash of 63 bits."""
    # Offset and prime of FNV-1a, then a multiplier of MurmurHash3. The last shift keeps the result
    # positive as an int64, since a negative slot is a free one.
    code = np.uint64(0xCBF29CE484222325)
    for at in range(begin, end):
        code = (code ^ np.uint64(texts[at])) * np.uint64(0x100000001B3)
    code = (code ^ (code >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    return np.int64((code ^ (code >> np.uint64(33))) >> np.uint64(1))


@jit_kernel
def _fill_slots(texts: np.ndarray, ends: np.ndarray, slots: np.ndarray) -> None:
    mask = len(slots) - 1
    for place in range(len(ends) - 1):
        code = _hash_bytes(texts, ends[place], ends[place + 1])
        at = code & mask
        while slots[at] >= 0:
            at = (at + 1) & mask
        # Half a hash next to the position spares most comparisons of bytes.
        slots[at] = (code >> 32 << 32) | place


@jit_kernel
def _find_positions(
    texts: np.ndarray,
    ends: np.ndarray,
    known: np.ndarray,
    known_ends: np.ndarray,
    slots: np.ndarray,
    positions: np.ndarray,
) -> int:
    """Write the position of each text.

    The number returned has no meaning, but without it the compiler would drop the loop that
    touches the known texts early, which is there to bring them into the cache.
    """
    mask, last, touched = len(slots) - 1, len(known) - 1, 0
    codes, hits, starts = (
        np.empty(LOOKUP_BLOCK_SIZE, np.int64),
        np.empty(LOOKUP_BLOCK_SIZE, np.int64),
        np.empty(LOOKUP_BLOCK_SIZE, np.int64),
    )
    for first in range(0, len(positions), LOOKUP_BLOCK_SIZE):
        size = min(LOOKUP_BLOCK_SIZE, len(positions) - first)
        # A loop for each step: within one, no lookup waits for the memory of another.
        for k in range(size):
            codes[k] = _hash_bytes(texts, ends[first + k], ends[first + k + 1])
        for k in range(size):
            hits[k] = slots[codes[k] & mask]
        for k in range(size):
            starts[k] = known_ends[hits[k] & 0x7FFFFFFF] if hits[k] >= 0 else 0
        for k in range(size if last >= 0 else 0):
            touched += known[min(starts[k], last)]
        for k in range(size):
            begin, end, at = ends[first + k], ends[first + k + 1], codes[k] & mask
            hit, start = hits[k], starts[k]
            while hit >= 0:
                place = hit & 0x7FFFFFFF
                if hit >> 32 == codes[k] >> 32 and _equal_bytes(
                    texts, begin, end, known, start, known_ends[place + 1]
                ):
                    break
                at = (at + 1) & mask
                hit = slots[at]
                start = known_ends[hit & 0x7FFFFFFF] if hit >= 0 else 0
            positions[first + k] = hit & 0x7FFFFFFF if hit >= 0 else -1
    return touched


@jit_kernel
def _equal_bytes(
    a: np.ndarray, begin: int, end: int, b: np.ndarray, other: int, other_end: int
) -> bool:
    if end - begin != other_end - other:
        return False
    at = 0
    while at < end - begin and a[begin + at] == b[other + at]:
        at += 1
    return at == end - begin
