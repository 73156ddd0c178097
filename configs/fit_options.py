"""Attributes and horizon of the ideal customer profile: part of a project's YAML."""

from __future__ import annotations

from pydantic import Field

from configs.durations import Duration
from configs.names import Name
from configs.source_rows import FrozenModel


class FitOptions(FrozenModel):
    """What the ideal customer profile is made of."""

    attributes: tuple[Name, ...] = Field(
        (),
        description="attributes of the leads that the profile may use; default: all but "
        "features.exclude, dates and personal ones",
    )
    horizon: Duration | None = Field(
        None,
        description="time after its entry in which an account must be won to count as a customer; "
        "default: the longest of 365d, 180d, 90d and 30d for which half of the accounts have been "
        "followed",
    )
