"""The declared features that aggregate a subject's events: of the entity, of its account, of the others there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from configs.durations import format_duration
from features.definitions.feature import AGGREGATES, CHANNEL, GROUP, TYPE, Feature, Scope
from features.definitions.semantics import meaning_of
from features.definitions.vocabulary import Offer

EACH = (
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
AMOUNTS = ("total", "mean", "least", "most", "decay_total")
ONCE_A_SUBJECT = ("mean", "least", "most", "active_days", "kinds", "ways")
"""Computed over each window for “any”, and for every other subject over all of history only."""


def of_entity(offer: Offer) -> Iterator[Feature]:
    """Yield what is computed of each subject of the entity's own history."""
    for subject in offer.subjects:
        yield from _subject(offer, subject, "entity", EACH)
        if offer.channels and not subject.startswith(CHANNEL):
            yield from _subject(offer, subject, "entity", ("ways",))
        if not subject.startswith(TYPE):
            yield from _subject(offer, subject, "entity", ("kinds",))
        if subject.startswith(GROUP):
            yield from _subject(offer, subject, "entity", ("share",))
        if _carries_amounts(offer, subject):
            yield from _subject(offer, subject, "entity", AMOUNTS)


def of_account(offer: Offer) -> Iterator[Feature]:
    """Yield the same over all entities of the account: in full for any event, in short for each type."""
    breadth = ("kinds", *(("ways",) if offer.channels else ()), "people", "new_people")
    yield from _subject(
        offer, "any", "account", (*EACH, *breadth, *(("roles",) if offer.role else ()))
    )
    for subject in offer.subjects:
        if subject.startswith(TYPE):
            yield from _subject(offer, subject, "account", ("count", "age", "decay"))
        if _carries_amounts(offer, subject) and not subject.startswith((CHANNEL, GROUP)):
            yield from _subject(offer, subject, "account", ("total",))


def of_others(offer: Offer) -> Iterator[Feature]:
    """Yield what the account did without the entity itself."""
    yield from _subject(offer, "any", "others", ("count", "age", "people"))
    for subject in offer.subjects:
        if subject.startswith(TYPE):
            yield from _subject(offer, subject, "others", ("count", "age"))


def _carries_amounts(offer: Offer, subject: str) -> bool:
    return bool(offer.valued) and (
        not subject.startswith(TYPE) or subject.removeprefix(TYPE) in offer.valued
    )


def _subject(
    offer: Offer, subject: str, scope: Scope, aggregates: Iterable[str]
) -> Iterator[Feature]:
    for aggregate in aggregates:
        for span in _lengths(offer, aggregate, subject):
            yield _feature(offer, aggregate, subject, scope, span)


def _lengths(offer: Offer, aggregate: str, subject: str) -> tuple[timedelta | None, ...]:
    if aggregate in ONCE_A_SUBJECT and subject != "any":
        return (None,)
    per = {
        "span": offer.spans,
        "window": offer.windows,
        "half_life": offer.half_lives,
        "once": (None,),
    }
    return per[AGGREGATES[aggregate].per]


def _feature(
    offer: Offer, aggregate: str, subject: str, scope: Scope, span: timedelta | None
) -> Feature:
    kind = AGGREGATES[aggregate]
    label = "" if kind.per == "once" else f"_{format_duration(span) if span else 'all'}"
    prefix = "" if scope == "entity" else f"{scope}_"
    return Feature(
        f"{prefix}{offer.slugs[subject]}_{kind.of}{label}",
        aggregate,
        meaning_of(aggregate, kind.unit, scope, subject, span),
        kind.family if scope == "entity" else "account",
        scope,
        subject,
        span,
    )
