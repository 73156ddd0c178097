"""What a feature is, and the aggregates that are computed of a subject."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from configs.feature_options import Family
from features.definitions.semantics import Meaning, Unit

TYPE_PREFIX, CHANNEL_PREFIX, GROUP_PREFIX = "type:", "channel:", "group:"
"""What a subject's name starts with, so that an event type and a channel of one name stay apart."""

Scope = Literal["entity", "account", "others", "lead"]


@dataclass(frozen=True)
class Feature:
    """One column of the feature matrix.

    ``scope`` says whose history is read: the entity's events, those of all entities of its account, those of the
    others there, or the lead row itself. ``span`` is the window or half-life, None for all of history or where there
    is none; ``index`` tells apart what has no span, such as the last event and the one before. ``levels`` names the
    vocabulary of a category: “types”, “channels”, “stages” or “origins”; an attribute's is its own values.
    """

    name: str
    aggregate: str
    meaning: Meaning
    family: Family
    scope: Scope = "entity"
    subject: str = "any"
    span: timedelta | None = None
    index: int = 0
    is_category: bool = False
    levels: str = ""

    @property
    def availability(self) -> str:
        """Say when the feature's inputs are known: “before the cutoff” is available_at < cutoff, and a static attribute
        is what its table shows today, which may have been filled later than the cutoff.
        """
        if self.aggregate == "attribute":
            return "today's value"
        return "before the cutoff"


@dataclass(frozen=True)
class Aggregate:
    """What can be computed of a subject: the word in the feature's name, what it is computed per, family and unit.

    Per “span” is for each window and for all of history.
    """

    label: str
    per: Literal["span", "window", "half_life", "once"]
    family: Family
    unit: Unit


AGGREGATES: dict[str, Aggregate] = {
    "count": Aggregate("count", "span", "counts", "count"),
    "trend": Aggregate("trend", "window", "counts", "change"),
    "share": Aggregate("share", "span", "counts", "share"),
    "total": Aggregate("sum_value", "span", "amounts", "amount"),
    "mean": Aggregate("mean_value", "span", "amounts", "amount"),
    "least": Aggregate("min_value", "span", "amounts", "amount"),
    "most": Aggregate("max_value", "span", "amounts", "amount"),
    "decay_total": Aggregate("decay_value", "half_life", "amounts", "amount"),
    "age": Aggregate("age", "once", "recency", "days"),
    "first": Aggregate("first_age", "once", "recency", "days"),
    "decay": Aggregate("decay", "half_life", "fading", "number"),
    "gap_mean": Aggregate("gap_mean", "once", "rhythm", "days"),
    "gap_std": Aggregate("gap_std", "once", "rhythm", "days"),
    "gap_max": Aggregate("gap_max", "once", "rhythm", "days"),
    "silence": Aggregate("silence", "once", "rhythm", "number"),
    "active_days": Aggregate("days_active", "span", "rhythm", "count"),
    "kinds": Aggregate("distinct_type", "span", "breadth", "count"),
    "ways": Aggregate("distinct_channel", "span", "breadth", "count"),
    "people": Aggregate("people", "span", "breadth", "count"),
    "new_people": Aggregate("new_people", "span", "breadth", "count"),
    "roles": Aggregate("roles", "span", "breadth", "count"),
}
"""In a feature's name: ``{subject}_{of}[_{window or half-life}]``."""
