"""Vocabulary of a data set: the event types, channels, stages and attributes of its features."""

from __future__ import annotations

import re
from dataclasses import asdict, astuple, dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, Self

from configs.durations import format_duration, parse_duration
from features.definitions.feature import CHANNEL_PREFIX, GROUP_PREFIX, TYPE_PREFIX
from features.readings.columns import NumberSigns, StoredReading

# Words that begin other features' names, so that the name of no subject may equal them.
RESERVED_WORDS = (
    "any",
    "outbound",
    "offline",
    "account",
    "others",
    "stage",
    "stages",
    "last",
    "first",
    "created",
    "touches",
)


@dataclass(frozen=True)
class Vocabulary:
    """Names that features are declared from, stored with a model.

    From one vocabulary the same features follow in training and in scoring.

    Attributes:
        types: event types that have features of their own.
        channels: channels that have features of their own.
        valued: event types that carry amounts.
        stages: event types that are stages of the journey, in their order.
        attributes: pairs of column name and "number" or "category".
        dated: the same for attributes with a value history.
        windows: lengths of the time windows, ascending.
        half_lives: half-lives of decaying counts and amounts.
        outbound: event types that are our own touches.
        offline: channels that are not online.
        ends: event types that close a spell.
        role: the attribute that gives a person's role at the account, empty for none.
        roles: the most frequent values of ``role``.
        role_features: each of ``roles`` has features of its own, as where the config maps titles.
        timezone: time zone of the hours of the day.
        accounts: leads share accounts.
        hours: the hour at which a lead was created is known, not only the day.
        timed: the data set has times.
        only: names of the features to keep; empty for all.
        readings: pairs of attribute and the kind and signs in which it was read.
        unused: event types of the data that no feature counts, not even as an activity.
    """

    types: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    valued: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()
    dated: tuple[tuple[str, str], ...] = ()
    windows: tuple[timedelta, ...] = ()
    half_lives: tuple[timedelta, ...] = ()
    outbound: tuple[str, ...] = ()
    offline: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()
    role: str = ""
    roles: tuple[str, ...] = ()
    role_features: bool = False
    timezone: str = "UTC"
    accounts: bool = False
    hours: bool = True
    timed: bool = True
    only: tuple[str, ...] = ()
    readings: tuple[tuple[str, StoredReading], ...] = ()
    unused: tuple[str, ...] = ()

    @property
    def has_history(self) -> bool:
        """Return whether there is an event history."""
        return self.timed and bool(self.types)

    @property
    def spans(self) -> tuple[timedelta | None, ...]:
        """Return the windows, ascending, and None for all of history."""
        return (*self.windows, None)

    @cached_property
    def subjects(self) -> tuple[str, ...]:
        """Return the subjects: "any", each event type and channel, outbound touches, offline."""
        groups = [GROUP_PREFIX + name for name in ("outbound", "offline") if getattr(self, name)]
        return (
            "any",
            *(TYPE_PREFIX + name for name in self.types),
            *(CHANNEL_PREFIX + name for name in self.channels),
            *groups,
        )

    @cached_property
    def slugs(self) -> dict[str, str]:
        """Return the unique name of each subject inside feature names; channels end in _channel."""
        taken = {
            "any": "any",
            GROUP_PREFIX + "outbound": "outbound",
            GROUP_PREFIX + "offline": "offline",
        }
        for subject in (s for s in self.subjects if s not in taken):
            name = subject.partition(":")[2]
            slug = make_slug(f"{name}_channel" if subject.startswith(CHANNEL_PREFIX) else name)
            # Names that differ only in case or punctuation have one slug.
            while slug in {*taken.values(), *RESERVED_WORDS}:
                slug += "_"
            taken[subject] = slug
        return taken

    def to_json(self) -> dict[str, Any]:
        """Return the vocabulary as JSON values."""
        payload = asdict(self)
        payload["readings"] = [
            [name, reading.kind, *astuple(reading.signs), reading.time_format, reading.unit]
            for name, reading in self.readings
        ]
        for key in ("windows", "half_lives"):
            payload[key] = [format_duration(length) for length in payload[key]]
        return payload

    @classmethod
    def from_json(cls, payload: dict[str, Any]) -> Self:
        """Return the vocabulary of what ``to_json`` returned."""
        # JSON has lists only; a vocabulary equals the stored one if its fields are tuples again.
        fields: dict[str, Any] = {
            key: tuple(v) if isinstance(v, list) else v for key, v in payload.items()
        }
        for key in ("attributes", "dated"):
            fields[key] = tuple((name, kind) for name, kind in payload.get(key, ()))
        # Models of earlier versions have none, or none with the form of dates or the unit.
        fields["readings"] = tuple(
            (name, StoredReading(kind, NumberSigns(decimal, thousands), *others))
            for name, kind, decimal, thousands, *others in payload.get("readings", ())
        )
        for key in ("windows", "half_lives"):
            fields[key] = tuple(parse_duration(text) for text in payload[key])
        return cls(**fields)


def make_slug(text: str) -> str:
    """Return a text in lower case with underscores for all but letters and digits."""
    # A name may consist of punctuation alone, but a column needs a name.
    return re.sub(r"\W+", "_", text.lower()).strip("_") or "unnamed"
