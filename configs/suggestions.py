"""Spelling suggestions for error messages: the known name that is closest to a mistyped one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

# difflib's default: in a name of eight letters up to three may differ.
MIN_SIMILARITY = 0.6


def nearest_name(
    value: str, known: Iterable[str], *, min_similarity: float = MIN_SIMILARITY
) -> str | None:
    """Return the known name most similar to a value, or None if none is similar enough.

    Similarity is ``difflib.SequenceMatcher.ratio``, from 0 to 1. Of equally similar names the last
    in alphabetical order is returned, so the order of ``known`` does not matter.
    """
    matches = difflib.get_close_matches(value, list(known), 1, min_similarity)
    return matches[0] if matches else None


def did_you_mean(
    value: str, known: Iterable[str], *, min_similarity: float = MIN_SIMILARITY
) -> str:
    """Return “did you mean X?” for the known name closest to a value, or "" if none is close."""
    name = nearest_name(value, known, min_similarity=min_similarity)
    return f"did you mean {name}?" if name else ""
