"""128-bit hashes of rows, from the values alone.

A hash does not depend on a row's position, its piece, or the storage of its texts.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from features.tools.id_index import get_text_buffers
from features.tools.jit import jit_kernel

# The multipliers of 128-bit MurmurHash3.
FIRST, SECOND = 0x87C37B91114253D5, 0x4CF5AD432745937F


def hash_rows(words: list[np.ndarray]) -> np.ndarray:
    """Return the hash of each row's words, uint64 (rows, 2).

    A word is uint64 (rows,), or (rows, 2) for a hash of text. Each word in turn passes the step and
    the finalizer of 128-bit MurmurHash3 (Appleby 2011).
    """
    hashes = np.zeros((len(words[0]), 2), np.uint64)
    for place, word in enumerate(words):
        _absorb_words(hashes, word if word.ndim == 2 else word[:, None], place + 1)
    return hashes


def hash_texts(column: pa.ChunkedArray) -> np.ndarray:
    """Return the hash of each text's bytes, uint64 (rows, 2); zeros for null."""
    hashes = [_hash_chunk(chunk) for chunk in column.chunks]
    return hashes[0] if len(hashes) == 1 else np.concatenate([np.empty((0, 2), np.uint64), *hashes])


def _hash_chunk(chunk: pa.Array) -> np.ndarray:
    if pa.types.is_dictionary(chunk.type):
        level_hashes = np.append(_hash_chunk(chunk.dictionary), np.zeros((1, 2), np.uint64), axis=0)
        return level_hashes.take(chunk.indices.fill_null(len(level_hashes) - 1).to_numpy(), axis=0)
    hashes = np.zeros((len(chunk), 2), np.uint64)
    _hash_bytes(*get_text_buffers(chunk), hashes)
    if chunk.null_count:
        hashes[chunk.is_null().to_numpy(zero_copy_only=False)] = 0
    return hashes


@jit_kernel
def _rotate_left(word: np.uint64, bits: int) -> np.uint64:
    return (word << np.uint64(bits)) | (word >> np.uint64(64 - bits))


@jit_kernel
def _absorb_block(
    high: np.uint64, low: np.uint64, first_word: np.uint64, second_word: np.uint64
) -> tuple[np.uint64, np.uint64]:
    """Absorb two words into the hash."""
    high ^= _rotate_left(first_word * np.uint64(FIRST), 31) * np.uint64(SECOND)
    high = (_rotate_left(high, 27) + low) * np.uint64(5) + np.uint64(0x52DCE729)
    low ^= _rotate_left(second_word * np.uint64(SECOND), 33) * np.uint64(FIRST)
    low = (_rotate_left(low, 31) + high) * np.uint64(5) + np.uint64(0x38495AB5)
    return high, low


@jit_kernel
def _mix_word(word: np.uint64) -> np.uint64:
    word = (word ^ (word >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    word = (word ^ (word >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return word ^ (word >> np.uint64(33))


@jit_kernel
def _finalize_hash(high: np.uint64, low: np.uint64, length: int) -> tuple[np.uint64, np.uint64]:
    high, low = high ^ np.uint64(length), low ^ np.uint64(length)
    high += low
    low += high
    high, low = _mix_word(high), _mix_word(low)
    high += low
    return high, low + high


@jit_kernel
def _hash_bytes(texts: np.ndarray, ends: np.ndarray, hashes: np.ndarray) -> None:
    """Hash the bytes of each text in blocks of 16; the last block is padded with zeros."""
    for row in range(len(hashes)):
        high, low = np.uint64(0), np.uint64(0)
        begin, end = ends[row], ends[row + 1]
        for at in range(begin, end, 16):
            high, low = _absorb_block(
                high, low, _load_word(texts, at, end), _load_word(texts, at + 8, end)
            )
        # The length distinguishes a text from one with zeros behind it; plus 1, since an empty text
        # of length 0 would hash to the zeros of null.
        hashes[row, 0], hashes[row, 1] = _finalize_hash(high, low, end - begin + 1)


@jit_kernel
def _load_word(texts: np.ndarray, at: int, end: int) -> np.uint64:
    word, shift = np.uint64(0), np.uint64(0)
    for index in range(at, min(at + 8, end)):
        word |= np.uint64(texts[index]) << shift
        shift += np.uint64(8)
    return word


@jit_kernel
def _absorb_words(hashes: np.ndarray, words: np.ndarray, number: int) -> None:
    """Absorb the next word of all rows into their hashes; ``number`` counts the words from 1."""
    last = words.shape[1] - 1
    for row in range(len(hashes)):
        high, low = _absorb_block(hashes[row, 0], hashes[row, 1], words[row, 0], words[row, last])
        hashes[row, 0], hashes[row, 1] = _finalize_hash(high, low, number)
