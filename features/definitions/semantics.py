"""Meaning of a feature, independent of language: its subject, its reason group and its unit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

ONE_DAY = timedelta(days=1)

Unit = Literal["count", "days", "amount", "category", "number", "change", "share"]

# These have no sentence of their own: their contribution counts in the group, and another member
# is worded. Nobody in sales can act on an hour of the week, a share, or multiples of a usual pause.
NEVER_WORDED = (
    "decay",
    "decay_total",
    "gap_std",
    "last_hour",
    "created_hour",
    "office_hours",
    "weekend",
    "silence",
    "last_gap_1",
    "last_gap_2",
    "share",
    "first_type",
    "first_channel",
    "ways",
)

# These say little to a person: they are worded only where no other member of the group can be.
WORDED_LAST = ("gap_mean", "gap_max", "kinds")

# Values of these over several event types consist of events of each type; of "age" it is the last
# event alone.
COMPOSED_KEYS = ("count", "active_days", "kinds", "age")

# Aggregates of amounts. Over several event types together they mean nothing.
AMOUNT_KEYS = ("total", "mean", "least", "most")

# Lengths of time without an event: worth a sentence only where they are long, which is never good.
PAUSE_KEYS = ("gap_mean", "gap_max", "silence", "last_gap_1", "last_gap_2")

# A person takes these for good news where they cover all activity and not one event type.
ACTIVITY_KEYS = (
    "count",
    "trend",
    "share",
    "active_days",
    "kinds",
    "people",
    "new_people",
    "roles",
    "role_known",
    "role_people",
    "engaged_people",
    "age",
)

# These grow as less happens: a long time without an event is a low level of activity.
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

# Features of all events together are too many for one group, so they are grouped by topic. Keys
# that are not listed belong to the topic "activity".
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

# A high or a low value of these is neither good nor bad in itself: the value is stated as it is.
NEUTRAL_KEYS = (
    "least",
    "stage_age",
    "stages_age",
    "stage_days",
    "stalled",
    "created_age",
    "spell_age",
    "last_hour",
    "office_hours",
    "weekend",
    "created_hour",
    "top_share",
    "attribute",
    "dated",
)


@dataclass(frozen=True)
class Meaning:
    """What the value of one feature means to people.

    Attributes:
        group: joins the features that a person would call one reason; only one of them is worded.
        key: name of the sentences in the language files.
        unit: how a value is written: "days" as a float, "amount" in the source's unit, "change" as
            more or less than before, "share" in per cent.
        scope: whose events they are, as in a Feature.
        subject: which events they are, as in a Feature, or the attribute.
        span: window or half-life, None for all of history or where there is none.
        name: the stage, the attribute, or empty.
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
        """Return whether the value has a meaning for people."""
        is_mixed = not self.subject.startswith("type:")
        # “1 day in the last day” says no more than that there was anything.
        is_trivial = self.key == "active_days" and self.span is not None and self.span <= ONE_DAY
        is_amount_of_several = is_mixed and self.key in AMOUNT_KEYS
        return not (self.key in NEVER_WORDED or is_amount_of_several or is_trivial)

    @property
    def has_composition(self) -> bool:
        """Return whether the value is of events of several types, which a reason may name."""
        return (
            self.key in COMPOSED_KEYS
            and self.scope != "lead"
            and not self.subject.startswith("type:")
        )

    @property
    def is_worded_last(self) -> bool:
        """Return whether any other member of the group should be worded first."""
        return self.key in WORDED_LAST

    @property
    def is_pause(self) -> bool:
        """Return whether it is a time without events; only a long one is worth a sentence."""
        return self.key in PAUSE_KEYS

    @property
    def reads_as_praise(self) -> bool:
        """Return whether much of it reads as praise: any activity of theirs, but not of ours."""
        return (
            self.key in ACTIVITY_KEYS
            and not self.subject.startswith("type:")
            and self.subject != "group:outbound"
        )

    @property
    def is_graded(self) -> bool:
        """Return whether the value can be called high or low."""
        return (
            self.unit != "category"
            and self.key not in NEUTRAL_KEYS
            and (self.key, self.subject) != ("first", "any")
        )

    @property
    def covers_all_events(self) -> bool:
        """Return whether it covers all events, so that its empty value says there were none."""
        return self.scope in ("entity", "account") and self.subject == "any" and self.is_graded

    @property
    def empty_value(self) -> float | None:
        """Return the value without any event; None is missing."""
        return (
            0.0
            if self.unit in ("count", "change") or self.key in ("decay", "decay_total", "total")
            else None
        )

    @property
    def is_inverted(self) -> bool:
        """Return whether a high value means little activity: much time without an event."""
        return self.key in INVERTED_KEYS


def make_meaning(
    aggregate: str, unit: Unit, scope: str, subject: str, span: timedelta | None
) -> Meaning:
    """Return the meaning of an aggregate of one subject.

    ``span`` is its window or half-life, None for all of history.
    """
    return Meaning(_choose_group(aggregate, scope, subject), aggregate, unit, scope, subject, span)


def _choose_group(aggregate: str, scope: str, subject: str) -> str:
    """Return the reason group: of a type, channel or direction; of all events, of a topic."""
    if scope == "others":
        return "others"
    topic = TOPICS.get(aggregate, "activity") if subject == "any" else subject
    return f"{scope}.{topic}"
