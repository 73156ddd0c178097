"""What a feature means to people, in no language: what it tells of, which others tell the same story, and its unit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

Unit = Literal["count", "days", "amount", "category", "number", "change", "share"]

NEVER_WORDED = (
    "decay",
    "decay_total",
    "gap_std",
    "last_hour",
    "created_hour",
    "first_type",
    "first_channel",
    "ways",
)
"""Figures that tell a person nothing: their contribution counts in the group, and another member words it."""

WORDED_LAST = ("gap_mean", "gap_max", "silence", "share", "last_gap_1", "last_gap_2", "kinds")
"""Figures that tell a person little: they speak only where no other member of the group can."""

AMOUNT_KEYS = ("total", "mean", "least", "most")
"""What values add up to: of several event types together they are no figure of anything."""

PAUSE_KEYS = ("gap_mean", "gap_max", "silence", "last_gap_1", "last_gap_2")
"""Figures that tell something where they are long, and then nothing good."""

ACTIVITY_KEYS = (
    "count",
    "trend",
    "share",
    "active_days",
    "kinds",
    "people",
    "new_people",
    "roles",
    "age",
)
"""Figures that anybody takes for good news, where they tell of whatever was done and not of one event type."""

INVERTED_KEYS = (
    "age",
    "first",
    "gap_mean",
    "gap_max",
    "gap_std",
    "silence",
    "last_gap_1",
    "last_gap_2",
)
"""Figures that grow as less happens: a long time without an event is a low value of what it tells of."""

TOPICS = {
    "age": "recency",
    "silence": "recency",
    "last_gap_1": "recency",
    "last_gap_2": "recency",
    "gap_mean": "rhythm",
    "gap_std": "rhythm",
    "gap_max": "rhythm",
    "first": "beginning",
    "trend": "momentum",
    "total": "value",
    "mean": "value",
    "least": "value",
    "most": "value",
    "decay_total": "value",
    "people": "people",
    "new_people": "people",
    "roles": "people",
}
"""The stories of all events together, which are too many for one; what is not here is the amount of activity."""


NEUTRAL_KEYS: tuple[str, ...] = (
    "least",
    "stage_age",
    "stages_age",
    "stage_days",
    "stalled",
    "created_age",
    "spell_age",
    "last_hour",
)
NEUTRAL_KEYS += ("office_hours", "weekend", "created_hour", "attribute", "dated")
"""Figures of which neither much nor little is good or bad in itself: they are told as they are."""


@dataclass(frozen=True)
class Meaning:
    """What one feature tells, and of what.

    ``group`` joins the features that a person would call one reason; only one of them speaks. ``key`` names the
    sentences of the language files. ``scope`` and ``subject`` say whose events of which kind it tells of, as in a
    Feature, or the attribute; ``name`` is the stage that it tells of, if any. ``unit`` says how a value is written:
    ``days`` are days as a float, ``amount`` is in the source's unit, ``change`` is more or less than before, ``share``
    in per cent.
    """

    group: str
    key: str
    unit: Unit
    scope: str = "entity"
    subject: str = "any"
    span: timedelta | None = None
    name: str = ""

    @property
    def is_worded(self) -> bool:
        """Whether its value tells a person anything."""
        mixed = not self.subject.startswith("type:")
        return self.key not in NEVER_WORDED and not (mixed and self.key in AMOUNT_KEYS)

    @property
    def is_worded_last(self) -> bool:
        """Whether another member should rather speak."""
        return self.key in WORDED_LAST

    @property
    def is_pause(self) -> bool:
        """Whether it tells of a pause, of which only a long one is worth a word."""
        return self.key in PAUSE_KEYS

    @property
    def reads_as_praise(self) -> bool:
        """Whether much of it reads as praise, whatever it adds: any activity of theirs, but not of ours."""
        return (
            self.key in ACTIVITY_KEYS
            and not self.subject.startswith("type:")
            and self.subject != "group:outbound"
        )

    @property
    def is_graded(self) -> bool:
        """Whether its value is much or little of what it tells of."""
        return (
            self.unit != "category"
            and self.key not in NEUTRAL_KEYS
            and (self.key, self.subject) != ("first", "any")
        )

    @property
    def covers_all_events(self) -> bool:
        """Whether it tells of all events together: then all that is known of them stands or falls with it."""
        return self.scope in ("entity", "account") and self.subject == "any" and self.is_graded

    @property
    def empty_value(self) -> float | None:
        """Its value where nothing ever happened; None is missing."""
        return (
            0.0
            if self.unit in ("count", "change") or self.key in ("decay", "decay_total", "total")
            else None
        )

    @property
    def is_inverted(self) -> bool:
        """Whether a high value tells of little: much time without an event."""
        return self.key in INVERTED_KEYS


def make_meaning(
    aggregate: str, unit: Unit, scope: str, subject: str, span: timedelta | None
) -> Meaning:
    """Return the meaning of one figure of one subject; ``span`` is its window or half-life, None for all of history."""
    return Meaning(_choose_group(aggregate, scope, subject), aggregate, unit, scope, subject, span)


def _choose_group(aggregate: str, scope: str, subject: str) -> str:
    """Join by event type, channel or direction; of all events together by the story that a figure tells."""
    if scope == "others":
        return "others"
    story = TOPICS.get(aggregate, "activity") if subject == "any" else subject
    return f"{scope}.{story}"
