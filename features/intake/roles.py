"""Roles of people from their titles, by words of the config; the titles go no further."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from configs.buying_group import OTHER_ROLE, split_title_words
from configs.schema import Project
from configs.source_rows import LeadRows
from features.intake.formats.texts import to_text
from features.intake.reading import RawRows
from features.intake.values import read_clean_column
from features.tools.distinct_texts import DistinctTexts


def read_roles(project: Project, raw: RawRows, source: LeadRows) -> pa.Array:
    """Return the role of each row's title as text; null for a row without a title."""
    column = read_clean_column(raw, project.accounts.title or "", source)
    titles = DistinctTexts.from_column(to_text(column))
    roles = [find_role(title or "", project.accounts.roles) for title in titles.texts.to_pylist()]
    return pa.array(roles, pa.string()).take(titles.indices)


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
