"""Uplift: which outcome outreach should change, and how many leads get it."""

from __future__ import annotations

from pydantic import Field

from configs.names import Name
from configs.source_rows import FrozenModel


class Uplift(FrozenModel):
    """The incremental effect of outreach on a target's outcome within its horizon."""

    target: Name | None = Field(
        None, description="the target whose outcome counts; default: the first one"
    )
    top: int | None = Field(
        None,
        ge=1,
        description="leads that get outreach; default: the capacity of a week, else a tenth",
    )
