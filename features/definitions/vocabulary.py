"""What a data set offers to compute features from."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, Self

from configs.durations import format_duration, parse_duration
from features.definitions.feature import CHANNEL_PREFIX, GROUP_PREFIX, TYPE_PREFIX

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
"""Words that begin features of their own, which no event type's may begin with."""


@dataclass(frozen=True)
class Vocabulary:
    """Frozen with a model: from it the same features follow in training and in scoring.

    ``valued`` are the event types that carry amounts, ``attributes`` pairs of column name and “number” or “category”,
    ``dated`` the same of those with a value history. ``outbound`` event types are our own touches, ``offline``
    channels are not online, ``ends`` event types close a spell, ``role`` is the attribute that says what someone is at
    the account, ``roles`` its most frequent values. Hours are those of ``timezone``; ``hours`` is false where
    leads are created on a day and nobody knows when. Of the features that follow only
    those in ``only`` are kept, unless that is empty.
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
    timezone: str = "UTC"
    accounts: bool = False
    hours: bool = True
    timed: bool = True
    only: tuple[str, ...] = ()

    @property
    def has_history(self) -> bool:
        """Whether there is any history to look back on."""
        return self.timed and bool(self.types)

    @property
    def spans(self) -> tuple[timedelta | None, ...]:
        """The windows, ascending, and None for all of history."""
        return (*self.windows, None)

    @cached_property
    def subjects(self) -> tuple[str, ...]:
        """What is counted apart: “any”, each event type, each channel, our own touches, the offline channels."""
        groups = [GROUP_PREFIX + name for name in ("outbound", "offline") if getattr(self, name)]
        return (
            "any",
            *(TYPE_PREFIX + name for name in self.types),
            *(CHANNEL_PREFIX + name for name in self.channels),
            *groups,
        )

    @cached_property
    def slugs(self) -> dict[str, str]:
        """Name of each subject inside feature names, a channel's with ``_channel``; no two alike."""
        taken = {"any": "any", GROUP_PREFIX + "outbound": "outbound", GROUP_PREFIX + "offline": "offline"}
        for subject in (s for s in self.subjects if s not in taken):
            name = subject.partition(":")[2]
            slug = make_slug(f"{name}_channel" if subject.startswith(CHANNEL_PREFIX) else name)
            while slug in {*taken.values(), *RESERVED_WORDS}:
                slug += "_"
            taken[subject] = slug
        return taken

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        plain = asdict(self)
        for key in ("windows", "half_lives"):
            plain[key] = [format_duration(length) for length in plain[key]]
        return plain

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Self:
        """Read what ``to_json`` wrote."""
        known: dict[str, Any] = {
            key: tuple(v) if isinstance(v, list) else v for key, v in plain.items()
        }
        for key in ("attributes", "dated"):
            known[key] = tuple((name, kind) for name, kind in plain.get(key, ()))
        for key in ("windows", "half_lives"):
            known[key] = tuple(parse_duration(text) for text in plain[key])
        return cls(**known)


def make_slug(text: str) -> str:
    """Return a text as a word for names: lower case, underscores for all but letters and digits."""
    return re.sub(r"\W+", "_", text.lower()).strip("_") or "unnamed"
