"""Feature declarations, and the aggregates that can be computed of a subject."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from configs.feature_options import Family
from features.definitions.semantics import Meaning, Unit

# A subject's name starts with its kind, so that an event type and a channel of one name differ.
TYPE_PREFIX, CHANNEL_PREFIX, GROUP_PREFIX = "type:", "channel:", "group:"

Scope = Literal["entity", "account", "others", "lead"]


@dataclass(frozen=True)
class Feature:
    """One column of the feature matrix.

    Attributes:
        name: the column's name.
        aggregate: what is computed, a key of AGGREGATES or the name of another computation.
        meaning: what the value means to people.
        family: the family by which a config selects features.
        scope: whose history is read: the entity's events, those of all entities of its account,
            those of the others there, or the lead row itself.
        subject: the events that are aggregated: "any", a type, a channel or a group of them; of the
            lead row, the attribute.
        span: window or half-life; None for all of history or where there is none.
        index: distinguishes features without a span, such as the last event and the one before.
        is_category: values are categories rather than numbers.
        levels: vocabulary of a category: "types", "channels", "stages" or "origins"; empty for an
            attribute, whose levels are its own values.
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
        """Return when the feature's inputs are known.

        "before the cutoff" means available_at < cutoff. A static attribute is what its table shows
        today, which may have been filled later than the cutoff.
        """
        if self.aggregate == "attribute":
            return "today's value"
        return "before the cutoff"


@dataclass(frozen=True)
class Aggregate:
    """One computation over a subject's events.

    Attributes:
        label: the part of the feature's name that stands for this aggregate.
        per: computed for each window and all of history ("span"), for each window, for each
            half-life, or once.
        family: the family by which a config selects features.
        unit: unit of the value.
    """

    label: str
    per: Literal["span", "window", "half_life", "once"]
    family: Family
    unit: Unit


# A feature is named ``{subject}_{label}[_{window or half-life}]``. A model stores these names, so
# labels must not change.
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
