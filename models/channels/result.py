"""Channels of a company: their tables, and what these rest on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import pyarrow as pa

from features.tools.json_values import to_json_values
from models.channels.schemas import CHANNEL_BASIS, CHANNEL_STEPS, CHANNEL_WEEKS, CHANNELS

# The tables by name, in their order.
CHANNEL_SCHEMAS = {
    "channels": CHANNELS,
    "channel_weeks": CHANNEL_WEEKS,
    "channel_steps": CHANNEL_STEPS,
    "channel_basis": CHANNEL_BASIS,
}


@dataclass(frozen=True)
class ChannelTables:
    """Channels as tables, for the database, files and the page, by name.

    Attributes:
        tables: A table of each schema in CHANNEL_SCHEMAS.
    """

    tables: Mapping[str, pa.Table]

    @classmethod
    def from_tables(cls, tables: Mapping[str, pa.Table]) -> Self | None:
        """Return the channels among tables by name, without other columns; None if absent."""
        if not tables.keys() >= CHANNEL_SCHEMAS.keys():
            return None
        return cls(
            {name: tables[name].select(rows.names) for name, rows in CHANNEL_SCHEMAS.items()}
        )

    def by_name(self) -> dict[str, pa.Table]:
        """Return the tables by name."""
        return dict(self.tables)

    def list_rows(self, name: str) -> list[dict[str, Any]]:
        """Return the rows of a table."""
        rows: list[dict[str, Any]] = self.tables[name].to_pylist()
        return rows


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
