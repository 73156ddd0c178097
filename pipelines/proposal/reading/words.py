"""The lists of words by which columns, values and files are recognised."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

WORDS_FILE = Path(__file__).with_name("words.yaml")
# Between a small and a capital letter, and before the last of several capitals: HTTPCode.
CAMEL_CASE = re.compile(
    r"(?<=[^\W\d_A-ZА-ЯÄÖÜ])(?=[A-ZА-ЯÄÖÜ])|(?<=[A-ZА-ЯÄÖÜ])(?=[A-ZА-ЯÄÖÜ][^\W\d_A-ZА-ЯÄÖÜ])"
)
SEPARATORS = re.compile(r"[\W_]+")
NO_RANK = 10_000


@cache
def split_words(name: str) -> tuple[str, ...]:
    """Return the words of a name in lower case without accents: ``wonDate`` → won, date."""
    spaced = CAMEL_CASE.sub(" ", name)
    parts = unicodedata.normalize("NFKD", spaced.replace("ß", "ss"))
    # й and ё are letters of their own: only the marks of Latin letters are dropped.
    latin = "".join(c for c in parts if not unicodedata.combining(c) or c in "\u0306\u0308")
    folded = unicodedata.normalize("NFC", latin).lower()
    folded = folded.translate(str.maketrans("äöüё", "aouе"))
    return tuple(word for word in SEPARATORS.split(folded) if word)


@cache
def rank_words(words: tuple[str, ...], path: str) -> int:
    """Return the place of the first phrase of a list that matches; NO_RANK for none.

    ``path`` is the list, such as ``columns.id``.
    """
    for place, phrase in enumerate(load_phrases(path)):
        if find_phrase(words, phrase) >= 0:
            return place
    return NO_RANK


def matches_words(name: str, path: str) -> bool:
    """Return whether a phrase of a list occurs in a name."""
    return rank_words(split_words(name), path) < NO_RANK


def equals_phrase(text: str, path: str) -> bool:
    """Return whether a text is one of the phrases of a list."""
    words = split_words(text)
    return any(
        len(phrase) == len(words) and find_phrase(words, phrase) == 0
        for phrase in load_phrases(path)
    )


def find_phrase(words: Sequence[str], phrase: Sequence[str]) -> int:
    """Return where a phrase begins among words, -1 if it does not occur."""
    for begin in range(len(words) - len(phrase) + 1):
        if all(
            word.startswith(part[:-1]) if part.endswith("*") else word == part
            for word, part in zip(words[begin:], phrase, strict=False)
        ):
            return begin
    return -1


def count_nouns(number: int, noun: str) -> str:
    """Return a number with its noun: 1 row, 2,000 rows."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


@cache
def load_phrases(path: str) -> tuple[tuple[str, ...], ...]:
    """Return the phrases of a list, each as its words."""
    return tuple(
        tuple(
            f"{word}*" if starred else word
            for piece in str(text).split()
            for starred in (piece.endswith("*"),)
            for word in split_words(piece)
        )
        for text in load_texts(path)
    )


@cache
def load_texts(path: str) -> tuple[str, ...]:
    """Return the phrases of a list as they are written."""
    value: Any = _load_lists()
    for key in path.split("."):
        value = value[key]
    return tuple(map(str, value))


@cache
def _load_lists() -> dict[str, Any]:
    # The base loader keeps all words as texts: to the safe one, `no` is false.
    lists: dict[str, Any] = yaml.load(WORDS_FILE.read_text(encoding="utf-8"), yaml.BaseLoader)
    return lists
