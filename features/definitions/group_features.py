"""Declarations of the features of an account's buying group, by the roles of its people."""

from __future__ import annotations

from collections.abc import Iterator

from configs.durations import format_duration
from features.definitions.feature import Feature
from features.definitions.semantics import Meaning, Unit
from features.definitions.vocabulary import Vocabulary, make_slug

# A subject of the wording, as TYPE_PREFIX is; events have no such subject.
ROLE_PREFIX = "role:"


def declare_group_features(vocabulary: Vocabulary) -> Iterator[Feature]:
    """Yield the features of the roles that titles are mapped to, and of who does most."""
    if not vocabulary.role_features:
        return
    for index, role in enumerate(vocabulary.roles):
        yield from _declare_role_features(vocabulary, role, index)
    units: tuple[tuple[str, Unit], ...] = (("engaged_people", "count"), ("top_share", "share"))
    for aggregate, unit in units:
        for span in vocabulary.spans:
            name = f"account_{aggregate}_{format_duration(span) if span else 'all'}"
            meaning = Meaning("account.people", aggregate, unit, "account", span=span)
            yield Feature(name, aggregate, meaning, "account", "account", span=span)


def _declare_role_features(vocabulary: Vocabulary, role: str, index: int) -> Iterator[Feature]:
    subject, prefix = ROLE_PREFIX + role, f"account_role_{make_slug(role)}"
    group = f"account.{subject}"
    meaning = Meaning(group, "role_known", "count", "account", subject, name=role)
    yield Feature(
        f"{prefix}_known", "role_known", meaning, "account", "account", subject, index=index
    )
    for span in vocabulary.spans:
        name = f"{prefix}_people_{format_duration(span) if span else 'all'}"
        meaning = Meaning(group, "role_people", "count", "account", subject, span, role)
        yield Feature(name, "role_people", meaning, "account", "account", subject, span, index)
