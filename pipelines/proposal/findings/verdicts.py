"""Texts that say whether a lead was won or lost."""

from __future__ import annotations

from pipelines.proposal.reading.words import (
    NO_RANK,
    find_phrase,
    load_phrases,
    rank_words,
    split_words,
)


def rank_won(text: str) -> int:
    """Return the place of a text among the words for a won lead; NO_RANK if it is none."""
    words = split_words(text)
    if is_lost(text):
        return NO_RANK
    return rank_words(words, "values.won")


def is_lost(text: str) -> bool:
    """Return whether a text says that a lead was lost."""
    words = split_words(text)
    if rank_words(words, "values.lost") < NO_RANK:
        return True
    # “not won”, “не успешно”: a negation right before a word of the outcome.
    places = [find_phrase(words, phrase) for phrase in load_phrases("values.won")]
    return any(
        place > 0 and rank_words(words[place - 1 : place], "values.negation") < NO_RANK
        for place in places
    )


def decides_lead(text: str) -> bool:
    """Return whether a text says that a lead was won or lost."""
    return is_lost(text) or rank_won(text) < NO_RANK
