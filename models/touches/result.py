"""Touches of a company: their tables, and what these rest on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from features.tools.json_values import to_json_values
from models.named_tables import NamedTables
from models.touches.schemas import NEXT_TOUCH, TOUCH_BASIS, TOUCH_HAZARD

# The tables by name, in their order.
TOUCH_SCHEMAS = {
    "next_touch": NEXT_TOUCH,
    "touch_hazard": TOUCH_HAZARD,
    "touch_basis": TOUCH_BASIS,
}


class TouchTables(NamedTables):
    """Touches as tables, of TOUCH_SCHEMAS."""

    schemas = TOUCH_SCHEMAS


@dataclass(frozen=True)
class TouchResult:
    """Touches as known at an as-of.

    Attributes:
        as_of: The as-of, in UTC.
        tables: Their tables.
    """

    as_of: datetime
    tables: TouchTables

    @property
    def basis(self) -> dict[str, Any]:
        """Return what the tables rest on: the row of TOUCH_BASIS."""
        return self.tables.list_rows("touch_basis")[0]

    def to_json(self) -> dict[str, Any]:
        """Return the tables as lists of rows."""
        content: dict[str, Any] = to_json_values(
            {
                "next_touch": self.tables.list_rows("next_touch"),
                "hazard": self.tables.list_rows("touch_hazard"),
                "basis": self.basis,
            }
        )
        return content
