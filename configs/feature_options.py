"""Feature settings, windows, stages, roles and families: part of a project's YAML."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field

from configs.durations import Duration
from configs.names import Name
from configs.source_rows import FrozenModel

Family = Literal[
    "counts",
    "amounts",
    "recency",
    "fading",
    "rhythm",
    "breadth",
    "sequence",
    "journey",
    "account",
    "lead",
]


class Features(FrozenModel):
    """Feature settings beyond what the sources imply."""

    windows: tuple[Duration, ...] = tuple(timedelta(days=n) for n in (1, 7, 30, 90))
    half_lives: tuple[Duration, ...] = tuple(timedelta(days=n) for n in (3, 14, 60))
    stages: tuple[Name, ...] = Field(
        (), description="event types that are sales stages, from first to last"
    )
    exclude: tuple[Name, ...] = Field(
        (), description="event types or attributes that no feature may use"
    )
    outbound: tuple[Name, ...] = Field(
        (), description="event types of own outreach: e-mails sent, calls made"
    )
    offline: tuple[Name, ...] = Field(
        (), description="channels that are not online: phone, meeting"
    )
    ends: tuple[Name, ...] = Field(
        (), description="event types after which a returning lead counts as recycled"
    )
    role: str | None = Field(None, description="the attribute with a person's role at the account")
    families: tuple[Family, ...] = Field(
        (), description="feature families to compute; default: all"
    )
