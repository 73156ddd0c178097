"""A 128-bit hash of each row, from the values alone: not from its place, its piece, or how its texts are stored."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from features.tools.id_index import text_bytes
from features.tools.jit import kernel

FIRST, SECOND = 0x87C37B91114253D5, 0x4CF5AD432745937F
"""The multipliers of MurmurHash3."""


def row_hashes(words: list[np.ndarray]) -> np.ndarray:
    """Return (rows, 2) uint64, the hash of each row's words, all uint64: (rows,), or (rows, 2) for a text's own hash.

    Each word in its turn goes through the step and the finish of the 128-bit MurmurHash3 (Appleby 2011).
    """
    found = np.zeros((len(words[0]), 2), np.uint64)
    for place, word in enumerate(words):
        _absorb_words(found, word if word.ndim == 2 else word[:, None], place + 1)
    return found


def text_hashes(column: pa.ChunkedArray) -> np.ndarray:
    """Return (rows, 2) uint64, the hash of each text's bytes; both 0 for null, and for no text."""
    found = [_hash_chunk(chunk) for chunk in column.chunks]
    return found[0] if len(found) == 1 else np.concatenate([np.empty((0, 2), np.uint64), *found])


def _hash_chunk(chunk: pa.Array) -> np.ndarray:
    if pa.types.is_dictionary(chunk.type):
        known = np.append(_hash_chunk(chunk.dictionary), np.zeros((1, 2), np.uint64), axis=0)
        return known.take(chunk.indices.fill_null(len(known) - 1).to_numpy(), axis=0)
    found = np.zeros((len(chunk), 2), np.uint64)
    _hash_bytes(*text_bytes(chunk), found)
    if chunk.null_count:
        found[chunk.is_null().to_numpy(zero_copy_only=False)] = 0
    return found


@kernel
def _rotate_left(word: np.uint64, bits: int) -> np.uint64:
    return (word << np.uint64(bits)) | (word >> np.uint64(64 - bits))


@kernel
def _absorb_block(
    high: np.uint64, low: np.uint64, one: np.uint64, two: np.uint64
) -> tuple[np.uint64, np.uint64]:
    """Take two words into the hash."""
    high ^= _rotate_left(one * np.uint64(FIRST), 31) * np.uint64(SECOND)
    high = (_rotate_left(high, 27) + low) * np.uint64(5) + np.uint64(0x52DCE729)
    low ^= _rotate_left(two * np.uint64(SECOND), 33) * np.uint64(FIRST)
    low = (_rotate_left(low, 31) + high) * np.uint64(5) + np.uint64(0x38495AB5)
    return high, low


@kernel
def _mix_word(word: np.uint64) -> np.uint64:
    word = (word ^ (word >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    word = (word ^ (word >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return word ^ (word >> np.uint64(33))


@kernel
def _finalize_hash(high: np.uint64, low: np.uint64, length: int) -> tuple[np.uint64, np.uint64]:
    high, low = high ^ np.uint64(length), low ^ np.uint64(length)
    high += low
    low += high
    high, low = _mix_word(high), _mix_word(low)
    high += low
    return high, low + high


@kernel
def _hash_bytes(texts: np.ndarray, ends: np.ndarray, found: np.ndarray) -> None:
    """Hash the bytes of each text, sixteen at a time; what the last sixteen lack is 0."""
    for row in range(len(found)):
        high, low = np.uint64(0), np.uint64(0)
        begin, end = ends[row], ends[row + 1]
        for at in range(begin, end, 16):
            high, low = _absorb_block(high, low, _load_word(texts, at, end), _load_word(texts, at + 8, end))
        found[row, 0], found[row, 1] = _finalize_hash(high, low, end - begin + 1)


@kernel
def _load_word(texts: np.ndarray, at: int, end: int) -> np.uint64:
    found, shift = np.uint64(0), np.uint64(0)
    for place in range(at, min(at + 8, end)):
        found |= np.uint64(texts[place]) << shift
        shift += np.uint64(8)
    return found


@kernel
def _absorb_words(found: np.ndarray, words: np.ndarray, place: int) -> None:
    """Take the next words of all rows into their hashes; ``place`` counts them from 1."""
    last = words.shape[1] - 1
    for row in range(len(found)):
        high, low = _absorb_block(found[row, 0], found[row, 1], words[row, 0], words[row, last])
        found[row, 0], found[row, 1] = _finalize_hash(high, low, place)
