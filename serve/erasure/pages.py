"""Erasure of an entity from the pages that are kept."""

from __future__ import annotations

from pathlib import Path

from serve.page.blocks import read_page_texts
from serve.store.entity_matcher import MIN_WORD_LENGTH, EntityMatcher

PAGE_SUFFIXES = (".html", ".htm")


def page_names_entity(path: Path, matcher: EntityMatcher) -> bool:
    """Return whether a page holds the id, in its HTML or in the blocks of its data.

    A short id is not searched for: it may be any grade or number.
    """
    return len(matcher.entity_id) >= MIN_WORD_LENGTH and any(
        matcher.matches_any(texts) or matcher.text_pattern.search("\n".join(texts))
        for texts in read_page_texts(path.read_bytes())
    )


def erase_page(path: Path, matcher: EntityMatcher, shows_ids: bool) -> int:
    """Remove a page that names an entity, or may; return the number of pages removed.

    The next report writes it again. Drafts of a killed run are removed, too.
    """
    for draft in path.parent.glob(f".{path.name}.*"):
        draft.unlink()
    # A page without ids, or a short id: nothing shows whether the page names the entity.
    is_unknown = not shows_ids or len(matcher.entity_id) < MIN_WORD_LENGTH
    if not path.is_file() or not (is_unknown or page_names_entity(path, matcher)):
        return 0
    path.unlink()
    return 1
