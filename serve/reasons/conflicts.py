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

TIMES, LONG = 1, 2
"""Measures whose numbers can be the same: how often, and how long."""
MEASURES = {"count": TIMES, "change": 0, "days": LONG}
EVER = np.inf


@dataclass(frozen=True)
class Facts:
    """What a fact of each feature is about; one element a feature.

    ``holds[a, b]`` says that every event that b tells of is one that a tells of, ``shares[a, b]`` that some may be.
    ``reach`` is the time in days that a count looks back, and NaN for what is no count.
    """

    group: np.ndarray
    measure: np.ndarray
    subject: np.ndarray
    reach: np.ndarray
    holds: np.ndarray
    shares: np.ndarray

    @classmethod
    def of(cls, meanings: Sequence[Meaning]) -> Self:
        """Describe the features of these meanings."""
        about = [(meaning.scope, meaning.subject) for meaning in meanings]
        subjects = list(dict.fromkeys(about))
        groups = list(dict.fromkeys(meaning.group for meaning in meanings))
        return cls(
            np.array([groups.index(meaning.group) for meaning in meanings]),
            np.array([MEASURES.get(meaning.unit, 0) for meaning in meanings]),
            np.array([subjects.index(each) for each in about]),
            np.array([_reach(meaning) for meaning in meanings]),
            np.array([[_holds(a, b) for b in subjects] for a in subjects]),
            np.array([[_shares(a, b) for b in subjects] for a in subjects]),
        )


@dataclass(frozen=True)
class Said:
    """What candidates for a reason say: arrays of one shape, an element a lead and place.

    ``feature`` speaks, on the side ``side`` (1 or -1), of ``number`` as it is written (NaN where none); ``lacks`` says
    that it tells of little or nothing, ``nothing`` that there was nothing at all since ``reach`` days, which a last
    time says too.
    """

    feature: np.ndarray
    side: np.ndarray
    number: np.ndarray
    lacks: np.ndarray
    nothing: np.ndarray
    reach: np.ndarray

    def at(self, place: int) -> Said:
        """Return one place of every lead."""
        return Said(*(part[:, place] for part in vars(self).values()))

    def of(self, rows: np.ndarray) -> Said:
        """Return some leads of one place."""
        return Said(*(part[rows] for part in vars(self).values()))


def clash(facts: Facts, a: Said, b: Said) -> np.ndarray:
    """Return for each lead whether two things said of it clash, by the rules above."""
    one, other = facts.subject[a.feature], facts.subject[b.feature]
    same_group = facts.group[a.feature] == facts.group[b.feature]
    measured = (facts.measure[a.feature] == facts.measure[b.feature]) & (
        facts.measure[a.feature] > 0
    )
    same = measured & (a.number == b.number) & facts.shares[one, other]
    over, under = facts.holds[one, other], facts.holds[other, one]
    follows = (over & (b.reach <= a.reach)) | (under & (a.reach <= b.reach))
    lacking = (a.side != b.side) & a.lacks & b.lacks & (over | under)
    return same_group | same | (a.nothing & b.nothing & follows) | lacking


def _reach(meaning: Meaning) -> float:
    return meaning.span.total_seconds() / 86_400 if meaning.span else EVER


def _holds(a: tuple[str, str], b: tuple[str, str]) -> bool:
    if "lead" in (a[0], b[0]):
        return a == b
    return _scope_holds(a[0], b[0]) and a[1] in ("any", b[1])


def _shares(a: tuple[str, str], b: tuple[str, str]) -> bool:
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
    scopes = _scope_holds(a[0], b[0]) or _scope_holds(b[0], a[0])
    return scopes and (alike in (None, GROUP) or a[1] == b[1])


def _scope_holds(a: str, b: str) -> bool:
    return a in (b, "account")
