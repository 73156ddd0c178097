"""Words in written dates: months and weekdays in English and Russian, and a few others."""

from __future__ import annotations

import numpy as np

# What a word stands for: a month from 1 to 12, or one of these.
WEEKDAY, JOINER, ORDINAL, YEAR_SIGN, GREENWICH = 13, 14, 15, 16, 17

_MONTHS = (
    "jan january янв январь января",
    "feb february фев февр февраль февраля",
    "mar march мар март марта",
    "apr april апр апрель апреля",
    "may май мая",
    "jun june июн июнь июня",
    "jul july июл июль июля",
    "aug august авг август августа",
    "sep sept september сен сент сентябрь сентября",
    "oct october окт октябрь октября",
    "nov november ноя нояб ноябрь ноября",
    "dec december дек декабрь декабря",
)
_OTHERS = {
    WEEKDAY: "mon monday tue tues tuesday wed wednesday thu thur thurs thursday fri friday sat "
    "saturday sun sunday пн вт ср чт пт сб вс понедельник вторник среда четверг пятница суббота "
    "воскресенье",
    JOINER: "at в",
    ORDINAL: "st nd rd th",
    YEAR_SIGN: "г",
    GREENWICH: "utc gmt",
}


def _build_tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the characters of each word, padded with 0, its length and what it stands for."""
    words = {word: i + 1 for i, names in enumerate(_MONTHS) for word in names.split()}
    words |= {word: code for code, names in _OTHERS.items() for word in names.split()}
    letters = np.zeros((len(words), max(map(len, words))), np.int32)
    for row, word in zip(letters, words, strict=True):
        row[: len(word)] = [ord(letter) for letter in word]
    return letters, np.array([*map(len, words)], np.int64), np.array([*words.values()], np.int64)


WORD_LETTERS, WORD_LENGTHS, WORD_MEANINGS = _build_tables()
MAX_WORD_LETTERS = WORD_LETTERS.shape[1]
