"""Declarations of the features that aggregate events of the entity, its account and its peers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from configs.durations import format_duration
from features.definitions.feature import (
    AGGREGATES,
    CHANNEL_PREFIX,
    GROUP_PREFIX,
    TYPE_PREFIX,
    Feature,
    Scope,
)
from features.definitions.semantics import make_meaning
from features.definitions.vocabulary import Vocabulary

EVENT_AGGREGATES = (
    "count",
    "trend",
    "age",
    "first",
    "decay",
    "gap_mean",
    "gap_std",
    "gap_max",
    "silence",
    "active_days",
)
AMOUNT_AGGREGATES = ("total", "mean", "least", "most", "decay_total")
# Computed over each window for "any", but over all of history only for every other subject.
UNWINDOWED_AGGREGATES = ("mean", "least", "most", "active_days", "kinds", "ways")


def declare_entity_features(vocabulary: Vocabulary) -> Iterator[Feature]:
    """Yield the features of each subject of the entity's own history."""
    for subject in vocabulary.subjects:
        yield from _declare_subject_features(vocabulary, subject, "entity", EVENT_AGGREGATES)
        # A channel's events have one channel and a type's events one type: their count is always 1.
        if vocabulary.channels and not subject.startswith(CHANNEL_PREFIX):
            yield from _declare_subject_features(vocabulary, subject, "entity", ("ways",))
        if not subject.startswith(TYPE_PREFIX):
            yield from _declare_subject_features(vocabulary, subject, "entity", ("kinds",))
        if subject.startswith(GROUP_PREFIX):
            yield from _declare_subject_features(vocabulary, subject, "entity", ("share",))
        if _carries_amounts(vocabulary, subject):
            yield from _declare_subject_features(vocabulary, subject, "entity", AMOUNT_AGGREGATES)


def declare_account_features(vocabulary: Vocabulary) -> Iterator[Feature]:
    """Yield the features of the account: all aggregates of any event, a few of each type."""
    breadth = ("kinds", *(("ways",) if vocabulary.channels else ()), "people", "new_people")
    yield from _declare_subject_features(
        vocabulary,
        "any",
        "account",
        (*EVENT_AGGREGATES, *breadth, *(("roles",) if vocabulary.role else ())),
    )
    for subject in vocabulary.subjects:
        if subject.startswith(TYPE_PREFIX):
            yield from _declare_subject_features(
                vocabulary, subject, "account", ("count", "age", "decay")
            )
        if _carries_amounts(vocabulary, subject) and not subject.startswith(
            (CHANNEL_PREFIX, GROUP_PREFIX)
        ):
            yield from _declare_subject_features(vocabulary, subject, "account", ("total",))


def declare_peer_features(vocabulary: Vocabulary) -> Iterator[Feature]:
    """Yield the features of the account's other entities."""
    yield from _declare_subject_features(vocabulary, "any", "others", ("count", "age", "people"))
    for subject in vocabulary.subjects:
        if subject.startswith(TYPE_PREFIX):
            yield from _declare_subject_features(vocabulary, subject, "others", ("count", "age"))


def _carries_amounts(vocabulary: Vocabulary, subject: str) -> bool:
    return bool(vocabulary.valued) and (
        not subject.startswith(TYPE_PREFIX)
        or subject.removeprefix(TYPE_PREFIX) in vocabulary.valued
    )


def _declare_subject_features(
    vocabulary: Vocabulary, subject: str, scope: Scope, aggregates: Iterable[str]
) -> Iterator[Feature]:
    for aggregate in aggregates:
        for span in _list_lengths(vocabulary, aggregate, subject):
            yield _make_feature(vocabulary, aggregate, subject, scope, span)


def _list_lengths(
    vocabulary: Vocabulary, aggregate: str, subject: str
) -> tuple[timedelta | None, ...]:
    if aggregate in UNWINDOWED_AGGREGATES and subject != "any":
        return (None,)
    per = {
        "span": vocabulary.spans,
        "window": vocabulary.windows,
        "half_life": vocabulary.half_lives,
        "once": (None,),
    }
    return per[AGGREGATES[aggregate].per]


def _make_feature(
    vocabulary: Vocabulary, aggregate: str, subject: str, scope: Scope, span: timedelta | None
) -> Feature:
    kind = AGGREGATES[aggregate]
    label = "" if kind.per == "once" else f"_{format_duration(span) if span else 'all'}"
    # A model stores the names of its features (Vocabulary.only), so they must not change.
    prefix = "" if scope == "entity" else f"{scope}_"
    return Feature(
        f"{prefix}{vocabulary.slugs[subject]}_{kind.label}{label}",
        aggregate,
        make_meaning(aggregate, kind.unit, scope, subject, span),
        # One family for all aggregates of the account: a config selects or omits it as a whole.
        kind.family if scope == "entity" else "account",
        scope,
        subject,
        span,
    )
