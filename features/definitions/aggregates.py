"""The declared features that aggregate a subject's events: of the entity, of its account, of the others there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from configs.durations import format_duration
from features.definitions.feature import AGGREGATES, CHANNEL_PREFIX, GROUP_PREFIX, TYPE_PREFIX, Feature, Scope
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
UNWINDOWED_AGGREGATES = ("mean", "least", "most", "active_days", "kinds", "ways")
"""Computed over each window for “any”, and for every other subject over all of history only."""


def declare_entity_features(offer: Vocabulary) -> Iterator[Feature]:
    """Yield what is computed of each subject of the entity's own history."""
    for subject in offer.subjects:
        yield from _declare_subject_features(offer, subject, "entity", EVENT_AGGREGATES)
        if offer.channels and not subject.startswith(CHANNEL_PREFIX):
            yield from _declare_subject_features(offer, subject, "entity", ("ways",))
        if not subject.startswith(TYPE_PREFIX):
            yield from _declare_subject_features(offer, subject, "entity", ("kinds",))
        if subject.startswith(GROUP_PREFIX):
            yield from _declare_subject_features(offer, subject, "entity", ("share",))
        if _carries_amounts(offer, subject):
            yield from _declare_subject_features(offer, subject, "entity", AMOUNT_AGGREGATES)


def declare_account_features(offer: Vocabulary) -> Iterator[Feature]:
    """Yield the same over all entities of the account: in full for any event, in short for each type."""
    breadth = ("kinds", *(("ways",) if offer.channels else ()), "people", "new_people")
    yield from _declare_subject_features(
        offer, "any", "account", (*EVENT_AGGREGATES, *breadth, *(("roles",) if offer.role else ()))
    )
    for subject in offer.subjects:
        if subject.startswith(TYPE_PREFIX):
            yield from _declare_subject_features(offer, subject, "account", ("count", "age", "decay"))
        if _carries_amounts(offer, subject) and not subject.startswith((CHANNEL_PREFIX, GROUP_PREFIX)):
            yield from _declare_subject_features(offer, subject, "account", ("total",))


def declare_peer_features(offer: Vocabulary) -> Iterator[Feature]:
    """Yield what the account did without the entity itself."""
    yield from _declare_subject_features(offer, "any", "others", ("count", "age", "people"))
    for subject in offer.subjects:
        if subject.startswith(TYPE_PREFIX):
            yield from _declare_subject_features(offer, subject, "others", ("count", "age"))


def _carries_amounts(offer: Vocabulary, subject: str) -> bool:
    return bool(offer.valued) and (
        not subject.startswith(TYPE_PREFIX) or subject.removeprefix(TYPE_PREFIX) in offer.valued
    )


def _declare_subject_features(
    offer: Vocabulary, subject: str, scope: Scope, aggregates: Iterable[str]
) -> Iterator[Feature]:
    for aggregate in aggregates:
        for span in _list_lengths(offer, aggregate, subject):
            yield _make_feature(offer, aggregate, subject, scope, span)


def _list_lengths(offer: Vocabulary, aggregate: str, subject: str) -> tuple[timedelta | None, ...]:
    if aggregate in UNWINDOWED_AGGREGATES and subject != "any":
        return (None,)
    per = {
        "span": offer.spans,
        "window": offer.windows,
        "half_life": offer.half_lives,
        "once": (None,),
    }
    return per[AGGREGATES[aggregate].per]


def _make_feature(
    offer: Vocabulary, aggregate: str, subject: str, scope: Scope, span: timedelta | None
) -> Feature:
    kind = AGGREGATES[aggregate]
    label = "" if kind.per == "once" else f"_{format_duration(span) if span else 'all'}"
    prefix = "" if scope == "entity" else f"{scope}_"
    return Feature(
        f"{prefix}{offer.slugs[subject]}_{kind.label}{label}",
        aggregate,
        make_meaning(aggregate, kind.unit, scope, subject, span),
        kind.family if scope == "entity" else "account",
        scope,
        subject,
        span,
    )
