"""Roles of people from their titles, by words of the config; the titles go no further."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from configs.accounts.buying_group import OTHER_ROLE, split_title_words
from features.tools.distinct_texts import DistinctTexts


def map_titles(titles: pa.ChunkedArray, roles: Mapping[str, Sequence[str]]) -> pa.Array:
    """Return the role of each title as text; null for a missing title or one without a word."""
    distinct = DistinctTexts.from_column(titles)
    matched = [find_role(title or "", roles) for title in distinct.texts.to_pylist()]
    return pa.array(matched, pa.string()).take(distinct.indices)


def find_role(title: str, roles: Mapping[str, Sequence[str]]) -> str | None:
    """Return the first role of which an entry's words follow each other in a title.

    Words are compared as a whole and without regard to case. A title with no such words has
    OTHER_ROLE, one without any word no role (None).
    """
    words = split_title_words(title)
    if not words:
        return None
    # Blanks around both, so that only whole words are found.
    text = f" {' '.join(words)} "
    for role, entries in roles.items():
        if any(f" {' '.join(split_title_words(entry))} " in text for entry in entries):
            return role
    return OTHER_ROLE
