"""Parts of written times: blanks, numbers and words, at a place of a text."""

from __future__ import annotations

import numpy as np

from features.times.date_words import WORD_LENGTHS, WORD_LETTERS, WORD_MEANINGS
from features.tools.jit import jit_kernel

# Codes of ASCII characters.
ZERO, NINE, COLON, DOT, COMMA, SPACE, TAB = 48, 57, 58, 46, 44, 32, 9
PLUS, MINUS, SLASH, OPEN, CLOSE = 43, 45, 47, 40, 41
A, M, P, T, Z = 97, 109, 112, 116, 122
# A bit that turns an ASCII letter into a small one.
SMALL = 32


@jit_kernel
def skip_blanks(texts: np.ndarray, at: int, end: int) -> np.int64:
    """Return the place after blanks, among them the no-break, narrow no-break and thin space."""
    while at < end:
        byte = texts[at]
        if byte in (SPACE, TAB):
            at += 1
        elif byte == 0xC2 and at + 1 < end and texts[at + 1] == 0xA0:
            at += 2
        elif (
            byte == 0xE2
            and at + 2 < end
            and texts[at + 1] == 0x80
            and (texts[at + 2] == 0xAF or texts[at + 2] == 0x89)
        ):
            at += 3
        else:
            break
    return np.int64(at)


@jit_kernel
def read_number(texts: np.ndarray, at: int, end: int, longest: int) -> tuple[np.int64, np.int64]:
    """Return the end of a run of at most ``longest`` digits, and the number that they make."""
    number = np.int64(0)
    stop = min(end, at + longest)
    while at < stop and ZERO <= texts[at] <= NINE:
        number = 10 * number + np.int64(texts[at]) - ZERO
        at += 1
    return np.int64(at), number


@jit_kernel
def read_word(
    texts: np.ndarray, at: int, end: int, letters: np.ndarray
) -> tuple[np.int64, np.int64]:
    """Return the end of a run of Latin or Russian letters and its meaning, 0 if unknown."""
    size = 0
    while at < end:
        code, width = np.int32(texts[at]), 1
        if (code == 0xD0 or code == 0xD1) and at + 1 < end:
            code, width = np.int32(((code & 0x1F) << 6) | (np.int32(texts[at + 1]) & 0x3F)), 2
            # Capital letters from А to Я.
            code = np.int32(code + 32) if 0x410 <= code <= 0x42F else code
        elif 65 <= code <= 90:
            code = np.int32(code + SMALL)
        elif not 97 <= code <= 122:
            break
        if size < len(letters):
            letters[size] = code
        size += 1
        at += width
    for word in range(len(WORD_LENGTHS)):
        if WORD_LENGTHS[word] == size and WORD_LETTERS[word, 0] == letters[0]:
            same = True
            for place in range(1, size):
                same = same and WORD_LETTERS[word, place] == letters[place]
            if same:
                return np.int64(at), WORD_MEANINGS[word]
    return np.int64(at), np.int64(0)
