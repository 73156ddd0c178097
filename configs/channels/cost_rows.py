"""The source of costs: what was spent on each channel, and when."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from configs.source_rows import Constant, NamedRows


class CostRows(NamedRows):
    """A source of costs: one row per amount that was spent on a channel."""

    date: str = Field(description="column: the day, or the first day of the period, of the cost")
    channel: str | Constant = Field(description="column, or {constant: text}")
    cost: str = Field(description="column with the amount; a credit note is negative")
    known_at: str | None = Field(None, description="column: when the row arrived in the source")
    cost_id: str | None = Field(
        None, description="column: the row's own id; default: equal rows are one cost"
    )
    currency: str | None = Field(
        None, description="column; a source in several currencies is refused, not converted"
    )
    missing_time: Literal["quarantine", "skip"] = Field(
        "quarantine", description="skip: ignore rows without a date: nothing was spent yet"
    )
