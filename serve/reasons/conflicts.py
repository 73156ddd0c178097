"""When two reasons of one lead say the same thing or speak against each other: the rules, in one place.

Every reason states a fact: of whose events of which kind it tells (the subject), a number, and whether it tells of what
happened or of what did not. Two reasons clash

1. if they belong to one group: a group speaks once;
2. if they give the same number of the same measure (so many times, so long ago) of subjects that may share events:
   “last event 2 days ago” beside “last page view 2 days ago”;
3. if both tell of nothing and one follows from the other: “no activity for 41 days”, or “last event 41 days ago”,
   beside “no events in the last 7 days”;
4. if one stands for and one against, both tell of a lack, and the subject of one holds that of the other: silence
   cannot be good and the same silence bad.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from features.definitions.feature import CHANNEL, GROUP, TYPE
from features.definitions.semantics import Meaning

COUNT_MEASURE, DAYS_MEASURE = 1, 2
"""Measures whose numbers can be the same: how often, and how long."""
MEASURE_OF_UNIT = {"count": COUNT_MEASURE, "change": 0, "days": DAYS_MEASURE}
UNLIMITED = np.inf


@dataclass(frozen=True)
class FeatureFacts:
    """What a fact of each feature is about; one element a feature.

    ``holds[a, b]`` says that every event that b tells of is one that a tells of, ``shares[a, b]`` that some may be.
    ``lookback_days`` is the time in days that a count looks back, and NaN for what is no count.
    """

    group: np.ndarray
    measure: np.ndarray
    subject: np.ndarray
    lookback_days: np.ndarray
    contains: np.ndarray
    overlaps: np.ndarray

    @classmethod
    def from_meanings(cls, meanings: Sequence[Meaning]) -> Self:
        """Describe the features of these meanings."""
        about = [(meaning.scope, meaning.subject) for meaning in meanings]
        subjects = list(dict.fromkeys(about))
        groups = list(dict.fromkeys(meaning.group for meaning in meanings))
        return cls(
            np.array([groups.index(meaning.group) for meaning in meanings]),
            np.array([MEASURE_OF_UNIT.get(meaning.unit, 0) for meaning in meanings]),
            np.array([subjects.index(each) for each in about]),
            np.array([_find_lookback_days(meaning) for meaning in meanings]),
            np.array([[_contains_subject(a, b) for b in subjects] for a in subjects]),
            np.array([[_overlaps_subject(a, b) for b in subjects] for a in subjects]),
        )


@dataclass(frozen=True)
class Statement:
    """What candidates for a reason say: arrays of one shape, an element a lead and place.

    ``feature`` speaks, on the side ``side`` (1 or -1), of ``number`` as it is written (NaN where none); ``is_lack`` says
    that it tells of little or nothing, ``is_absence`` that there was nothing at all since ``lookback_days`` days, which a last
    time says too.
    """

    feature: np.ndarray
    side: np.ndarray
    number: np.ndarray
    is_lack: np.ndarray
    is_absence: np.ndarray
    lookback_days: np.ndarray

    def select_place(self, place: int) -> Statement:
        """Return one place of every lead."""
        return Statement(*(part[:, place] for part in vars(self).values()))

    def select_rows(self, rows: np.ndarray) -> Statement:
        """Return some leads of one place."""
        return Statement(*(part[rows] for part in vars(self).values()))


def find_clashes(facts: FeatureFacts, a: Statement, b: Statement) -> np.ndarray:
    """Return for each lead whether two things said of it clash, by the rules above."""
    one, other = facts.subject[a.feature], facts.subject[b.feature]
    same_group = facts.group[a.feature] == facts.group[b.feature]
    measured = (facts.measure[a.feature] == facts.measure[b.feature]) & (
        facts.measure[a.feature] > 0
    )
    same = measured & (a.number == b.number) & facts.overlaps[one, other]
    over, under = facts.contains[one, other], facts.contains[other, one]
    follows = (over & (b.lookback_days <= a.lookback_days)) | (under & (a.lookback_days <= b.lookback_days))
    lacking = (a.side != b.side) & a.is_lack & b.is_lack & (over | under)
    return same_group | same | (a.is_absence & b.is_absence & follows) | lacking


def _find_lookback_days(meaning: Meaning) -> float:
    return meaning.span.total_seconds() / 86_400 if meaning.span else UNLIMITED


def _contains_subject(a: tuple[str, str], b: tuple[str, str]) -> bool:
    if "lead" in (a[0], b[0]):
        return a == b
    return _contains_scope(a[0], b[0]) and a[1] in ("any", b[1])


def _overlaps_subject(a: tuple[str, str], b: tuple[str, str]) -> bool:
    """Say whether an event may belong to both: types exclude each other, and so do channels."""
    if "lead" in (a[0], b[0]):
        return a == b
    alike = next(
        (
            kind
            for kind in (TYPE, CHANNEL, GROUP)
            if a[1].startswith(kind) and b[1].startswith(kind)
        ),
        None,
    )
    scopes = _contains_scope(a[0], b[0]) or _contains_scope(b[0], a[0])
    return scopes and (alike in (None, GROUP) or a[1] == b[1])


def _contains_scope(a: str, b: str) -> bool:
    return a in (b, "account")
