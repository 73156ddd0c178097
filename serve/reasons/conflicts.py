"""Rules that decide whether two reasons of one lead repeat or contradict each other.

Each reason states a fact: its subject (whose events, of which kind), a number, and whether
something happened or did not. Two reasons clash if

1. they belong to one group: a group is shown once;
2. they state the same number of the same measure (a count, a time) for subjects that may share
   events: “last event 2 days ago” and “last page view 2 days ago”;
3. both state that nothing happened and one follows from the other: “no activity for 41 days”, or
   “last event 41 days ago”, and “no events in the last 7 days”;
4. one is for and one against, both state a lack, and the subject of one contains that of the
   other: the same silence cannot be both good and bad.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from features.definitions.feature import CHANNEL_PREFIX, GROUP_PREFIX, TYPE_PREFIX
from features.definitions.semantics import Meaning

# Only numbers of one measure can repeat each other: how often, and how long ago.
COUNT_MEASURE, DAYS_MEASURE = 1, 2
MEASURE_OF_UNIT = {"count": COUNT_MEASURE, "change": 0, "days": DAYS_MEASURE}
# Infinite, so that “no events so far” implies every absence within a window.
UNLIMITED = np.inf


@dataclass(frozen=True)
class FeatureFacts:
    """Subject, measure and lookback of each feature, one element per feature.

    Attributes:
        group: Number of the feature's group.
        measure: COUNT_MEASURE, DAYS_MEASURE, or 0 for any other.
        subject: Number of the feature's subject, an index into the last two.
        lookback_days: Days that the feature looks back; infinite if it has no window.
        contains: ``contains[a, b]``: every event of subject b is one of subject a.
        overlaps: ``overlaps[a, b]``: an event may belong to both subjects.
    """

    group: np.ndarray
    measure: np.ndarray
    subject: np.ndarray
    lookback_days: np.ndarray
    contains: np.ndarray
    overlaps: np.ndarray

    @classmethod
    def from_meanings(cls, meanings: Sequence[Meaning]) -> Self:
        """Describe features by their meanings."""
        about = [(meaning.scope, meaning.subject) for meaning in meanings]
        subjects = list(dict.fromkeys(about))
        groups = list(dict.fromkeys(meaning.group for meaning in meanings))
        return cls(
            np.array([groups.index(meaning.group) for meaning in meanings]),
            np.array([MEASURE_OF_UNIT.get(meaning.unit, 0) for meaning in meanings]),
            np.array([subjects.index(subject) for subject in about]),
            np.array([_find_lookback_days(meaning) for meaning in meanings]),
            np.array([[_contains_subject(a, b) for b in subjects] for a in subjects]),
            np.array([[_overlaps_subject(a, b) for b in subjects] for a in subjects]),
        )


@dataclass(frozen=True)
class Statement:
    """Statements of candidate reasons: arrays of one shape, (leads, places) or (leads,).

    Attributes:
        feature: Column of the feature.
        side: 1 for the score, -1 against it.
        number: Number as written in the sentence; NaN if it has none.
        is_lack: Whether it states little or nothing.
        is_absence: Whether it states that nothing happened in the last ``lookback_days``; the time
            of the last event states that too.
        lookback_days: Length of that time in days.
    """

    feature: np.ndarray
    side: np.ndarray
    number: np.ndarray
    is_lack: np.ndarray
    is_absence: np.ndarray
    lookback_days: np.ndarray

    def select_place(self, place: int) -> Statement:
        """Return the statements at one place, one per lead."""
        return Statement(*(part[:, place] for part in vars(self).values()))

    def reorder_places(self, order: np.ndarray) -> Statement:
        """Return the statements with each lead's places in ``order``, shape (leads, places)."""
        return Statement(*(np.take_along_axis(part, order, axis=1) for part in vars(self).values()))

    def select_rows(self, rows: np.ndarray) -> Statement:
        """Return the statements of some leads; ``self`` must hold one place."""
        return Statement(*(part[rows] for part in vars(self).values()))


def find_clashes(facts: FeatureFacts, a: Statement, b: Statement) -> np.ndarray:
    """Return for each lead whether its two statements clash, by the rules of this module."""
    a_subject, b_subject = facts.subject[a.feature], facts.subject[b.feature]
    same_group = facts.group[a.feature] == facts.group[b.feature]
    measured = (facts.measure[a.feature] == facts.measure[b.feature]) & (
        facts.measure[a.feature] > 0
    )
    same = measured & (a.number == b.number) & facts.overlaps[a_subject, b_subject]
    over = facts.contains[a_subject, b_subject]
    under = facts.contains[b_subject, a_subject]
    # Nothing in a longer time for a wider subject implies nothing in a shorter, narrower one.
    follows = (over & (b.lookback_days <= a.lookback_days)) | (
        under & (a.lookback_days <= b.lookback_days)
    )
    lacking = (a.side != b.side) & a.is_lack & b.is_lack & (over | under)
    return same_group | same | (a.is_absence & b.is_absence & follows) | lacking


def _find_lookback_days(meaning: Meaning) -> float:
    """Return the window of a feature in days; infinite without one."""
    return meaning.span.total_seconds() / 86_400 if meaning.span else UNLIMITED


def _contains_subject(a: tuple[str, str], b: tuple[str, str]) -> bool:
    """Return whether every event of subject ``b`` (scope, kind) is one of subject ``a``."""
    if "lead" in (a[0], b[0]):
        return a == b
    return _contains_scope(a[0], b[0]) and a[1] in ("any", b[1])


def _overlaps_subject(a: tuple[str, str], b: tuple[str, str]) -> bool:
    """Return whether an event may belong to both: an event has one type and one channel."""
    if "lead" in (a[0], b[0]):
        return a == b
    # Two types, or two channels, share no event; a type and a channel, or two groups, may.
    shared_kind = next(
        (
            kind
            for kind in (TYPE_PREFIX, CHANNEL_PREFIX, GROUP_PREFIX)
            if a[1].startswith(kind) and b[1].startswith(kind)
        ),
        None,
    )
    scopes = _contains_scope(a[0], b[0]) or _contains_scope(b[0], a[0])
    return scopes and (shared_kind in (None, GROUP_PREFIX) or a[1] == b[1])


def _contains_scope(a: str, b: str) -> bool:
    """Return whether scope ``a`` contains ``b``: an account contains its entities and others."""
    return a in (b, "account")
