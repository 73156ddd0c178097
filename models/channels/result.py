"""Channels of a company: their tables, and what these rest on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from features.tools.json_values import to_json_values
from models.channels.schemas import CHANNEL_BASIS, CHANNEL_STEPS, CHANNEL_WEEKS, CHANNELS
from models.named_tables import NamedTables

# The tables by name, in their order.
CHANNEL_SCHEMAS = {
    "channels": CHANNELS,
    "channel_weeks": CHANNEL_WEEKS,
    "channel_steps": CHANNEL_STEPS,
    "channel_basis": CHANNEL_BASIS,
}


class ChannelTables(NamedTables):
    """Channels as tables, of CHANNEL_SCHEMAS."""

    schemas = CHANNEL_SCHEMAS


@dataclass(frozen=True)
class ChannelResult:
    """Channels as known at an as-of.

    Attributes:
        as_of: The as-of, in UTC.
        tables: Their tables.
    """

    as_of: datetime
    tables: ChannelTables

    @property
    def basis(self) -> dict[str, Any]:
        """Return what the tables rest on: the row of CHANNEL_BASIS."""
        return self.tables.list_rows("channel_basis")[0]

    def to_json(self) -> dict[str, Any]:
        """Return the tables as lists of rows."""
        content: dict[str, Any] = to_json_values(
            {
                "channels": self.tables.list_rows("channels"),
                "weeks": self.tables.list_rows("channel_weeks"),
                "steps": self.tables.list_rows("channel_steps"),
                "basis": self.basis,
            }
        )
        return content
